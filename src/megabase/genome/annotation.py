"""Genes and exons from a GTF, whatever rows it has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from megabase.errors import InputError
from megabase.genome.text import read_lines

_ATTRIBUTE = re.compile(r'(\w+) "([^"]*)"')
_PLACE = re.compile(r"[0-9]{1,12}")
_VERSION = re.compile(r"^(ENS[A-Z]*[0-9]+)\..*$|\.[0-9]+$")
GENE_COLUMNS = ["chrom", "start", "end", "strand", "gene_id", "gene_name", "gene_type"]
EXON_COLUMNS = ["chrom", "start", "end", "strand", "gene_id", "transcript_id"]


def unversioned(gene_id: str) -> str:
    """An identifier without its version: ENSG00000186092.7 is ENSG00000186092. What follows the version of an Ensembl
    identifier goes too (`_PAR_Y`, groups of transcripts)."""
    return _VERSION.sub(r"\1", gene_id)


def read_gtf(
    path: str | Path, sizes: Mapping[str, int], aliases: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Genes and exons on the chromosomes of `sizes` (lengths in bp), sorted by place; 0-based half-open coordinates.

    Where the file has no gene rows (as UCSC tables do not), a gene reaches from its first exon to its last.
    Raises InputError for a row that is malformed, names no gene or ends beyond its chromosome, and where no exon
    lies on any of the chromosomes.
    """
    seen: set[str] = set()
    genes: list[tuple[object, ...]] = []
    exons: list[tuple[object, ...]] = []
    kinds: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(_lines(Path(path)), 1):
        if line.startswith(("#", "track", "browser")) or not line.strip():
            continue
        fields = line.rstrip("\n").split("\t")
        if len(fields) < 9 or not (_PLACE.fullmatch(fields[3]) and _PLACE.fullmatch(fields[4])):
            raise InputError("not a GTF row", where=f"{path} line {number}", remedy="give nine tab-separated columns")
        if not 1 <= int(fields[3]) <= int(fields[4]):
            what = f"{fields[2]} from {fields[3]} to {fields[4]}"
            raise InputError(what, where=f"{path} line {number}", remedy="give the smaller position first, from 1 on")
        seen.add(fields[0])
        chrom = aliases.get(fields[0], fields[0])
        if chrom not in sizes or fields[2] not in ("gene", "exon"):
            continue
        attributes = dict(_ATTRIBUTE.findall(fields[8]))
        gene = attributes.get("gene_id", "")
        where = f"{path} line {number}"
        if not gene:
            raise InputError("no gene_id", where=where, remedy="give a GTF (a GFF3 has other attributes)")
        if int(fields[4]) > sizes[chrom]:
            raise InputError(
                f"{fields[2]} ends at {fields[4]}, {chrom} has {sizes[chrom]} bases",
                where=where,
                remedy="use the annotation of the FASTA's assembly",
            )
        place = (chrom, int(fields[3]) - 1, int(fields[4]), fields[6], gene)
        kind = attributes.get("gene_type") or attributes.get("gene_biotype") or ""
        named = (attributes.get("gene_name") or gene, kind)
        if fields[2] == "gene":
            genes.append((*place, *named))
        else:
            exons.append((*place, attributes.get("transcript_id", gene)))
            kinds.setdefault(gene, named)
    if not exons:
        raise InputError(
            f"no exon on {', '.join(list(sizes)[:4])}",
            where=path,
            remedy=f"the file names {', '.join(sorted(seen)[:6])}: add organisms.*.aliases",
        )
    exon_table = pd.DataFrame(exons, columns=EXON_COLUMNS).sort_values(["chrom", "start", "end"], ignore_index=True)
    gene_table = pd.DataFrame(genes, columns=GENE_COLUMNS) if genes else _genes_of(exon_table, kinds)
    return gene_table.sort_values(["chrom", "start", "end"], ignore_index=True), exon_table


def _genes_of(exons: pd.DataFrame, kinds: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    grouped = exons.groupby(["chrom", "strand", "gene_id"], sort=False).agg(start=("start", "min"), end=("end", "max"))
    genes = grouped.reset_index()
    genes["gene_name"] = [kinds[gene][0] for gene in genes["gene_id"]]
    genes["gene_type"] = [kinds[gene][1] for gene in genes["gene_id"]]
    return genes[GENE_COLUMNS]


def _lines(path: Path) -> Iterator[str]:
    try:
        for line in read_lines(path, "annotation", "correct organisms.*.annotation"):
            yield line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"cannot be read: {error}", where=path, remedy="save it as UTF-8 text") from None
