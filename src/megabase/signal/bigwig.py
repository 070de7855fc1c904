"""bigWig: values at every base, read in pieces of a megabase."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from megabase.errors import InputError
from megabase.signal.coverage import Place, non_negative

_PIECE = 1 << 20


class BigWig:
    """A bigWig, opened; absent positions count as 0, as the paper's loader reads them (paper section 1.5)."""

    def __init__(self, path: Path, place: Place, *, negated: bool) -> None:
        """`negated`: the file stores the values of a minus strand below zero.

        Raises InputError for a truncated file and for chromosomes that are not the assembly's.
        """
        import pybigtools

        self._place, self._negated = place, negated
        try:
            self._file = pybigtools.open(str(path), "r")
            lengths = {name: int(size) for name, size in self._file.chroms().items()}
        except Exception as error:  # pybigtools raises its own types, by version
            raise self._unreadable(error) from None
        self._names = place.names(lengths)

    def values(self, chrom: str) -> Float64[np.ndarray, " S"]:
        """float64 values of a chromosome; zeros where the file lacks it and need not have it."""
        values = self._place.blank(chrom)
        if chrom not in self._names:
            return values
        for first, last in self._place.inside(chrom):
            for start in range(first, last, _PIECE):
                end = min(start + _PIECE, last)
                try:
                    values[start:end] = self._file.values(self._names[chrom], start, end, fillna=0.0, oob=0.0)
                except Exception as error:
                    raise self._unreadable(error, f" at {chrom}:{start}") from None
        if self._negated:
            np.negative(values, out=values)
        np.nan_to_num(values, copy=False, nan=0.0, posinf=np.inf)
        non_negative(values, chrom, self._place.where, negated=self._negated)
        return values

    def _unreadable(self, error: Exception, at: str = "") -> InputError:
        what = f"truncated or not a bigWig{at}: {' '.join(str(error).split())}"
        return InputError(what, where=self._place.where, remedy="fetch the file again")
