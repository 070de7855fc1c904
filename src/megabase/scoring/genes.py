"""Scores of genes: expression over exons, and splice sites within gene bodies (architecture reference 9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

_PSEUDOCOUNT = 1e-3


def exon_score(
    ref: Float[np.ndarray, "G T"],
    alt: Float[np.ndarray, "G T"],
    lengths: Int[np.ndarray, " G"],
    aggregation: Literal["LFC", "ACTIVE"],
) -> Float[np.ndarray, "G T"]:
    """Of the sums over the exons of each gene (ALT aligned to REF): the log ratio of the means, or the larger mean."""
    means = [sums / lengths[:, None] for sums in (ref, alt)]
    if aggregation == "ACTIVE":
        return np.maximum(*means)
    return np.log(means[1] + _PSEUDOCOUNT) - np.log(means[0] + _PSEUDOCOUNT)


def matching(gene_strands: Sequence[str], track_strands: Sequence[str] | np.ndarray) -> Bool[np.ndarray, "G T"]:
    """Which tracks are of a gene's strand, or of none."""
    genes, tracks = np.array(gene_strands, str)[:, None], np.array(track_strands, str)[None]
    return (genes == tracks) | (tracks == ".")
