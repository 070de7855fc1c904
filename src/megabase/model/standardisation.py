"""Weights of mean 0 and variance scale²/fan-in for each output channel, and their gradient, in as few passes over them
as can be: in a short window of the paper's model they are more than what they are multiplied with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Float32

FLOOR = 1e-4
"""Least variance, times fan-in, that weights are divided by (architecture reference 1)."""
_SLICES = 16
"""Parts that are added up elementwise: the rest of a sum is then a sixteenth of the weights."""


class Standard(NamedTuple):
    """What brings the weights of each output channel to their mean and variance."""

    mean: Float32[Array, " O"]
    factor: Float32[Array, " O"]


@jax.custom_vjp
def standard(w: Float32[Array, "width I O"], scale: Float32[Array, " O"]) -> Standard:
    """That of weights, for a variance of scale²/fan-in."""
    return _measured(w, scale)[0]


@jax.custom_vjp
def standardised(w: Float32[Array, "width I O"], by: Standard) -> Float32[Array, "width I O"]:
    """The weights, brought there."""
    return (w - by.mean) * by.factor


def _measured(w: Array, scale: Array) -> tuple[Standard, tuple[Array, ...]]:
    mean = _summed(lambda w: w, w) / _fan_in(w)
    squares = _summed(lambda w: jnp.square(w - mean), w)
    inverse = lax.rsqrt(jnp.maximum(squares, FLOOR))
    return Standard(mean, scale * inverse), (w, scale, mean, squares, inverse)


def _measured_slopes(kept: tuple[Array, ...], slopes: Standard) -> tuple[Array, Array]:
    w, scale, mean, squares, inverse = kept
    # The mean takes no part in the squares' slope: what is left of a mean sums to 0.
    spread = jnp.where(squares > FLOOR, -slopes.factor * scale * inverse**3, 0.0)
    return slopes.mean / _fan_in(w) + spread * (w - mean), slopes.factor * inverse


def _standardised_slopes(kept: tuple[Array, Standard], slope: Array) -> tuple[Array, Standard]:
    w, by = kept
    mean = -by.factor * _summed(lambda slope: slope, slope)
    factor = _summed(lambda slope, w: slope * (w - by.mean), slope, w)
    return slope * by.factor, Standard(mean, factor)


standard.defvjp(_measured, _measured_slopes)
standardised.defvjp(lambda w, by: (standardised(w, by), (w, by)), _standardised_slopes)


def _fan_in(w: Array) -> int:
    return w.shape[0] * w.shape[1]


def _summed(value: Callable[..., Array], *of: Float[Array, "width I O"]) -> Float[Array, " O"]:
    """The sum over all inputs of what `value` makes of each. A processor's compiler would write all of it down before
    it adds it up; some slices are first added to each other as they are made."""
    slices = math.gcd(_fan_in(of[0]), _SLICES)
    parts = [x.reshape(slices, -1, x.shape[-1]) for x in of]
    return sum((value(*(x[i] for x in parts)) for i in range(slices)), jnp.zeros(())).sum(axis=0)
