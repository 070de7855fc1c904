"""Mutated windows, which students learn their teachers' predictions on (paper section 6)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, Key, UInt8

from megabase.genome.sequence import UNKNOWN

LONGEST = 20
"""Longest structural variant, in bp; lengths are uniform from 1 (paper section 6)."""
INSERTION, DELETION, INVERSION = range(3)


def mutated(
    codes: UInt8[Array, "B S"], key: Key[Array, ""], *, rate: float, structural_variants: float
) -> UInt8[Array, "B S"]:
    """Windows with a share of `rate` of their bases drawn anew, and then `structural_variants` of them (the mean of a
    Poisson distribution) in each, one after another. A row depends on `key` and its own number alone."""

    def one(codes: UInt8[Array, " S"], key: Key[Array, ""]) -> UInt8[Array, " S"]:
        bases, number, rearrangement = jax.random.split(key, 3)
        variants = jax.random.poisson(number, structural_variants)
        return lax.fori_loop(
            0,
            variants,
            lambda i, codes: _rearranged(codes, jax.random.fold_in(rearrangement, i)),
            substituted(codes, bases, rate),
        )

    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(jnp.arange(len(codes)))
    return jax.vmap(one)(codes, keys)


def substituted(codes: UInt8[Array, " S"], key: Key[Array, ""], rate: float) -> UInt8[Array, " S"]:
    """A share of `rate` of the bases drawn anew from all four; unknown ones stay unknown."""
    chosen, drawn = jax.random.split(key)
    fresh = jax.random.randint(drawn, codes.shape, 0, 4, jnp.uint8)
    return jnp.where(jax.random.bernoulli(chosen, rate, codes.shape) & (codes != UNKNOWN), fresh, codes)


def rearranged(
    codes: UInt8[Array, " S"],
    inserted: UInt8[Array, " S"],
    kind: Int[Array, ""],
    start: Int[Array, ""],
    length: Int[Array, ""],
) -> UInt8[Array, " S"]:
    """One structural variant of `length` bp at `start`, in a window that stays as long as it was.

    Insertion: what moves beyond the end is cut off; the new bases are those of `inserted` at their places. Deletion:
    unknown bases fill the end, because what follows the window is not at hand. Inversion: the segment is
    reverse-complemented.
    """
    size = codes.shape[0]
    place = jnp.arange(size)
    inside = (place >= start) & (place < start + length)
    behind = place >= start
    source = jnp.select(
        [kind == INSERTION, kind == DELETION],
        [jnp.where(behind, place - length, place), jnp.where(behind, place + length, place)],
        jnp.where(inside, 2 * start + length - 1 - place, place),
    )
    moved = jnp.where(source < size, codes[jnp.clip(source, 0, size - 1)], jnp.uint8(UNKNOWN))
    complement = jnp.where(moved == UNKNOWN, moved, 3 - moved)
    moved = jnp.where(inside & (kind == INVERSION), complement, moved)
    return jnp.where(inside & (kind == INSERTION), inserted, moved)


def _rearranged(codes: UInt8[Array, " S"], key: Key[Array, ""]) -> UInt8[Array, " S"]:
    """A variant of any kind, length and place, all uniform; it ends inside the window."""
    keys = jax.random.split(key, 4)
    length = jax.random.randint(keys[1], (), 1, LONGEST + 1)
    return rearranged(
        codes,
        jax.random.randint(keys[3], codes.shape, 0, 4, jnp.uint8),
        jax.random.randint(keys[0], (), 0, 3),
        jax.random.randint(keys[2], (), 0, codes.shape[0] - length + 1),
        length,
    )
