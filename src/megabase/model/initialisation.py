"""Initial values of the parameters.

Drawn with numpy: a compiled initialiser of the demo model alone takes longer than a minute of training.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float32


class Draws:
    """Initial values, in the order they are asked for.

    While tracing (`nnx.eval_shape`, `jax.jit`) there are no numbers to draw from: then they come from `jax.random`,
    equally distributed but not the same.
    """

    def __init__(self, rngs: nnx.Rngs) -> None:
        self._key = rngs.params()
        self._generator = None
        if not isinstance(self._key, jax.core.Tracer):
            self._generator = np.random.default_rng(np.asarray(jax.random.key_data(self._key)))

    def truncated_normal(self, *shape: int, std: float) -> Float32[Array, "*any"]:
        """Normal values cut at two standard deviations, without correction: their real deviation is 0.879 `std`
        (architecture reference 1)."""
        if self._generator is None:
            self._key, key = jax.random.split(self._key)
            return std * jax.random.truncated_normal(key, -2.0, 2.0, shape, jnp.float32)
        values = self._generator.standard_normal(shape, np.float32)
        while (outside := np.abs(values) > 2.0).any():
            values[outside] = self._generator.standard_normal(int(outside.sum()), np.float32)
        return jnp.asarray(np.float32(std) * values)

    @staticmethod
    def constant(value: float, *shape: int) -> Float32[Array, "*any"]:
        """One value everywhere."""
        return jnp.asarray(np.full(shape, value, np.float32))
