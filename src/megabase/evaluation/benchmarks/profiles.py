"""Peaks of open chromatin and of starts: the shape of each at 1 bp, and how many reads it has.

The paper takes the peaks that ChromBPNet and ProCapNet were tested on. Without such a list, peaks are the tiles of
1,024 bp of the test windows with at least `PEAK` times the track's mean on training windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float64

from megabase.evaluation.benchmarks.measures import Row, Values, measure
from megabase.evaluation.observed import COARSE, Observed
from megabase.metrics.bootstrap import window_counts
from megabase.metrics.intervals import count_pearson, mean_of_known
from megabase.metrics.profiles import jensen_shannon_distance

TILE = 1024
"""bp; the models that are compared with predict 1,000."""
PEAK = 3.0
BUNDLES = ("DNASE", "ATAC", "PROCAP")
_LEAST = 1e-6
"""Added to each base of a prediction: a profile that says zero everywhere is flat."""


class PeakProfiles:
    """Distances and totals of the peaks of each track."""

    def __init__(self, windows: int, resamples: int, means: Mapping[str, Float64[np.ndarray, " tracks"]]) -> None:
        """`means`: of each bundle's tracks, per 128 bp."""
        self._counts = window_counts(windows, resamples)
        self._means = means
        self._peaks: dict[tuple[str, str, int], list[np.ndarray]] = {}

    def add(self, window: int, bundle: str, observed: Observed, values: Values) -> None:
        """Adds the peaks of one window."""
        if bundle not in BUNDLES or len(observed.data) % TILE:
            return
        data, usable = (one.reshape(-1, TILE, one.shape[1]) for one in observed)
        totals = data.sum(axis=1, dtype=np.float64)
        peaks = usable.all(axis=1) & (totals > 0) & (totals >= PEAK * self._means[bundle] * TILE / COARSE)
        for name, flat in values.items():
            predicted = np.maximum(flat, 0).reshape(data.shape)
            for track in np.flatnonzero(peaks.any(axis=0)):
                here = peaks[:, track]
                x, y = data[here, :, track], predicted[here, :, track]
                columns = [
                    np.full(len(x), window),
                    jensen_shannon_distance(x, y + _LEAST),
                    x.sum(axis=1),
                    y.sum(axis=1),
                ]
                self._peaks.setdefault((bundle, name, int(track)), []).append(np.stack(columns, axis=1))

    def rows(self) -> Iterator[Row]:
        """`profile_jsd`, the median distance over peaks, and `count_pearson`, both as means over tracks."""
        for bundle, name in dict.fromkeys((bundle, name) for bundle, name, _ in self._peaks):
            tracks = [np.concatenate(own) for key, own in self._peaks.items() if key[:2] == (bundle, name)]
            n = sum(map(len, tracks))
            values = np.array([[_values(peaks, drawn) for peaks in tracks] for drawn in self._counts])
            for column, metric in enumerate(("profile_jsd", "count_pearson")):
                yield measure((bundle, 1, metric), name, mean_of_known(values[:, :, column], axis=1), n, "peaks")


def _values(peaks: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    """Median distance and correlation of counts, each window as often as it was drawn."""
    own = np.repeat(peaks, drawn[peaks[:, 0].astype(int)], axis=0)
    if not len(own):
        return float("nan"), float("nan")
    return float(np.median(own[:, 1])), count_pearson(own[:, 2], own[:, 3])
