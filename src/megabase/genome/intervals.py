"""Places of windows from a table: where each is and which section of the genome it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from megabase.errors import InputError
from megabase.genome.text import read_lines

COLUMNS = ["chrom", "start", "end", "section"]


def read_intervals(path: str | Path, sizes: Mapping[str, int], aliases: Mapping[str, str]) -> pd.DataFrame:
    """The rows on the chromosomes of `sizes` (lengths in bp), in their order (paper section 2).

    The file is a BED of four columns, the last the row's section (`fold0`). Raises InputError for anything else, for a
    row beyond its chromosome, and where no row is left.
    """
    rows: list[tuple[str, int, int, str]] = []
    for number, line in enumerate(read_lines(path, "table of intervals", "correct organisms.*.intervals"), 1):
        fields = line.decode(errors="replace").split()
        where = f"{path} line {number}"
        if len(fields) < len(COLUMNS) or not (fields[1].isdigit() and fields[2].isdigit()):
            remedy = "give chrom, start, end and section, separated by tabs"
            raise InputError("not a row of a place", where=where, remedy=remedy)
        chrom, start, end = aliases.get(fields[0], fields[0]), int(fields[1]), int(fields[2])
        if chrom not in sizes:
            continue
        if not start < end <= sizes[chrom]:
            what = f"{chrom}:{start}-{end} is not within 0-{sizes[chrom]}"
            raise InputError(what, where=where, remedy="use the intervals of the FASTA's assembly")
        rows.append((chrom, start, end, fields[3]))
    if not rows:
        raise InputError("no place on the chromosomes used", where=path, remedy="correct organisms.*.chromosomes")
    return pd.DataFrame(rows, columns=COLUMNS)
