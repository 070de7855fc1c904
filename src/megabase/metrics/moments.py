"""Correlation and error from seven sums that add up over windows, so that nothing is kept but the sums.

Architecture reference section 10: sums over batch and positions under a mask, per track; the value of a bundle is the
mean over its tracks with data. The official code sums in float32 and adds an epsilon to the denominator; here the sums
are float64, and a constant has correlation 0.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64

FIELDS = ("n", "x", "y", "xx", "yy", "xy", "absolute")
"""The last axis of moments: n, Σx, Σy, Σx², Σy², Σxy, Σ|x - y|; x is observed, y predicted."""

_SLAB = 16_384
# Relative to the mean square: the rounding of float64 sums leaves about 1e-16 of variance in a constant.
_CONSTANT = 1e-13


def moments(
    observed: Float[np.ndarray, "positions tracks"],
    predicted: Float[np.ndarray, "positions tracks"],
    mask: Bool[np.ndarray, "positions tracks"],
) -> Float64[np.ndarray, "tracks 7"]:
    """The sums (`FIELDS`) over the positions where `mask` is true; other positions may hold anything, NaN too."""
    total = np.zeros((observed.shape[1], len(FIELDS)))
    # Slab by slab: the float64 copies of a megabase of hundreds of tracks would not fit.
    for start in range(0, len(observed), _SLAB):
        here = slice(start, start + _SLAB)
        usable = mask[here]
        x = np.where(usable, np.asarray(observed[here], np.float64), 0.0)
        y = np.where(usable, np.asarray(predicted[here], np.float64), 0.0)
        sums = (usable, x, y, x * x, y * y, x * y, np.abs(x - y))
        total += np.stack([values.sum(axis=0, dtype=np.float64) for values in sums], axis=-1)
    return total


def pearson(sums: Float64[np.ndarray, "*batch 7"]) -> Float64[np.ndarray, "*batch"]:
    """r = (Σxy - n x̄ȳ) / √((Σx² - n x̄²)(Σy² - n ȳ²)); 0 where x or y is constant, NaN where n = 0.

    On moments of log(1 + x) and log(1 + y) this is the log1p correlation.
    """
    n, x, y, xx, yy, xy, _ = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = xy - x * y / n
        variance_x, variance_y = xx - x * x / n, yy - y * y / n
        constant = (variance_x <= _CONSTANT * xx) | (variance_y <= _CONSTANT * yy)
        r = covariance / np.sqrt(np.maximum(variance_x, 0) * np.maximum(variance_y, 0))
    return np.where(n == 0, np.nan, np.where(constant, 0.0, np.clip(r, -1, 1)))


def mean_squared_error(sums: Float64[np.ndarray, "*batch 7"]) -> Float64[np.ndarray, "*batch"]:
    """Σ(x - y)² / n = (Σx² - 2Σxy + Σy²) / n; NaN where n = 0."""
    n, _, _, xx, yy, xy, _ = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.maximum(xx - 2 * xy + yy, 0) / n


def mean_absolute_error(sums: Float64[np.ndarray, "*batch 7"]) -> Float64[np.ndarray, "*batch"]:
    """Σ|x - y| / n; NaN where n = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums[..., 6] / sums[..., 0]
