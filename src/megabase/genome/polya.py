"""Polyadenylation sites from a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from megabase.errors import InputError
from megabase.genome.text import read_lines

COLUMNS = ["chrom", "position", "strand", "gene_id", "pas_id"]
_BORZOI = {"chrom": "chrom", "position": "position_hg38", "strand": "strand", "gene": "gene", "pas_id": "pas_id"}
"""Columns of PolyA_DB version 3 as Borzoi distributes it, with genes by name (not checked against the file itself)."""
_BORZOI_KIND, _KEPT = "site_type", ("3' most exon", "Intron")
"""Its kind of site, and those that count: at the ends of genes and in introns."""


def read_polya(
    path: str | Path | None, sizes: Mapping[str, int], aliases: Mapping[str, str], genes: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The sites on the chromosomes of `sizes` (lengths in bp), sorted by place; an empty table for no path.

    The file is tab-separated with the header `COLUMNS`; a position is the 0-based last base of the transcript. Or it is
    PolyA_DB's, whose genes are looked up in `genes` by name; sites of other genes are left out.
    Raises InputError for another header, a malformed row, and a position beyond its chromosome.
    """
    rows: list[tuple[object, ...]] = []
    for where, fields in _sites(path, genes) if path else ():
        chrom, position = aliases.get(fields[0], fields[0]), int(fields[1])
        if chrom not in sizes:
            continue
        if position >= sizes[chrom]:
            what = f"position {position} is beyond {chrom}, which has {sizes[chrom]} bases"
            raise InputError(what, where=where, remedy="use the table of the FASTA's assembly")
        rows.append((chrom, position, *fields[2:]))
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"position": "int64"})
    return table.sort_values(["chrom", "position", "strand", "pas_id"], ignore_index=True)


def _sites(path: str | Path, genes: pd.DataFrame | None) -> Iterator[tuple[str, list[str]]]:
    """Where each row stands, for messages, and its values of `COLUMNS`."""
    header: list[str] = []
    ids = {} if genes is None else dict(zip(genes["gene_name"], genes["gene_id"], strict=True))
    for number, line in enumerate(read_lines(path, "table of polyadenylation sites", "correct organisms.*.polya"), 1):
        fields = line.decode(errors="replace").rstrip("\r\n").split("\t")
        where = f"{path} line {number}"
        if not header:
            header = fields
            if header != COLUMNS and not {*_BORZOI.values(), _BORZOI_KIND} <= set(header):
                raise InputError("not a table of sites", where=where, remedy=f"start it with {' '.join(COLUMNS)}")
            continue
        row = dict(zip(header, fields, strict=False))
        if header != COLUMNS:
            if row.get(_BORZOI_KIND) not in _KEPT or row.get("gene") not in ids:
                continue
            row = {column: row.get(name, "") for column, name in _BORZOI.items()} | {"gene_id": ids[row["gene"]]}
        position, strand = row.get("position", ""), row.get("strand")
        if len(fields) != len(header) or not position.isdigit() or strand not in ("+", "-"):
            raise InputError("not a row of a site", where=where, remedy=f"give {', '.join(COLUMNS)}, separated by tabs")
        yield where, [row[column] for column in COLUMNS]
