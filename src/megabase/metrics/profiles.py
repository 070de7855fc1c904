"""How alike two profiles are in shape, whatever their totals.

Two quantities go by "JSD" (evaluation reference, metric definitions): ChromBPNet and the paper's DNase and ATAC rows
use the distance, the square root of the divergence, in natural logarithms; ProCapNet the divergence. Both are here by
name.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64


def jensen_shannon_divergence(
    observed: Float[np.ndarray, "*batch positions"], predicted: Float[np.ndarray, "*batch positions"]
) -> Float64[np.ndarray, "*batch"]:
    """JS(p, q) = ½ Σ p ln(p/m) + ½ Σ q ln(q/m), m = (p + q)/2, with p and q the profiles scaled to sum to 1.

    In nats, from 0 to ln 2. NaN where a profile has no counts. Profiles must not be negative.
    """
    x, y = np.asarray(observed, np.float64), np.asarray(predicted, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = x / x.sum(axis=-1, keepdims=True), y / y.sum(axis=-1, keepdims=True)
    middle = (p + q) / 2
    return np.maximum(_relative_entropy(p, middle) + _relative_entropy(q, middle), 0) / 2


def jensen_shannon_distance(
    observed: Float[np.ndarray, "*batch positions"], predicted: Float[np.ndarray, "*batch positions"]
) -> Float64[np.ndarray, "*batch"]:
    """√JS(p, q), from 0 to √ln 2 = 0.833: the "profile JSD" of ChromBPNet and of the paper."""
    return np.sqrt(jensen_shannon_divergence(observed, predicted))


def median_profile_distance(
    observed: Float[np.ndarray, "regions positions"], predicted: Float[np.ndarray, "regions positions"]
) -> float:
    """The paper's profile JSD of a track: the median over regions of the distance; regions without counts do not count.

    NaN where no region is left. ChromBPNet divides counts by 0.001 + their sum before it takes the distance, which
    scales again: the same number.
    """
    distances = jensen_shannon_distance(observed, predicted)
    known = distances[np.isfinite(distances)]
    return float(np.median(known)) if len(known) else float("nan")


def _relative_entropy(
    p: Float64[np.ndarray, "*batch positions"], q: Float64[np.ndarray, "*batch positions"]
) -> Float64[np.ndarray, "*batch"]:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p == 0, 0.0, p * np.log(p / q))
    return terms.sum(axis=-1)
