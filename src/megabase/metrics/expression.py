"""Expression of genes in three ways: as it is, and normalised for what genes, or tracks, have in common.

Paper, section 8.1, and evaluation reference, section 3. A matrix has the logarithm of the mean coverage of exons, a row
per gene and a column per track.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from megabase.metrics.intervals import mean_of_known
from megabase.metrics.moments import moments, pearson
from megabase.metrics.ranks import ranks

Levels = Float[np.ndarray, "genes tracks"]


def quantile_normalised(levels: Levels) -> Float64[np.ndarray, "genes tracks"]:
    """Every track given the same distribution over genes: the mean over tracks of the sorted values.

    A value takes that distribution at its rank; equal values share the mean of the ranks they cover, interpolated.
    Rows with NaN are NaN throughout, and do not count.
    """
    levels = np.asarray(levels, np.float64)
    made = np.full(levels.shape, np.nan)
    known = np.isfinite(levels).all(axis=1)
    own = levels[known]
    if len(own):
        common = np.sort(own, axis=0).mean(axis=1)
        places = np.arange(1, len(own) + 1)
        made[known] = np.stack([np.interp(ranks(column), places, common) for column in own.T], axis=1)
    return made


def specific(levels: Levels) -> Float64[np.ndarray, "genes tracks"]:
    """What is left of quantile-normalised levels without each gene's mean over tracks: where it is expressed."""
    normalised = quantile_normalised(levels)
    return normalised - normalised.mean(axis=1, keepdims=True)


def raw_expression(observed: Levels, predicted: Levels) -> Float64[np.ndarray, " tracks"]:
    """`raw`: of each track, the correlation across genes."""
    return _columns(np.asarray(observed), np.asarray(predicted))


def expression_across_genes(observed: Levels, predicted: Levels) -> Float64[np.ndarray, " tracks"]:
    """`normalised across genes`: of each track, the correlation across genes of what is specific to tracks."""
    return _columns(specific(observed), specific(predicted))


def expression_across_tracks(observed: Levels, predicted: Levels) -> float:
    """`normalised across tracks`, the paper's gene log fold change: the mean over genes of r across tracks.

    A gene whose levels are equal in all tracks, observed or predicted, has correlation 0 and counts. NaN without genes.
    """
    return float(mean_of_known(_columns(specific(observed).T, specific(predicted).T)))


def _columns(
    x: Float[np.ndarray, "rows columns"], y: Float[np.ndarray, "rows columns"]
) -> Float64[np.ndarray, " columns"]:
    return pearson(moments(x, y, np.isfinite(x) & np.isfinite(y)))
