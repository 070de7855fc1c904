"""What was observed and what was predicted of one window, side by side in the same shape: positions by tracks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32

from megabase.bundles import Bundle

COARSE = 128
"""Resolution, in bp, that baselines of signal are fitted at."""


class Observed(NamedTuple):
    """Values of one bundle in one window, and where they may be used."""

    data: Float32[np.ndarray, "positions tracks"]
    usable: Bool[np.ndarray, "positions tracks"]


def observed_values(
    bundle: Bundle,
    target: Float[np.ndarray, "*positions tracks"],
    mask: Bool[np.ndarray, "*_positions _tracks"],
    factor: int,
) -> Observed:
    """The target of a head, summed over `factor` neighbours; a sum is usable where all of them are.

    Contact maps become one row per pair of different bins, usable where they are not NaN. The diagonal, which is the
    contacts of a bin with itself, is left out: it is the same everywhere.
    """
    values = np.asarray(target, np.float32)
    if bundle.kind == "contact_maps":
        square = mask[:, None] & mask[None] if mask.ndim == 2 else mask
        return Observed(pair_rows(values), pair_rows(np.isfinite(values) & square))
    usable = np.broadcast_to(mask, values.shape)
    if factor == 1:
        return Observed(values, usable)
    tracks = values.shape[1]
    summed = values.reshape(-1, factor, tracks).sum(axis=1, dtype=np.float64).astype(np.float32)
    return Observed(summed, np.logical_and.reduce(usable.reshape(-1, factor, tracks), axis=1))


def predicted_values(
    bundle: Bundle, prediction: Float32[np.ndarray, "*positions tracks"]
) -> Float32[np.ndarray, "positions tracks"]:
    """A prediction of one window in the shape of `observed_values`."""
    return pair_rows(prediction) if bundle.kind == "contact_maps" else prediction


def pair_rows(square: Float[np.ndarray, "bins bins tracks"]) -> Float[np.ndarray, "pairs tracks"]:
    """The upper triangle of a map without its diagonal, row by row."""
    return square[np.triu_indices(len(square), 1)]


def pair_distances(bins: int) -> np.ndarray:
    """Distance, in bins, of each row of `pair_rows`: 1 or more."""
    first, second = np.triu_indices(bins, 1)
    return second - first


def to_bases(values: Float[np.ndarray, "bins tracks"], resolution: int) -> Float32[np.ndarray, "positions tracks"]:
    """Values of 128-bp bins at `resolution` bp, spread evenly over their bases."""
    factor = COARSE // resolution
    return np.repeat(values / factor, factor, axis=0).astype(np.float32)
