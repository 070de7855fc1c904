"""Rank correlation."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int

from megabase.metrics.moments import moments, pearson


def ranks(values: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(size)
    return (last - (size - 1) / 2)[group]


def spearman(observed: Float[np.ndarray, " n"], predicted: Float[np.ndarray, " n"]) -> float:
    """Pearson correlation of the ranks; 0 where either is constant, NaN for no values or any that is NaN."""
    if np.isnan(observed).any() or np.isnan(predicted).any():
        return float("nan")
    x, y = ranks(observed)[:, None], ranks(predicted)[:, None]
    return float(pearson(moments(x, y, np.ones(x.shape, bool)))[0])


def resampled_spearman(
    observed: Float[np.ndarray, " n"], predicted: Float[np.ndarray, " n"], weights: Int[np.ndarray, "resamples n"]
) -> Float64[np.ndarray, " resamples"]:
    """`spearman` of each resample: a row of `weights` says how often each item was drawn."""
    x, y = _resampled_ranks(observed, weights), _resampled_ranks(predicted, weights)
    sums = [weights, weights * x, weights * y, weights * x * x, weights * y * y, weights * x * y, weights]
    return pearson(np.stack([one.sum(axis=1, dtype=np.float64) for one in sums], axis=1))


def _resampled_ranks(
    values: Float[np.ndarray, " n"], weights: Int[np.ndarray, "resamples n"]
) -> Float64[np.ndarray, "resamples n"]:
    distinct, group = np.unique(values, return_inverse=True)
    size = weights @ (group.ravel()[:, None] == np.arange(len(distinct)))
    return (np.cumsum(size, axis=1) - (size - 1) / 2)[:, group.ravel()]
