"""Programs that score splicing, run in environments of their own: how to call each, and how to read what it writes.

SpliceAI (PolyForm Strict; weights CC-BY-NC-4.0) and Pangolin (GPL-3) annotate a VCF. A variant that they skip, outside
genes, of another reference or too long, has no annotation and so no score: results count it as imputed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from megabase.errors import InputError
from megabase.genome.text import read_lines

DISTANCE = 2000
"""bp to either side of a variant in which sites are looked at (paper: SpliceAI, Pangolin and DeltaSplice)."""
_COLUMNS = ["variant_id", "predictor", "score"]
_PANGOLIN_GENE = re.compile(r"([^|,;=]+)\|-?\d+:(-?[\d.]+)\|-?\d+:(-?[\d.]+)\|")


def spliceai_command(vcf: Path, out: Path, fasta: Path, annotation: str = "grch38") -> list[str]:
    """The call that annotates `vcf`. `annotation`: grch37, grch38, or a table of genes in SpliceAI's own form."""
    return [
        "spliceai",
        "-I",
        str(vcf),
        "-O",
        str(out),
        "-R",
        str(fasta),
        "-A",
        annotation,
        "-D",
        str(DISTANCE),
        "-M",
        "0",
    ]


def pangolin_command(vcf: Path, out: Path, fasta: Path, database: Path) -> list[str]:
    """The call that annotates `vcf`; Pangolin adds `.vcf` itself. `database`: made by its `create_db.py` from a GTF."""
    files = [str(vcf), str(fasta), str(database), str(out.with_suffix(""))]
    return ["pangolin", "-d", str(DISTANCE), "-m", "False", *files]


def read_spliceai(path: Path) -> pd.DataFrame:
    """The largest of the four differences (acceptor or donor, gained or lost) over genes, by variant.

    INFO: `SpliceAI=ALLELE|SYMBOL|DS_AG|DS_AL|DS_DG|DS_DL|DP_AG|DP_AL|DP_DG|DP_DL`, a comma between genes or alleles;
    `.` where there is none.
    """
    rows = []
    for number, name, alt, value in _annotated(path, "SpliceAI"):
        parts = [part.split("|") for part in value.split(",")]
        if any(len(part) < 6 for part in parts):
            raise InputError(
                f"not a SpliceAI annotation: {value}", where=f"{path} line {number}", remedy="run it again"
            )
        scores = [
            _score(field, f"{path} line {number}")
            for part in parts
            if part[0] == alt
            for field in part[2:6]
            if field != "."
        ]
        rows += [(name, "SpliceAI", max(scores))] if scores else []
    return pd.DataFrame(rows, columns=_COLUMNS)


def read_pangolin(path: Path) -> pd.DataFrame:
    """The change of largest magnitude over genes, by variant, without its sign.

    INFO: `Pangolin=GENE|position:gain|position:loss|Warnings:...` for each gene.
    """
    rows = []
    for number, name, _, value in _annotated(path, "Pangolin"):
        found = _PANGOLIN_GENE.findall(value)
        if not found:
            raise InputError(
                f"not a Pangolin annotation: {value}", where=f"{path} line {number}", remedy="run it again"
            )
        scores = [abs(_score(field, f"{path} line {number}")) for _, *fields in found for field in fields]
        rows.append((name, "Pangolin", max(scores)))
    return pd.DataFrame(rows, columns=_COLUMNS)


READERS = {"SpliceAI": read_spliceai, "Pangolin": read_pangolin}


def _annotated(path: Path, key: str) -> Iterator[tuple[int, str, str, str]]:
    """Line, ID, ALT and annotation of the variants that have one; an ID of `.` becomes CHROM:POS:REF>ALT."""
    for number, line in enumerate(read_lines(path, f"{key} annotations", "run it again"), 1):
        if line.startswith(b"#") or not line.strip():
            continue
        fields = line.decode().rstrip("\n").split("\t")
        if len(fields) < 8:
            raise InputError(f"{len(fields)} columns, not 8", where=f"{path} line {number}", remedy="run it again")
        chrom, position, name, ref, alt = fields[:5]
        name = f"{chrom}:{position}:{ref}>{alt}" if name == "." else name
        info = dict(pair.partition("=")[::2] for pair in fields[7].split(";"))
        if key in info:
            yield number, name, alt, info[key]


def _score(field: str, where: str) -> float:
    try:
        return float(field)
    except ValueError:
        raise InputError(f"not a score: {field}", where=where, remedy="run the program again") from None
