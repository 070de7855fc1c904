"""A batch computed in parts, one after another, where it is too much for the devices at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, Shaped

T = TypeVar("T")


def in_parts(compute: Callable[[PyTree, Array], T], batch: PyTree, key: Array, parts: int) -> T:
    """What `compute(part, key)` gives, averaged over `parts` equal parts of a batch: losses, gradients, statistics.

    One part is taken from every device, whichever there are: rows p, p + parts, p + 2 parts, ... are part p.
    """
    if parts == 1:
        return compute(batch, key)

    def divided(x: Shaped[Array, "B *rest"]) -> Shaped[Array, "parts B/parts *rest"]:
        return x.reshape(x.shape[0] // parts, parts, *x.shape[1:]).swapaxes(0, 1)

    def add(total: T, part: tuple[Array, PyTree]) -> tuple[T, None]:
        number, rows = part
        return jax.tree.map(jnp.add, total, compute(rows, jax.random.fold_in(key, number))), None

    split = jax.tree.map(divided, batch)
    shapes = jax.eval_shape(compute, jax.tree.map(lambda x: x[0], split), key)
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    total, _ = jax.lax.scan(add, nothing, (jnp.arange(parts), split))
    return jax.tree.map(lambda x: x / parts, total)
