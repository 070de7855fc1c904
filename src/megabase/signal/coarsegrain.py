"""Adaptive coarse-graining of contact maps: thin counts are averaged over ever larger squares (paper section 1.7)."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float64

CUTOFF, MAX_LEVELS, SMALLEST = 5, 8, 8
"""Raw contacts that every pixel of a 2 x 2 square needs to stand for itself; halvings at most; and the side of the map
that is not halved again. The values of cooltools, which the paper's protocol uses as they are."""


def levels(bins: int) -> int:
    """How often a map of `bins` x `bins` is halved, padded to a power of two."""
    return min(MAX_LEVELS, max(0, math.ceil(math.log2(bins / SMALLEST)))) if bins > SMALLEST else 0


def adaptive(
    balanced: Float64[np.ndarray, "rows columns"], counts: Float64[np.ndarray, "rows columns"], depth: int
) -> Float64[np.ndarray, "rows columns"]:
    """Balanced values, smoothed where the raw `counts` are thin; NaN stays NaN.

    Both sides are multiples of 2**depth. From the coarsest level down, a 2 x 2 square in which any pixel has fewer
    than `CUTOFF` counts takes, in each valid pixel, the mean of the coarser level. As in cooltools a missing pixel
    counts 0, so that the squares along missing bins are averaged too.
    """
    valid: Bool[np.ndarray, "rows columns"] = np.isfinite(balanced)
    sums, known = np.where(valid, balanced, 0.0), np.where(valid, counts, 0.0)
    return np.where(valid, _smoothed(sums, known, valid.astype(np.float64), depth), np.nan)


def _smoothed(
    sums: Float64[np.ndarray, "rows columns"],
    counts: Float64[np.ndarray, "rows columns"],
    pixels: Float64[np.ndarray, "rows columns"],
    depth: int,
) -> Float64[np.ndarray, "rows columns"]:
    """One level of the pyramid: `sums` of balanced values and of raw counts, and the number of valid pixels of each."""
    if depth == 0:
        return sums
    below = _pooled(pixels)
    coarse = _smoothed(_pooled(sums), _pooled(counts), below, depth - 1)
    mean = np.divide(coarse, below, out=np.zeros_like(coarse), where=below > 0)
    thin = _blocks(counts).min(axis=(1, 3)) < CUTOFF
    return np.where(_expanded(thin), _expanded(mean) * pixels, sums)


def _blocks(values: Float64[np.ndarray, "rows columns"]) -> Float64[np.ndarray, "rows/2 2 columns/2 2"]:
    return values.reshape(values.shape[0] // 2, 2, values.shape[1] // 2, 2)


def _pooled(values: Float64[np.ndarray, "rows columns"]) -> Float64[np.ndarray, "rows/2 columns/2"]:
    return _blocks(values).sum(axis=(1, 3))


def _expanded(values: np.ndarray) -> np.ndarray:
    return values.repeat(2, axis=0).repeat(2, axis=1)
