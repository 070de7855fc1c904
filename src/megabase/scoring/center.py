"""Scores of a window around the variant (architecture reference 9)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from megabase.scoring.config import Aggregation

NARROW = 2048
"""Windows of up to so many bins are added up on the host, in float64, because sums nearly cancel; wider ones on the
device."""


def window_bins(offset: int, bins: int, resolution: int, length: int) -> tuple[int, int]:
    """First and last (exclusive) of the `bins` around a variant `offset` bp into `length` bp; fewer at the ends."""
    first = offset // resolution - bins // 2
    return max(first, 0), min(first + bins, length // resolution)


def summed(
    ref: Float[Any, "*B bins T"], alt: Float[Any, "*B bins T"], aggregation: Aggregation, xp: ModuleType = np
) -> Float[Any, "sums *B T"]:
    """What the aggregation needs, summed over the window, of arrays of `xp` (numpy or jax.numpy).

    Differences are taken before they are summed: the sums of both alleles nearly cancel.
    """
    match aggregation:
        case "DIFF_MEAN" | "DIFF_SUM":
            parts = [alt - ref]
        case "DIFF_LOG2_SUM":
            parts = [alt - ref, ref]
        case "DIFF_SUM_LOG2":
            parts = [xp.log2(alt + 1) - xp.log2(ref + 1)]
        case "L2_DIFF":
            parts = [(alt - ref) ** 2]
        case "L2_DIFF_LOG1P":
            parts = [(xp.log1p(alt) - xp.log1p(ref)) ** 2]
        case "ACTIVE_MEAN" | "ACTIVE_SUM":
            parts = [ref, alt]
    return xp.stack([part.sum(axis=-2) for part in parts])


def aggregated(sums: Float[np.ndarray, "sums T"], bins: int, aggregation: Aggregation) -> Float[np.ndarray, " T"]:
    """One number for each track from the sums over `bins` bins."""
    match aggregation:
        case "DIFF_LOG2_SUM":
            change, ref = sums
            return np.log1p(change / (1 + ref)) / np.log(2)
        case "L2_DIFF" | "L2_DIFF_LOG1P":
            return np.sqrt(sums[0])
        case "ACTIVE_SUM":
            return sums.max(axis=0)
        case "ACTIVE_MEAN":
            return sums.max(axis=0) / bins
        case "DIFF_MEAN":
            return sums[0] / bins
        case _:
            return sums[0]


def center_score(
    ref: Float[np.ndarray, "bins T"], alt: Float[np.ndarray, "bins T"], aggregation: Aggregation
) -> Float[np.ndarray, " T"]:
    """One number for each track from the values of both alleles in the window; float64."""
    return aggregated(summed(ref.astype(np.float64), alt.astype(np.float64), aggregation), len(ref), aggregation)
