"""Alternative polyadenylation: how coverage is divided between the first and the last sites of a gene."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64


def covr(sites: Float[np.ndarray, "sites *tracks"]) -> Float64[np.ndarray, "*tracks"]:
    """The largest log2 ratio of distal to proximal coverage, over all ways to split a gene's sites in two.

    COVR = max over k of log2(k / (n - k) x Σ_{i > k} c_i / Σ_{i <= k} c_i): the ratio of the mean coverage of the last
    n - k sites to that of the first k. `sites` has c_i, the coverage just before site i, in reading direction. A split
    without coverage on one side counts as 0 (evaluation reference, section 3). Raises ValueError below two sites.
    """
    coverage = np.asarray(sites, np.float64)
    count = len(coverage)
    if count < 2:
        raise ValueError(f"a gene with {count} polyadenylation site has no ratio")
    first = np.arange(1, count).reshape(-1, *[1] * (coverage.ndim - 1))
    proximal = np.cumsum(coverage, axis=0)[:-1]
    distal = np.cumsum(coverage[::-1], axis=0)[::-1][1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log2(first / (count - first) * distal / proximal)
    return np.asarray(np.where(np.isfinite(ratios), ratios, 0.0).max(axis=0))
