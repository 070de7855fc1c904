"""Confidence intervals by resampling windows: the sums of a window enter as often as the window was drawn.

Windows, not positions, are resampled, because neighbouring positions are not independent. Only sums are resampled, so
nothing is predicted twice, and only one set of sums per resample is kept, however many windows there are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Int64

Statistic = Callable[[Float64[np.ndarray, "*batch fields"]], Float64[np.ndarray, "*batch"]]


class Pooled:
    """Sums over all windows, and over each of `resamples` draws of as many windows with replacement."""

    def __init__(self, windows: int, resamples: int, seed: int = 0) -> None:
        self._counts = _counts(windows, resamples, seed)
        self._sums: Float64[np.ndarray, "resamples+1 tracks fields"] | float = 0.0

    def add(self, window: int, sums: Float64[np.ndarray, "tracks fields"]) -> None:
        """Adds the sums of one window, each window once."""
        self._sums = self._sums + self._counts[:, window, None, None] * sums

    @property
    def sums(self) -> Float64[np.ndarray, "tracks fields"]:
        """Over all windows."""
        return np.asarray(self._sums)[0]

    def interval(
        self, statistic: Statistic, level: float = 0.95
    ) -> tuple[Float64[np.ndarray, " tracks"], Float64[np.ndarray, " tracks"]]:
        """The percentile interval of `statistic`; NaN without resamples, or where no resample has a value."""
        values = statistic(np.asarray(self._sums)[1:])
        bounds = np.full((2, values.shape[-1]), np.nan)
        known = ~np.isnan(values).all(axis=0) if len(values) else np.zeros(values.shape[-1], bool)
        tails = [(1 - level) / 2, (1 + level) / 2]
        bounds[:, known] = np.nanquantile(values[:, known], tails, axis=0) if known.any() else np.nan
        return bounds[0], bounds[1]


@functools.lru_cache(maxsize=8)
def _counts(windows: int, resamples: int, seed: int) -> Int64[np.ndarray, "resamples+1 windows"]:
    """How often each window counts: once in the first row, as often as it was drawn in the others."""
    draws = np.random.default_rng(seed).multinomial(windows, np.full(windows, 1 / windows), size=resamples)
    return np.vstack([np.ones((1, windows), np.int64), draws])
