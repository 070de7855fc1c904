"""The loss of predicted junctions and its gradient, some tissues at a time.

All pairs of 512 donors and acceptors in 367 tissues and two strands are 0.77 GB. The loss compares sites of a tissue
with each other alone (`losses.junction_loss`), so counts, loss and gradient of some tissues are made together, while
the counts are in the cache, and none are kept.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Bool, Float, Float32

from megabase.model.products import wide
from megabase.model.sharding import one_processor, platform
from megabase.model.splicing import Sides, SitePairs, some_tissues, tissue_groups
from megabase.training.losses import junction_loss, pair_sums

_AXES = (-2, -1)
"""Donors and acceptors among the axes of counts."""


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def pairs_loss(
    pairs: SitePairs, target: Float[Array, "B K K 2*T"], mask: Bool[Array, "B #K #K 2*T_or_1"], compressed: bool
) -> Float[Array, ""]:
    """`losses.junction_loss` of the counts that a head predicts, over the pairs that are known: both sites are there,
    the tissue is no padding, and `mask` is true. `compressed`: whether the target is. Differentiable with respect to
    what is drawn and the sites in `pairs`."""
    loss: Array = _added_up(pairs, target, mask, compressed, differentiated=False)[0]
    return loss


def _kept(pairs: SitePairs, target: Array, mask: Array, compressed: bool) -> tuple[Array, tuple[Array, Sides]]:
    (loss, sites), drawn = _added_up(pairs, target, mask, compressed, differentiated=True)
    return loss, (drawn, sites)


def _slopes(_: bool, kept: tuple[Array, Sides], slope: Array) -> tuple[SitePairs, None, None]:
    drawn, sites = jax.tree.map(lambda own: slope.astype(own.dtype) * own, kept)
    constant: Any = None
    return SitePairs(drawn, sites, constant, constant, constant), None, None


pairs_loss.defvjp(_kept, _slopes)


def _added_up(pairs: SitePairs, target: Array, mask: Array, compressed: bool, *, differentiated: bool) -> Any:
    """The loss, or (loss, its gradient of the sites); and the gradient of what is drawn."""
    starts, fresh, places = tissue_groups(len(pairs.drawn))
    rows = _known_rows(pairs, mask)
    # On a processor one tissue at a time, so that it stays in the cache.
    together = 1 if platform() == "cpu" else fresh.shape[1]

    nothing = jnp.zeros((), wide(jax.tree.leaves(pairs.sites)[0]))

    def loss(drawn: Array, sites: Sides, wanted: Array, known: Array) -> Float[Array, ""]:
        counts = jax.vmap(pairs._replace(sites=sites).counts)(drawn)
        own = junction_loss(pair_sums(wanted, counts, known, _AXES), compressed=compressed, rows=rows)
        return own.astype(nothing.dtype)

    def some(total: Any, given: tuple[Array, Array, Array]) -> tuple[Any, Array | None]:
        drawn, wanted, known = given
        if not differentiated:
            return total + loss(drawn, pairs.sites, wanted, known), None
        value, (slope, sites) = jax.value_and_grad(loss, (0, 1))(drawn, pairs.sites, wanted, known)
        return jax.tree.map(jnp.add, total, (value, sites)), slope

    def group(total: Any, given: tuple[Array, Array]) -> tuple[Any, Array | None]:
        start, own = given
        each = some_tissues(pairs.drawn, start, 0), _of(target, start), _known(pairs, mask, start, own)
        return lax.scan(some, total, jax.tree.map(lambda x: x.reshape(-1, together, *x.shape[1:]), each))

    start = (nothing, jax.tree.map(jnp.zeros_like, pairs.sites)) if differentiated else nothing
    total, drawn = lax.scan(group, start, (jnp.asarray(starts), jnp.asarray(fresh)))
    return total, None if drawn is None else drawn.reshape(-1, *drawn.shape[3:])[places]


def _known_rows(pairs: SitePairs, mask: Array) -> tuple[Float32[Array, ""], Float32[Array, ""]]:
    """How many acceptors have a known pair, and how many donors, over all tissues."""
    starts, fresh, _ = tissue_groups(len(pairs.drawn))
    known = [pairs.known, pairs.known]
    if mask.shape[1:3] == (1, 1):
        # The same for all pairs of a tissue: whether a site has any is the same in all of them.
        known = [pairs.known.any(axis=axis, keepdims=True) for axis in _AXES]

    def group(given: tuple[Array, Array]) -> list[Array]:
        own = [_known(pairs._replace(known=x), mask, *given) for x in known]
        return [jnp.sum(x.any(axis=axis), dtype=jnp.float32) for x, axis in zip(own, _AXES, strict=True)]

    acceptors, donors = lax.map(group, (jnp.asarray(starts), jnp.asarray(fresh)))
    return acceptors.sum(), donors.sum()


def _of(x: Array, start: Array) -> Array:
    """What the store has of a group's tissues [B, D, A, 2 T], as counts stand: [G, B, 2, D, A]; what it has for all of
    them together as it is."""
    if x.shape[-1] == 1:
        return x.transpose(3, 0, 1, 2)[:, :, None]
    own = some_tissues(x.reshape(*x.shape[:-1], 2, -1), start, 4)
    if whole := one_processor():
        own = lax.optimization_barrier(own)
    turned = own.transpose(4, 0, 3, 1, 2)
    if whole:
        # Of what is divided over devices the compiler chooses the layout.
        turned = with_layout_constraint(turned, Layout(tuple(range(turned.ndim))))
    # Taken, then laid out as counts are, each once: in a loop over counts every value is read from a line of its own.
    return lax.optimization_barrier(turned)


def _known(pairs: SitePairs, mask: Array, start: Array, fresh: Array) -> Bool[Array, "G B 2 K K"]:
    """Pairs of a group's tissues, of those that no group before it has."""
    valid = some_tissues(pairs.valid.T, start, 0) & fresh[:, None]
    return pairs.known & valid[:, :, None, None, None] & _of(mask, start)
