"""Places on a genome: 0-based, half-open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from megabase.errors import InputError


class Region(NamedTuple):
    """A piece of a chromosome."""

    chrom: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start}-{self.end}"

    def overlap(self, other: Region) -> int:
        """Bases that both hold."""
        return max(0, min(self.end, other.end) - max(self.start, other.start)) if self.chrom == other.chrom else 0


def parse_region(text: str, sizes: Mapping[str, int], where: object) -> Region:
    """`chr1` or `chr1:100-200` as a region of an assembly with chromosome lengths `sizes` (bp).

    Raises InputError for an unknown chromosome and for a piece that is empty or reaches beyond its chromosome.
    """
    matched = re.fullmatch(r"([^:\s]+)(?::(\d[\d,]*)-(\d[\d,]*))?", text.strip())
    if not matched:
        raise InputError(f"`{text}` is not a region", where=where, remedy="write chr1 or chr1:1000-2000")
    chrom, first, last = matched.groups()
    if chrom not in sizes:
        known = ", ".join(list(sizes)[:8])
        raise InputError(f"no chromosome `{chrom}`", where=where, remedy=f"choose from {known}")
    start = int(first.replace(",", "")) if first else 0
    end = int(last.replace(",", "")) if last else sizes[chrom]
    if not 0 <= start < end <= sizes[chrom]:
        raise InputError(f"{text} is not within 0-{sizes[chrom]}", where=where, remedy="correct the region")
    return Region(chrom, start, end)
