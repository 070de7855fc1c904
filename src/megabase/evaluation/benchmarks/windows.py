"""Coverage of windows: correlation at 32 bp, interval by interval, and the means over tracks of what is pooled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from megabase.bundles import BUNDLES
from megabase.evaluation.benchmarks.measures import Row, Values, measure
from megabase.evaluation.observed import Observed
from megabase.metrics.bootstrap import Pooled, window_counts
from megabase.metrics.intervals import mean_of_known
from megabase.metrics.moments import moments, pearson

BORZOI_BIN = 32
"""Bin, in bp, that Borzoi predicts and is compared at."""
_METRIC = {"plain": "pearson", "log1p": "log1p_pearson"}


class Coverage:
    """Signal at 32 bp, the sum of the predictions of its bases; and at its own bins, one interval at a time."""

    def __init__(self, windows: int, resamples: int) -> None:
        self._windows, self._resamples = windows, resamples
        self._pooled: dict[tuple[str, str], Pooled] = {}
        self._each: dict[tuple[str, str], dict[int, np.ndarray]] = {}

    def add(self, window: int, bundle: str, observed: Observed, values: Values) -> None:
        """Adds one bundle of signal."""
        if BUNDLES[bundle].kind != "signal":
            return
        step = BORZOI_BIN if BUNDLES[bundle].resolutions[0] == 1 else 0
        for name, predicted in values.items():
            known = observed.usable & np.isfinite(predicted)
            if name == "model":  # Of others it would cost as much again, and no benchmark asks for it.
                self._each.setdefault((bundle, name), {})[window] = pearson(moments(observed.data, predicted, known))
            if step:
                sums = moments(_binned(observed.data, step), _binned(predicted, step), _all_of(known, step))
                pooled = self._pooled.setdefault((bundle, name), Pooled(self._windows, self._resamples))
                pooled.add(window, sums)

    def rows(self) -> Iterator[Row]:
        """`pearson` at 32 bp and, of the model, `interval_pearson`."""
        for (bundle, name), pooled in self._pooled.items():
            yield _over_tracks((bundle, BORZOI_BIN, "pearson"), name, pooled.values(pearson))
        counts = window_counts(self._windows, self._resamples)
        for (bundle, name), each in self._each.items():
            values = np.stack([each[window] for window in sorted(each)])
            known, drawn = np.isfinite(values), counts[:, sorted(each)]
            share = drawn @ known
            means = np.where(share > 0, drawn @ np.where(known, values, 0) / np.maximum(share, 1), np.nan)
            yield _over_tracks((bundle, BUNDLES[bundle].resolutions[0], "interval_pearson"), name, means)


def pooled_rows(pooled: Mapping[tuple[str, int, str, Any], Pooled]) -> Iterator[Row]:
    """Of correlations that are pooled already (bundle, resolution, predictor, scale), their means over tracks."""
    for (bundle, resolution, name, scale), own in pooled.items():
        if scale in _METRIC:
            yield _over_tracks((bundle, resolution, _METRIC[scale]), name, own.values(pearson))


def _over_tracks(place: tuple[str, int, str], name: str, values: np.ndarray) -> Row:
    return measure(place, name, mean_of_known(values, axis=1), int(np.isfinite(values[0]).sum()), "tracks")


def _binned(bases: np.ndarray, step: int) -> np.ndarray:
    return np.asarray(bases, np.float64).reshape(-1, step, bases.shape[1]).sum(axis=1)


def _all_of(known: np.ndarray, step: int) -> np.ndarray:
    return np.logical_and.reduce(known.reshape(-1, step, known.shape[1]), axis=1)
