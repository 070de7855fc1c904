"""Scores of polyadenylation: how a variant moves reads between the ends of a gene (architecture reference 9)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

UPSTREAM = 400
"""Bases before a site, itself included, whose coverage stands for its use."""


def polyadenylation_score(
    ref: Float[np.ndarray, "sites T"], alt: Float[np.ndarray, "sites T"]
) -> Float[np.ndarray, " T"]:
    """The largest change, over all ways to split a gene's sites into first and last ones, of the ratio of both.

    `ref`, `alt`: coverage summed before each site, by position (ALT aligned to REF); at least two sites.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        change = alt / ref
        change = np.where(np.isfinite(change), change, 0)
        before = np.cumsum(change, axis=0)[:-1]
        after = np.cumsum(change[::-1], axis=0)[::-1][1:]
        count = np.arange(1, len(change))[:, None]
        scores = np.abs(np.log2((len(change) - count) / count * before / after))
    scores = np.where(np.isfinite(scores), scores, 0)
    return scores.max(axis=0).astype(np.float32)
