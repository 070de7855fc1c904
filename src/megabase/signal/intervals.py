"""Text tables of intervals: CTSS and BED 5' ends, fragments in BED or BEDPE."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from megabase.errors import InputError
from megabase.signal.coverage import Place


class Intervals:
    """A table of intervals, read whole; rows on chromosomes that the assembly does not list are passed over."""

    def __init__(self, path: Path, place: Place, *, reading: str, strand: str) -> None:
        """`five_prime`: rows of 1 bp with a count in column 5; `cut_sites`: the first and last base of each row.

        Rows of `strand` are taken (`.`: all). Raises InputError with the row for one that cannot be read or lies
        beyond its chromosome, and where no row is on a known chromosome.
        """
        self._place = place
        positions: dict[str, list[int]] = {}
        counts: dict[str, list[float]] = {}
        seen: dict[str, None] = {}
        number = 0
        try:
            with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
                for number, line in enumerate(file, 1):
                    if not line.strip() or line.startswith(("#", "track", "browser")):
                        continue
                    fields = line.split("\t") if "\t" in line else line.split()
                    seen[fields[0]] = None
                    chrom = place.aliases.get(fields[0], fields[0])
                    size = place.sizes.get(chrom)
                    if size is None or (strand != "." and fields[5].strip() != strand):
                        continue
                    start, end = int(fields[1]), int(fields[2])
                    count = float(fields[4]) if reading == "five_prime" else 1.0
                    self._check(start, end, count, size, chrom, number)
                    first = end - 1 if reading == "five_prime" and strand == "-" else start
                    positions.setdefault(chrom, []).append(first)
                    counts.setdefault(chrom, []).append(count)
                    if reading == "cut_sites":
                        positions[chrom].append(end - 1)
                        counts[chrom].append(count)
        except (OSError, EOFError) as error:
            raise InputError(f"truncated: {error}", where=place.where, remedy="fetch the file again") from None
        except (ValueError, IndexError):
            raise InputError(
                "not an interval with the columns this reading needs",
                where=f"{place.where} row {number}",
                remedy="give chrom, start, end, name, count, strand (fragments: chrom, start, end)",
            ) from None
        if not any(place.aliases.get(name, name) in place.sizes for name in seen):
            raise InputError(
                f"no chromosome of the assembly; the file has {', '.join(list(seen)[:6]) or 'no rows'}",
                where=place.where,
                remedy="name its chromosomes in organisms.*.aliases",
            )
        self._values = {
            chrom: np.bincount(at, weights=counts[chrom], minlength=place.sizes[chrom])
            for chrom, at in positions.items()
        }

    def values(self, chrom: str) -> Float64[np.ndarray, " S"]:
        """float64 counts at every base of a chromosome."""
        return self._values[chrom] if chrom in self._values else self._place.blank(chrom)

    def _check(self, start: int, end: int, count: float, size: int, chrom: str, number: int) -> None:
        where = f"{self._place.where} row {number}"
        if not 0 <= start < end <= size:
            raise InputError(
                f"wrong assembly or bad row: {chrom}:{start}-{end} is not within 0-{size}",
                where=where,
                remedy="use a file of this assembly",
            )
        if not 0 <= count < np.inf:
            raise InputError(f"negative or infinite count {count:g}", where=where, remedy="correct the file")
