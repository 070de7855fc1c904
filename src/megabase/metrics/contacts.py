"""Correlation of contact maps: the mean over windows, as the paper takes it, and over all pixels, as Orca does."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from megabase.metrics.intervals import mean_of_known
from megabase.metrics.moments import moments, pearson

MOST_MISSING = 0.25
"""Windows with a larger share of missing pixels have no part in the pooled correlation (Orca; evaluation reference)."""

Maps = Float[np.ndarray, "windows bins bins"]


def contact_pearson(observed: Maps, predicted: Maps) -> float:
    """The mean over windows of the correlation over pixels known in both; windows without any do not count."""
    return float(mean_of_known(pearson(_sums(observed, predicted))))


def pooled_contact_pearson(observed: Maps, predicted: Maps, most_missing: float = MOST_MISSING) -> float:
    """One correlation over all known pixels of the windows that miss at most `most_missing` of what was observed."""
    kept = [window for window in range(len(observed)) if np.mean(~np.isfinite(observed[window])) <= most_missing]
    if not kept:
        return float("nan")
    return float(pearson(_sums(np.asarray(observed)[kept], np.asarray(predicted)[kept]).sum(axis=0)))


def pooled_difference_pearson(
    observed: tuple[Maps, Maps], predicted: tuple[Maps, Maps], most_missing: float = MOST_MISSING
) -> float:
    """Of two cell types, the pooled correlation of the difference second - first; both must be known well enough."""
    enough = [
        all(np.mean(~np.isfinite(maps[window])) <= most_missing for maps in observed)
        for window in range(len(observed[0]))
    ]
    x, y = (np.asarray(second)[enough] - np.asarray(first)[enough] for first, second in (observed, predicted))
    return pooled_contact_pearson(x, y, 1.0)


def _sums(observed: Maps, predicted: Maps) -> np.ndarray:
    rows = []
    for x, y in zip(observed, predicted, strict=True):
        x, y = np.ravel(x)[:, None], np.ravel(y)[:, None]
        rows.append(moments(x, y, np.isfinite(x) & np.isfinite(y))[0])
    return np.reshape(rows, (len(rows), 7))
