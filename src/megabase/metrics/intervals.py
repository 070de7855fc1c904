"""Correlation interval by interval, and over all of them at once.

The paper's text takes a correlation per interval and then the mean; the released evaluation code adds up sums over all
intervals and takes one correlation. Both are here by name, from the same sums (evaluation reference, section 3).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from megabase.metrics.moments import moments, pearson


def pooled_pearson(sums: Float64[np.ndarray, "intervals tracks 7"]) -> Float64[np.ndarray, " tracks"]:
    """One correlation over all positions of all intervals; NaN for a track without any."""
    return pearson(sums.sum(axis=0))


def interval_pearson(sums: Float64[np.ndarray, "intervals tracks 7"]) -> Float64[np.ndarray, " tracks"]:
    """The mean over intervals of the correlation within each; intervals without usable positions do not count.

    An interval in which either side is constant has correlation 0 and counts. NaN for a track without any interval.
    """
    return mean_of_known(pearson(sums), axis=0)


def mean_of_known(values: Float[np.ndarray, "*shape"], axis: int | None = None) -> Float64[np.ndarray, "*rest"]:
    """The mean of what is not NaN; NaN where nothing is left."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis, dtype=np.float64)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def count_pearson(observed: Float[np.ndarray, " regions"], predicted: Float[np.ndarray, " regions"]) -> float:
    """Correlation over regions of ln(1 + total observed) with ln(1 + total predicted) (evaluation reference).

    ChromBPNet predicts the logarithm itself: give exp(x) - 1 of it. Regions where either is NaN are left out; 0 where
    either is constant, NaN for none. Negative totals count as 0.
    """
    x, y = np.asarray(observed, np.float64)[:, None], np.asarray(predicted, np.float64)[:, None]
    known = np.isfinite(x) & np.isfinite(y)
    x, y = (np.log1p(np.where(known, one, 0).clip(0)) for one in (x, y))
    return float(pearson(moments(x, y, known))[0])
