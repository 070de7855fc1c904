"""Between the signal's own units and the model's: divided by the track's mean, squashed, large values compressed.

Targets go in, predictions come out (architecture reference 6.1). Losses and heads use these two, and nothing else.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

SOFT_CLIP = 10.0
"""Scaled values above this grow with the square root only (paper section 4, architecture reference 6.1)."""


def targets_scaling(
    targets: Float[Array, "... T"], track_means: Float[Array, "... T"], resolution: int, *, squash: float = 1.0
) -> Float[Array, "... T"]:
    """Signal (sum over `resolution` bp, >= 0) in model space: `t = (y / (mean resolution))^squash`, and
    `2 sqrt(10 t) - 10` where t > 10. `track_means`: mean of the track's non-zero bases, in signal per base."""
    t = targets / (track_means * resolution)
    if squash != 1.0:
        t = t**squash
    return soft_clip(t)


def soft_clip(t: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """`2 sqrt(10 t) - 10` where t > 10, else t: slope and value meet at 10."""
    return jnp.where(t > SOFT_CLIP, 2.0 * jnp.sqrt(SOFT_CLIP * jnp.maximum(t, SOFT_CLIP)) - SOFT_CLIP, t)


def predictions_unscaled(
    scaled: Float[Array, "... T"], track_means: Float[Array, "... T"], resolution: int, *, squash: float = 1.0
) -> Float[Array, "... T"]:
    """The inverse: `u = (x + 10)^2 / 40` where x > 10, to the power 1/squash, times mean and `resolution`."""
    u = jnp.where(scaled > SOFT_CLIP, jnp.square(scaled + SOFT_CLIP) / (4.0 * SOFT_CLIP), scaled)
    if squash != 1.0:
        u = u ** (1.0 / squash)
    return u * (track_means * resolution)
