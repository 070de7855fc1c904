"""How much splice sites are used, and how reads are shared among the junctions of a site.

Definitions: paper, section 1.6, and evaluation reference, section 3. Counts are of reads that span a junction.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int

from megabase.metrics.moments import moments, pearson


def splice_site_usage(used: Float[np.ndarray, "*n"], skipping: Float[np.ndarray, "*n"]) -> Float64[np.ndarray, "*n"]:
    """SSU = used / (used + skipping); NaN for a site without reads."""
    used, total = np.asarray(used, np.float64), np.asarray(used, np.float64) + skipping
    return np.where(total > 0, used / np.where(total > 0, total, 1), np.nan)


def psi5(
    counts: Float[np.ndarray, " junctions"], donors: Int[np.ndarray, " junctions"]
) -> Float64[np.ndarray, " junctions"]:
    """PSI5(D, A) = n(D, A) / Σ n(D, A') over all acceptors A' joined to D; NaN for a donor without reads.

    `donors` numbers the donor of each junction; strands and chromosomes have donors of their own.
    """
    return _shares(counts, donors)


def psi3(
    counts: Float[np.ndarray, " junctions"], acceptors: Int[np.ndarray, " junctions"]
) -> Float64[np.ndarray, " junctions"]:
    """PSI3(D, A) = n(D, A) / Σ n(D', A) over all donors D' joined to A; NaN for an acceptor without reads."""
    return _shares(counts, acceptors)


def junction_pearson(observed: Float[np.ndarray, " junctions"], predicted: Float[np.ndarray, " junctions"]) -> float:
    """Correlation of ln(1 + reads) over the junctions that have reads; NaN without any (paper: non-zero truth only)."""
    x, y = (np.log1p(np.maximum(np.asarray(one, np.float64), 0))[:, None] for one in (observed, predicted))
    return float(pearson(moments(x, y, (x > 0) & np.isfinite(y)))[0])


def share_pearson(observed: Float[np.ndarray, " junctions"], predicted: Float[np.ndarray, " junctions"]) -> float:
    """Correlation of PSI over junctions where both are known."""
    x, y = np.asarray(observed, np.float64)[:, None], np.asarray(predicted, np.float64)[:, None]
    return float(pearson(moments(x, y, np.isfinite(x) & np.isfinite(y)))[0])


def _shares(counts: Float[np.ndarray, " n"], owners: Int[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    if not len(counts):
        return np.zeros(0)
    counts = np.asarray(counts, np.float64)
    _, group = np.unique(owners, return_inverse=True)
    totals = np.bincount(group.ravel(), weights=counts)[group.ravel()]
    return np.where(totals > 0, counts / np.where(totals > 0, totals, 1), np.nan)
