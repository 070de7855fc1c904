"""Mutated windows: as many mutations as asked for, of the kinds and lengths asked for, and the same every time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from megabase.genome.sequence import UNKNOWN, reverse_complement
from megabase.training.mutations import DELETION, INSERTION, INVERSION, mutated, rearranged, substituted

DRAW = np.random.default_rng(0)
CODES = DRAW.integers(0, 4, 20_000, np.uint8)


def test_a_share_of_bases_is_drawn_anew() -> None:
    codes = CODES.copy()
    codes[:1000] = UNKNOWN
    changed = np.asarray(substituted(jnp.asarray(codes), jax.random.key(0), 0.04))
    assert (changed[:1000] == UNKNOWN).all()
    different = changed[1000:] != codes[1000:]
    # A quarter of the bases drawn are what was there.
    assert abs(different.mean() - 0.03) < 0.005
    assert set(np.unique(changed[1000:][different])) == {0, 1, 2, 3}
    assert np.array_equal(substituted(jnp.asarray(codes), jax.random.key(0), 0.0), codes)


@pytest.mark.parametrize(("start", "length"), [(0, 1), (7, 20), (80, 20)])
def test_structural_variants_do_what_they_say(start: int, length: int) -> None:
    codes, fresh = CODES[:100].copy(), DRAW.integers(0, 4, 100, np.uint8)
    codes[3:6] = codes[90] = UNKNOWN
    end = start + length

    def made(kind: int) -> np.ndarray:
        return np.asarray(rearranged(*map(jnp.asarray, (codes, fresh, kind, start, length))))

    assert np.array_equal(made(INSERTION), np.concatenate([codes[:start], fresh[start:end], codes[start:]])[:100])
    deleted = np.concatenate([codes[:start], codes[end:], np.full(length, UNKNOWN, np.uint8)])
    assert np.array_equal(made(DELETION), deleted)
    inverted = np.concatenate([codes[:start], reverse_complement(codes[start:end]), codes[end:]])
    assert np.array_equal(made(INVERSION), inverted)


def test_windows_have_poisson_many_variants_up_to_20_bp() -> None:
    """A deletion leaves as many unknown bases at the end as it is long."""
    codes = np.tile(CODES[:256], (600, 1))
    moved = made(codes, 1, 0.0, 1.0)
    assert abs((moved == codes).all(axis=1).mean() - np.exp(-1)) < 0.07
    deleted = (moved == UNKNOWN).sum(axis=1)
    # Deletions are a third of them, so that windows have none with probability exp(-1/3).
    assert abs((deleted > 0).mean() - (1 - np.exp(-1 / 3))) < 0.07
    lengths = deleted[deleted > 0]
    assert {1, 20} <= set(lengths) and np.median(lengths) < 15
    assert np.array_equal(made(codes, 1, 0.0, 0.0), codes)


def test_mutations_follow_from_the_key_and_the_row() -> None:
    codes = np.tile(CODES[:256], (600, 1))
    first = made(codes, 0, 0.04, 1.0)
    assert np.array_equal(first, made(codes, 0, 0.04, 1.0)) and not np.array_equal(first, made(codes, 1, 0.04, 1.0))
    assert not np.array_equal(first[0], first[1])
    other = codes.copy()
    other[5:] = 0
    assert np.array_equal(made(other, 0, 0.04, 1.0)[:5], first[:5])


@jax.jit
def _made(codes: jax.Array, seed: jax.Array, rate: jax.Array, variants: jax.Array) -> jax.Array:
    return mutated(codes, jax.random.key(seed), rate=rate, structural_variants=variants)


def made(codes: np.ndarray, seed: int, rate: float, variants: float) -> np.ndarray:
    return np.asarray(_made(codes, seed, rate, variants))
