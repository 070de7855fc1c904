"""Predictions of the reverse complement, as the forward strand reads them (architecture reference 8)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Shaped

from megabase.model.heads import Predictions
from megabase.model.spec import HeadSpec

SITE_CLASSES = np.array([2, 3, 0, 1, 4])
"""Splice classes as the other strand sees them."""


def other_strand(strands: Int[np.ndarray, " T"]) -> Int[np.ndarray, " T"]:
    """Tracks as the other strand sees them: the i-th of the plus and the i-th of the minus strand change places.

    `strands`: 1, -1, or 0 for tracks of neither.
    """
    order = np.arange(len(strands))
    plus, minus = np.flatnonzero(strands == 1), np.flatnonzero(strands == -1)
    pairs = min(len(plus), len(minus))
    order[plus[:pairs]], order[minus[:pairs]] = minus[:pairs], plus[:pairs]
    return order


def turned_back(
    outputs: Predictions, spec: HeadSpec, organism_index: int, turned: Bool[Array, " B"], length: int
) -> Predictions:
    """The outputs of one head, those rows turned over for which the sequence was the reverse complement.

    DNase cuts are counted at the base right of them: at 1 bp they move right by one, and the first base, whose
    neighbour lies outside, becomes 0. `length`: bp of the sequence, from which splice-site positions are turned.
    """
    if spec.bundle == "SPLICE_JUNCTIONS":
        return _junctions(outputs, spec, turned, length)
    order = SITE_CLASSES if spec.bundle == "SPLICE_SITES" else other_strand(spec.track_strands[organism_index])
    made = {}
    for name, values in outputs.items():
        if spec.bundle == "CONTACT_MAPS":
            flipped = values[:, ::-1, ::-1]
        else:
            flipped = values[:, ::-1][..., order]
            if spec.bundle == "DNASE" and name.rpartition("_")[2] in ("1bp", "predictions"):
                flipped = jnp.pad(flipped[:, :-1], ((0, 0), (1, 0), (0, 0)))
        made[name] = _chosen(turned, flipped, values)
    return made


def _junctions(outputs: Predictions, spec: HeadSpec, turned: Bool[Array, " B"], length: int) -> Predictions:
    made = dict(outputs)
    for name in ("predictions", "splice_junction_mask"):
        if name in outputs:
            made[name] = _chosen(turned, jnp.roll(outputs[name], spec.tracks, axis=-1), outputs[name])
    positions = outputs["splice_site_positions"]
    mirrored = jnp.where(positions >= 0, length - 1 - positions, -1)[:, SITE_CLASSES[:4]]
    return made | {"splice_site_positions": _chosen(turned, mirrored, positions)}


def _chosen(
    turned: Bool[Array, " B"], flipped: Shaped[Array, "B *rest"], values: Shaped[Array, "B *rest"]
) -> Shaped[Array, "B *rest"]:
    return jnp.where(turned.reshape(-1, *[1] * (values.ndim - 1)), flipped, values)
