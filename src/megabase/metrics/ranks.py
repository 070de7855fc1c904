"""Rank correlation."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from megabase.metrics.moments import moments, pearson


def ranks(values: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(size)
    return (last - (size - 1) / 2)[group]


def spearman(observed: Float[np.ndarray, " n"], predicted: Float[np.ndarray, " n"]) -> float:
    """Pearson correlation of the ranks; 0 where either is constant, NaN for no values."""
    x, y = ranks(observed)[:, None], ranks(predicted)[:, None]
    return float(pearson(moments(x, y, np.ones(x.shape, bool)))[0])
