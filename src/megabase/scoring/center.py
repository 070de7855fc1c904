"""Scores of a window around the variant (architecture reference 9)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from megabase.scoring.config import Aggregation


def window_bins(offset: int, bins: int, resolution: int, length: int) -> tuple[int, int]:
    """First and last (exclusive) of the `bins` around a variant `offset` bp into `length` bp; fewer at the ends."""
    first = offset // resolution - bins // 2
    return max(first, 0), min(first + bins, length // resolution)


def center_score(
    ref: Float[np.ndarray, "bins T"], alt: Float[np.ndarray, "bins T"], aggregation: Aggregation
) -> Float[np.ndarray, " T"]:
    """One number for each track from the values of both alleles in the window; float64, for sums nearly cancel."""
    ref, alt = ref.astype(np.float64), alt.astype(np.float64)
    match aggregation:
        case "DIFF_MEAN":
            return alt.mean(axis=0) - ref.mean(axis=0)
        case "DIFF_SUM":
            return alt.sum(axis=0) - ref.sum(axis=0)
        case "DIFF_SUM_LOG2":
            return np.log2(alt + 1).sum(axis=0) - np.log2(ref + 1).sum(axis=0)
        case "DIFF_LOG2_SUM":
            return np.log2(1 + alt.sum(axis=0)) - np.log2(1 + ref.sum(axis=0))
        case "L2_DIFF":
            return np.sqrt(((alt - ref) ** 2).sum(axis=0))
        case "L2_DIFF_LOG1P":
            return np.sqrt(((np.log1p(alt) - np.log1p(ref)) ** 2).sum(axis=0))
        case "ACTIVE_MEAN":
            return np.maximum(alt.mean(axis=0), ref.mean(axis=0))
        case "ACTIVE_SUM":
            return np.maximum(alt.sum(axis=0), ref.sum(axis=0))
