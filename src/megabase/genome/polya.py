"""Polyadenylation sites from a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from megabase.errors import InputError
from megabase.genome.text import read_lines

COLUMNS = ["chrom", "position", "strand", "gene_id", "pas_id"]


def read_polya(path: str | Path | None, sizes: Mapping[str, int], aliases: Mapping[str, str]) -> pd.DataFrame:
    """The sites on the chromosomes of `sizes` (lengths in bp), sorted by place; an empty table for no path.

    The file is tab-separated with the header `COLUMNS`; a position is the 0-based last base of the transcript.
    Raises InputError for another header, a malformed row, and a position beyond its chromosome.
    """
    rows: list[tuple[object, ...]] = []
    lines = read_lines(path, "table of polyadenylation sites", "correct organisms.*.polya") if path else iter(())
    for number, line in enumerate(lines, 1):
        fields = line.decode(errors="replace").rstrip("\n").split("\t")
        where = f"{path} line {number}"
        if number == 1:
            if fields != COLUMNS:
                raise InputError("not a table of sites", where=where, remedy=f"start it with {' '.join(COLUMNS)}")
            continue
        if len(fields) != len(COLUMNS) or not fields[1].isdigit() or fields[2] not in ("+", "-"):
            raise InputError("not a row of a site", where=where, remedy=f"give {', '.join(COLUMNS)}, separated by tabs")
        chrom, position = aliases.get(fields[0], fields[0]), int(fields[1])
        if chrom not in sizes:
            continue
        if position >= sizes[chrom]:
            what = f"position {position} is beyond {chrom}, which has {sizes[chrom]} bases"
            raise InputError(what, where=where, remedy="use the table of the FASTA's assembly")
        rows.append((chrom, position, *fields[2:]))
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"position": "int64"})
    return table.sort_values(["chrom", "position", "strand", "pas_id"], ignore_index=True)
