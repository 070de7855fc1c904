"""Sums over predicted junctions, some tissues at a time.

All pairs of 512 donors and acceptors in 367 tissues and two strands are 0.77 GB. Of them the loss needs sums along
donors and along acceptors alone (`losses.junction_loss`); what is kept for its gradient are the counts, once.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Bool, Float, Float32

from megabase.model.sharding import platform
from megabase.model.splicing import SitePairs, by_tissue, softplus_slope, some_tissues, tissue_groups
from megabase.training.losses import pair_sums

_AXES = (-2, -1)
"""Donors and acceptors among the axes of counts."""

Sums = tuple[Float32[Array, "4 T B 2 1 K"], Float32[Array, "4 T B 2 K 1"]]
"""`losses.pair_sums` along donors, and along acceptors."""


@jax.custom_vjp
def junction_sums(pairs: SitePairs, target: Float[Array, "B K K 2*T"], mask: Bool[Array, "B #K #K 2*T_or_1"]) -> Sums:
    """Sums over the counts that a head predicts, its targets, and the pairs that are known: both sites are there, the
    tissue is no padding, and `mask` is true. Differentiable with respect to what is drawn and the sites in `pairs`."""
    return _summed(pairs, target, mask)[0]


def _summed(pairs: SitePairs, target: Array, mask: Array) -> tuple[Sums, Float32[Array, "groups G B 2 K K"]]:
    starts, _, places = tissue_groups(len(pairs.drawn))

    def tissue(given: tuple[Array, Array, Array]) -> tuple[Array, ...]:
        drawn, wanted, known = given
        counts = pairs.counts(drawn)
        return counts, *pair_sums(wanted, counts, known, _AXES)

    def group(start: Array) -> tuple[Array, ...]:
        return by_tissue(tissue, (some_tissues(pairs.drawn, start, 0), _of(target, start), _known(pairs, mask, start)))

    counts, *sums = lax.map(group, starts)
    along = [jnp.moveaxis(x.reshape(-1, *x.shape[2:])[places], 1, 0) for x in sums]
    return (along[0], along[1]), counts


def _kept(pairs: SitePairs, target: Array, mask: Array) -> tuple[Sums, tuple[Any, ...]]:
    sums, counts = _summed(pairs, target, mask)
    return sums, (pairs, target, mask, counts)


def _slopes(kept: tuple[Any, ...], slopes: Sums) -> tuple[SitePairs, None, None]:
    pairs, target, mask, counts = kept
    starts, fresh, places = tissue_groups(len(pairs.drawn))
    zeros = jax.tree.map(jnp.zeros_like, pairs.sites)
    tissues = starts[:, None] + np.arange(fresh.shape[1])
    by_group = [jnp.moveaxis(x[:, tissues] * fresh[..., None, None, None, None], 1, 0) for x in slopes]

    def group(moved: Any, given: tuple[Array, Array, list[Array]]) -> tuple[Any, Array]:
        start, counts, own = given
        wanted, known = _of(target, start), _known(pairs, mask, start)
        (slope,) = jax.vjp(lambda counts: pair_sums(wanted, counts, known, _AXES), counts)[1](tuple(own))
        slope *= softplus_slope(counts)

        def products(drawn: Array, sites: Any) -> Array:
            return by_tissue(pairs._replace(sites=sites).products, drawn)

        drawn, sites = jax.vjp(products, some_tissues(pairs.drawn, start, 0), pairs.sites)[1](slope)
        return jax.tree.map(jnp.add, moved, sites), drawn

    sites, drawn = lax.scan(group, zeros, (jnp.asarray(starts), counts, by_group))
    drawn = drawn.reshape(-1, *drawn.shape[2:])[places]
    constant: Any = None
    return SitePairs(drawn, sites, constant, constant, constant), None, None


junction_sums.defvjp(_kept, _slopes)


def _of(x: Array, start: Array) -> Array:
    """What the store has of a group's tissues [B, D, A, 2 T], as counts stand: [G, B, 2, D, A]; what it has for all of
    them together as it is."""
    if x.shape[-1] == 1:
        return x.transpose(3, 0, 1, 2)[:, :, None]
    own = some_tissues(x.reshape(*x.shape[:-1], 2, -1), start, 4)
    if whole := platform() == "cpu" and jax.sharding.get_abstract_mesh().size <= 1:
        own = lax.optimization_barrier(own)
    turned = own.transpose(4, 0, 3, 1, 2)
    if whole:
        # Of what is divided over devices the compiler chooses the layout.
        turned = with_layout_constraint(turned, Layout(tuple(range(turned.ndim))))
    # Taken, then laid out as counts are, each once: in a loop over counts every value is read from a line of its own.
    return lax.optimization_barrier(turned)


def _known(pairs: SitePairs, mask: Array, start: Array) -> Bool[Array, "G B 2 K K"]:
    return pairs.known & some_tissues(pairs.valid.T, start, 0)[:, :, None, None, None] & _of(mask, start)
