"""One convolution, as each kind of device does it best: the numbers are the same.

Processors take it as it is, or by fewer products (`winograd`). A TPU's compiler takes the longer over a convolution the
more positions it slides over: minutes for one of 131,072. A batch of blocks of 1,024 positions, each with the few
beyond its ends that it sees, compiles in seconds and runs as fast. On a GPU cuDNN does the convolution of a million
positions at the rate of a matrix product, but not its gradients: they are a convolution and matrix products there.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Float32

from megabase.model.sharding import DATA, SEQUENCE, mesh_in_context, platform
from megabase.model.winograd import shifted, suits, winograd

BLOCK = 1024
"""Positions of a block."""


def convolve(
    x: Float[Array, "B S I"], w: Float32[Array, "width I O"], b: Float32[Array, " O"]
) -> Float[Array, "B S O"]:
    """`out[t] = sum_k x[t + k - width // 2] w[k] + b`, zeros beyond the ends; odd widths; in the dtype of `x`."""
    if folds(x):
        y = folded(x, w)
    elif suits(x, w):
        y = tiled(x, w.astype(x.dtype))
    else:
        y = (multiplied if platform() == "gpu" else plain)(x, w)
    return y + b.astype(x.dtype)


def plain(x: Float[Array, "B S I"], w: Float[Array, "width I O"]) -> Float[Array, "B S O"]:
    """The convolution and its gradients as XLA has them."""
    return lax.conv_general_dilated(x, w.astype(x.dtype), (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))


@jax.custom_vjp
def tiled(x: Float[Array, "B S I"], w: Float[Array, "width I O"]) -> Float[Array, "B S O"]:
    """The convolution by fewer products (`winograd`); where it is differentiated, its gradients alone.

    Pooling gives the gradient to the larger of two values. Which of two nearly the same that is should not depend on
    how many devices there are, and several have the convolution as it is.
    """
    return winograd(x, w)


tiled.defvjp(lambda x, w: (plain(x, w), (x, w)), lambda kept, slope: jax.vjp(winograd, *kept)[1](slope))


@jax.custom_vjp
def multiplied(x: Float[Array, "B S I"], w: Float[Array, "width I O"]) -> Float[Array, "B S O"]:
    """The convolution as XLA has it; its gradient of `w` is a matrix product for each place of the kernel."""
    return plain(x, w)


def _kept(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
    return plain(x, w), (x, w)


def _gradients(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    x, w = kept
    # Behind the barrier a convolution like any other; XLA would hand a reversed kernel to cuDNN's backward algorithms.
    turned = lax.optimization_barrier(w[::-1].swapaxes(1, 2))
    halo = w.shape[0] // 2
    products = [
        jnp.einsum("bsi,bso->io", shifted(x, k - halo), slope, preferred_element_type=w.dtype)
        for k in range(w.shape[0])
    ]
    return plain(slope, turned), jnp.stack(products)


multiplied.defvjp(_kept, _gradients)


def folds(x: Float[Array, "B S C"]) -> bool:
    """Whether a convolution of `x` is folded: on a TPU, where each device holds several blocks of positions."""
    mesh = mesh_in_context()
    own, rest = divmod(x.shape[1], mesh.shape[SEQUENCE] if mesh else 1)
    return platform() == "tpu" and rest == 0 and own > BLOCK and own % BLOCK == 0


def folded(x: Float[Array, "B S I"], w: Float32[Array, "width I O"], block: int = BLOCK) -> Float[Array, "B S O"]:
    """`out[t] = sum_k x[t + k - width // 2] w[k]`, zeros beyond the ends; odd widths.

    Where positions are divided over devices, each folds its own, and gets what it sees of its neighbours from them: a
    batch of several windows and their blocks cannot be divided as one axis.
    """
    mesh = mesh_in_context()
    halo = w.shape[0] // 2

    def own(x: Array, w: Array) -> Array:
        before = after = jnp.zeros((x.shape[0], halo, x.shape[2]), x.dtype)
        if mesh is not None:
            devices = range(mesh.shape[SEQUENCE] - 1)
            before = lax.ppermute(x[:, -halo:], SEQUENCE, [(i, i + 1) for i in devices])
            after = lax.ppermute(x[:, :halo], SEQUENCE, [(i + 1, i) for i in devices])
        blocks = x.reshape(x.shape[0], -1, block, x.shape[2])
        before = jnp.concatenate((before[:, None], blocks[:, :-1, -halo:]), axis=1)
        after = jnp.concatenate((blocks[:, 1:, :halo], after[:, None]), axis=1)
        seen = jnp.concatenate((before, blocks, after), axis=2)
        y = lax.conv_general_dilated(
            seen.reshape(-1, block + 2 * halo, x.shape[2]),
            w.astype(x.dtype),
            (1,),
            "VALID",
            dimension_numbers=("NWC", "WIO", "NWC"),
        )
        return y.reshape(*x.shape[:2], -1)

    if mesh is None:
        return own(x, w)
    data = DATA if x.shape[0] % mesh.shape.get(DATA, 1) == 0 else None
    places = PartitionSpec(data, SEQUENCE)
    return jax.shard_map(own, in_specs=(places, PartitionSpec()), out_specs=places)(x, w)
