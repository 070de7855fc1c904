"""Contact maps window by window, and the difference between two of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from megabase.evaluation.benchmarks.measures import Row, Values, measure
from megabase.evaluation.observed import Observed
from megabase.metrics.bootstrap import Pooled, window_counts
from megabase.metrics.contacts import MOST_MISSING
from megabase.metrics.intervals import mean_of_known
from megabase.metrics.moments import moments, pearson

BIN = 2048


class ContactMeasures:
    """Correlations over the pairs of different bins."""

    def __init__(self, windows: int, resamples: int) -> None:
        self._windows, self._resamples = windows, resamples
        self._each: dict[str, dict[int, np.ndarray]] = {}
        self._difference: dict[str, Pooled] = {}
        self._pairs = 0

    def add(self, window: int, bundle: str, observed: Observed, values: Values) -> None:
        """Adds the maps of one window."""
        if bundle != "CONTACT_MAPS":
            return
        for name, predicted in values.items():
            known = observed.usable & np.isfinite(predicted)
            self._each.setdefault(name, {})[window] = pearson(moments(observed.data, predicted, known))
            missing = (~observed.usable).mean(axis=0)
            if observed.data.shape[1] > 1 and (missing[:2] <= MOST_MISSING).all():
                x, y = (one[:, 1:2] - one[:, :1] for one in (observed.data, predicted))
                both = known[:, :1] & known[:, 1:2]
                pooled = self._difference.setdefault(name, Pooled(self._windows, self._resamples))
                pooled.add(window, moments(np.where(both, x, 0), np.where(both, y, 0), both))

    def rows(self) -> Iterator[Row]:
        """`contact_pearson`, the mean over windows and tracks, and `contact_difference`, of the second track and the
        first, pooled over windows that miss at most a quarter of either."""
        counts = window_counts(self._windows, self._resamples)
        for name, each in self._each.items():
            values = mean_of_known(np.stack([each[window] for window in sorted(each)]), axis=1)
            known, drawn = np.isfinite(values), counts[:, sorted(each)]
            total = drawn @ known
            means = np.where(total > 0, drawn @ np.where(known, values, 0) / np.maximum(total, 1), np.nan)
            yield measure(("CONTACT_MAPS", BIN, "contact_pearson"), name, means, int(known.sum()), "windows")
        for name, pooled in self._difference.items():
            values = pooled.values(pearson)[:, 0]
            yield measure(
                ("CONTACT_MAPS", BIN, "contact_difference"), name, values, int(pooled.sums[0, 0]), "pairs of bins"
            )
