"""Confidence intervals by resampling windows: the sums of a window enter as often as the window was drawn.

Windows, not positions, are resampled, because neighbouring positions are not independent. Only sums are resampled, so
nothing is predicted twice, and only one set of sums per resample is kept, however many windows there are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Int64, Shaped

Statistic = Callable[[Float64[np.ndarray, "*batch fields"]], Float64[np.ndarray, "*batch"]]


class Pooled:
    """Sums over all windows, and over each of `resamples` draws of as many windows with replacement."""

    def __init__(self, windows: int, resamples: int, seed: int = 0) -> None:
        self._counts = window_counts(windows, resamples, seed)
        self._sums: Float64[np.ndarray, "resamples+1 tracks fields"] | float = 0.0

    def add(self, window: int, sums: Float64[np.ndarray, "tracks fields"]) -> None:
        """Adds the sums of one window, each window once."""
        self._sums = self._sums + self._counts[:, window, None, None] * sums

    @property
    def sums(self) -> Float64[np.ndarray, "tracks fields"]:
        """Over all windows."""
        return np.asarray(self._sums)[0]

    def values(self, statistic: Statistic) -> Float64[np.ndarray, "resamples+1 tracks"]:
        """`statistic` of all windows, then of each resample."""
        return statistic(np.asarray(self._sums))

    def interval(
        self, statistic: Statistic, level: float = 0.95
    ) -> tuple[Float64[np.ndarray, " tracks"], Float64[np.ndarray, " tracks"]]:
        """The percentile interval of `statistic`; NaN without resamples, or where no resample has a value."""
        return percentiles(self.values(statistic)[1:], level)


@functools.lru_cache(maxsize=8)
def window_counts(windows: int, resamples: int, seed: int = 0) -> Int64[np.ndarray, "resamples+1 windows"]:
    """How often each window counts: once in the first row, as often as it was drawn in the others."""
    draws = np.random.default_rng(seed).multinomial(windows, np.full(windows, 1 / windows), size=resamples)
    return np.vstack([np.ones((1, windows), np.int64), draws])


def item_counts(kinds: Shaped[np.ndarray, " n"], resamples: int, seed: int = 0) -> Int64[np.ndarray, "resamples+1 n"]:
    """The same for items of several kinds, drawn within each kind, so that none ever runs out.

    Two predictors compared on the same rows are compared on the same draws: the interval of their difference is that
    of a paired bootstrap.
    """
    counts = np.ones((resamples + 1, len(kinds)), np.int64)
    for number, kind in enumerate(np.unique(kinds)):
        here = kinds == kind
        counts[:, here] = window_counts(int(here.sum()), resamples, seed + number)
    return counts


def percentiles(
    values: Float64[np.ndarray, "resamples n"], level: float = 0.95
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """The percentile interval of each column; NaN without resamples, or where no resample has a value."""
    bounds = np.full((2, values.shape[-1]), np.nan)
    known = ~np.isnan(values).all(axis=0) if len(values) else np.zeros(values.shape[-1], bool)
    if known.any():
        bounds[:, known] = np.nanquantile(values[:, known], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return bounds[0], bounds[1]
