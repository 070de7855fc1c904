"""A few test windows kept whole, observed beside predicted, for people to look at."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64

KEPT = 8
"""Windows kept per organism; the report shows the first few of them."""

_BINS = 1024


def pick_loci(windows: pd.DataFrame, totals: Float64[np.ndarray, "windows bundles"], count: int = KEPT) -> list[int]:
    """Up to `count` windows with much signal in many bundles, the best first, spread out: the same for the same data.

    A window's score is its mean rank over the bundles. Windows next to one already taken wait until no others are left.
    """
    if not len(windows):
        return []
    ranks = totals.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    order = np.argsort(-ranks.mean(axis=1), kind="stable")
    chroms, starts = windows["chrom"].to_numpy(), windows["start"].to_numpy()
    length = int(windows["end"].iloc[0] - windows["start"].iloc[0])
    taken: list[int] = []
    for reach in (2 * length, length):
        for window in order:
            near = [i for i in taken if chroms[i] == chroms[window] and abs(starts[i] - starts[window]) < reach]
            if len(taken) < count and not near:
                taken.append(int(window))
    return taken


def for_picture(
    values: Float[np.ndarray, "positions tracks"], resolution: int
) -> tuple[Float[np.ndarray, "bins tracks"], int]:
    """Mean signal per base in about a thousand bins of at most 128 bp (coarser values stay), and the bin in bp."""
    bases = len(values) * resolution
    bin_size = max(resolution, min(128, bases // _BINS))
    factor = bin_size // resolution
    grouped = np.asarray(values, np.float32).reshape(-1, factor, values.shape[1])
    return grouped.sum(axis=1) / bin_size, bin_size
