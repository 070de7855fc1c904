"""Matrix products, whose gradients are products that each kind of device does well."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Float32

from megabase.model.sharding import one_processor, platform


def wide(x: Array) -> jnp.dtype:
    """The dtype to accumulate `x` in: float32, or its own where that is wider."""
    return jnp.promote_types(x.dtype, jnp.float32)


def turned_over(x: Float[Array, "*any N M"]) -> Float[Array, "*any M N"]:
    """Matrices the other way round, for a product to read.

    On processors they are laid out so before. Eigen would gather them value by value, from lines of the cache that
    often lie powers of two apart: for the few positions of the trunk that took longer than the product (docs/model.md).
    The barriers keep XLA from giving the product the matrix as it was, and from making it anew in the other order.
    """
    keep = lax.optimization_barrier if platform() == "cpu" else lambda x: x
    return keep(keep(x).mT)


@jax.custom_vjp
def product(x: Float[Array, "*positions I"], w: Float[Array, "I O"]) -> Float[Array, "*positions O"]:
    """`x w`. Its gradient of `x` reads the weights `turned_over`."""
    return x @ w


def _product_slopes(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    x, w = kept
    if platform() == "cpu":
        # Not before the slope is there, or all weights of the network would be turned over, and kept, at once.
        slope, w = lax.optimization_barrier((slope, w))
    back = slope @ turned_over(w)
    if one_processor():
        # What a product adds up along two axes XLA would turn over first.
        x, slope = (each.reshape(-1, each.shape[-1]) for each in (x, slope))
    return back, jnp.einsum("...i,...o->io", x, slope)


product.defvjp(lambda x, w: (product(x, w), (x, w)), _product_slopes)


@jax.custom_vjp
def mapped(x: Float[Array, "B *positions I"], w: Float[Array, "B I O"]) -> Float32[Array, "B *positions O"]:
    """`x w` by window, accumulated in float32. Its gradients are products in the dtype of `x` as well: left to JAX they
    would be in that of what is accumulated, which takes a GPU four times as long."""
    return jnp.einsum("b...i,bio->b...o", x, w, preferred_element_type=wide(x))


def _mapped_slopes(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    x, w = kept
    slope = slope.astype(x.dtype)
    back = jnp.einsum("b...o,bio->b...i", slope, w)
    return back, jnp.einsum("b...i,b...o->bio", x, slope, preferred_element_type=wide(x)).astype(w.dtype)


mapped.defvjp(lambda x, w: (mapped(x, w), (x, w)), _mapped_slopes)
