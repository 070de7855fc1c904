"""What everything else is made of: normalisations, convolutions, linear maps (architecture reference 1).

Parameters are float32. A layer computes in the dtype of its input; statistics are accumulated in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.extend.core import Primitive
from jax.extend.core.primitives import custom_vjp_call_p
from jaxtyping import Array, Float, Float32, Int, Key

from megabase.model.config import Remat
from megabase.model.convolutions import convolve
from megabase.model.initialisation import Draws
from megabase.model.products import mapped, product, wide
from megabase.model.standardisation import Standard, standard, standardised

EPSILON = 1e-5
"""Added to every mean square before its root (architecture reference 1)."""
EMA_DECAY = 0.9
"""Decay of the running mean squares (paper section 3)."""


def gelu(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """`x sigmoid(1.702 x)`, the activation of convolution blocks and embedders (architecture reference 1)."""
    return x * jax.nn.sigmoid(1.702 * x)


def fold(key: Key[Array, ""] | None, site: int) -> Key[Array, ""] | None:
    """The key of one site below `key`; None stays None."""
    return None if key is None else jax.random.fold_in(key, site)


def dropout(x: Float[Array, "*any"], rate: float, key: Key[Array, ""] | None) -> Float[Array, "*any"]:
    """Sets a share of `rate` of the values to zero and scales the rest up; nothing without a key or rate."""
    if key is None or rate == 0.0:
        return x
    kept = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    return jnp.where(kept, x / (1.0 - rate), jnp.zeros((), x.dtype))


def stage(remat: Remat, call: Callable[..., Any], module: nnx.Module, *args: Any) -> Any:
    """`call(module, *args)`, of which `remat` says what is computed again in the backward pass."""
    if remat == "nothing":
        return call(module, *args)
    return nnx.remat(call, policy=_is_product if remat == "elementwise" else None)(module, *args)


def _is_product(primitive: Primitive, *_: Any, **parameters: Any) -> bool:
    """Whether what a primitive gives took many operations a value: a convolution's, or a product's with parameters, not
    those of attention, which are as many as pairs of positions."""
    if primitive is lax.dot_general_p:
        return not parameters["dimension_numbers"][1][0]
    if primitive is custom_vjp_call_p:
        return [own.primitive for own in parameters["call_jaxpr"].eqns] == [lax.dot_general_p]
    return primitive is lax.conv_general_dilated_p


class RMSBatchNorm(nnx.Module):
    """`x scale / sqrt(mean square + eps) + offset` per channel, the mean square taken over batch and positions.

    In training it is that of the batch (over all devices: the batch is one array to the compiler) and moves the running
    one by a tenth; otherwise the running one is used (paper section 3, architecture reference 1).
    """

    def __init__(self, channels: int, draws: Draws) -> None:
        self.scale = nnx.Param(draws.constant(1.0, channels))
        self.offset = nnx.Param(draws.constant(0.0, channels))
        self.var_ema = nnx.BatchStat(draws.constant(1.0, channels))

    def __call__(self, x: Float[Array, "*positions C"], *, train: bool) -> Float[Array, "*positions C"]:
        return self.scaled(x, self.factor(x, train=train))

    def factor(self, x: Float[Array, "*positions C"], *, train: bool) -> Float[Array, " C"]:
        """What each channel is multiplied by; in training that of these positions, which the running one follows."""
        running = mean_square = self.var_ema[...]
        if train:
            mean_square = jnp.mean(jnp.square(x.astype(wide(x))), axis=range(x.ndim - 1))
            moved = EMA_DECAY * running + (1.0 - EMA_DECAY) * mean_square
            self.var_ema.set_value(lax.stop_gradient(moved))
        return self.scale[...] * lax.rsqrt(mean_square + EPSILON)

    def scaled(self, x: Float[Array, "*positions C"], factor: Float[Array, " C"]) -> Float[Array, "*positions C"]:
        """`x` by its factor, and the offset added."""
        return x * factor.astype(x.dtype) + self.offset[...].astype(x.dtype)


class LayerNorm(nnx.Module):
    """Normalises the channels of each position; `centred=False` leaves their mean (the RMS layer norm)."""

    def __init__(self, channels: int, draws: Draws, *, centred: bool = True) -> None:
        self.scale = nnx.Param(draws.constant(1.0, channels))
        self.offset = nnx.Param(draws.constant(0.0, channels))
        self.centred = centred

    def __call__(self, x: Float[Array, "... C"]) -> Float[Array, "... C"]:
        h = x.astype(wide(x))
        if self.centred:
            h = h - jnp.mean(h, axis=-1, keepdims=True)
        inverse = lax.rsqrt(jnp.mean(jnp.square(h), axis=-1, keepdims=True) + EPSILON)
        return (h * inverse * self.scale[...] + self.offset[...]).astype(x.dtype)


class Linear(nnx.Module):
    """`x w + b`; weights drawn with deviation 1/sqrt(inputs)."""

    def __init__(self, inputs: int, outputs: int, draws: Draws, *, bias: bool = True) -> None:
        self.w = nnx.Param(draws.truncated_normal(inputs, outputs, std=inputs**-0.5))
        self.b = nnx.Param(draws.constant(0.0, outputs)) if bias else None

    def __call__(self, x: Float[Array, "... inputs"]) -> Float[Array, "... outputs"]:
        y = product(x, self.w[...].astype(x.dtype))
        return y if self.b is None else y + self.b[...].astype(x.dtype)


class MultiOrganismLinear(nnx.Module):
    """A linear map of its own for each organism; accumulated and returned in float32 (architecture reference 6)."""

    def __init__(self, organisms: int, inputs: int, outputs: int, draws: Draws) -> None:
        self.w = nnx.Param(draws.truncated_normal(organisms, inputs, outputs, std=inputs**-0.5))
        self.b = nnx.Param(draws.constant(0.0, organisms, outputs))

    def __call__(
        self, x: Float[Array, "B *positions inputs"], organism_index: Int[Array, " B"]
    ) -> Float32[Array, "B *positions outputs"]:
        w = self.w[...][organism_index].astype(x.dtype)
        b = self.b[...][organism_index]
        y = mapped(x, w)
        return y + b.reshape(b.shape[0], *[1] * (x.ndim - 2), b.shape[1])


class OrganismEmbedding(nnx.Module):
    """One vector per organism, the same at all positions."""

    def __init__(self, organisms: int, channels: int, draws: Draws) -> None:
        self.embeddings = nnx.Param(draws.truncated_normal(organisms, channels, std=1.0))

    def __call__(
        self, x: Float[Array, "B *positions C"], organism_index: Int[Array, " B"]
    ) -> Float[Array, "B *positions C"]:
        """`x` with the organism's vector added."""
        vector = self.embeddings[...][organism_index].astype(x.dtype)
        return x + vector.reshape(vector.shape[0], *[1] * (x.ndim - 2), vector.shape[1])


class Conv1D(nnx.Module):
    """Cross-correlation with zeros beyond both ends; the output is as long as the input."""

    def __init__(self, width: int, inputs: int, outputs: int, draws: Draws) -> None:
        self.w = nnx.Param(draws.truncated_normal(width, inputs, outputs, std=(width * inputs) ** -0.5))
        self.b = nnx.Param(draws.constant(0.0, outputs))

    def __call__(self, x: Float[Array, "B S inputs"]) -> Float[Array, "B S outputs"]:
        return convolve(x, self.w[...], self.b[...])


class StandardizedConv1D(nnx.Module):
    """A convolution whose weights are brought to mean 0 and variance scale²/fan-in for each output channel.

    The released initialiser sets the weights to zero, a placeholder for a checkpoint's: these are drawn. The size of
    the draw does not matter, as long as its variance times the fan-in stays above the floor of 1e-4.
    A scale of 1 passes the mean square of the input on (0.43 after norm and gelu): each convolution block adds that
    much to the residual stream, whatever the stream's own size, so it grows linearly with depth, not geometrically.
    """

    def __init__(self, width: int, inputs: int, outputs: int, draws: Draws) -> None:
        self.w = nnx.Param(draws.truncated_normal(width, inputs, outputs, std=(width * inputs) ** -0.5))
        self.scale: nnx.Param | None = nnx.data(nnx.Param(draws.constant(1.0, outputs)))
        """None once the weights are standardised for good."""
        self.bias = nnx.Param(draws.constant(0.0, outputs))

    def __call__(self, x: Float[Array, "B S inputs"], by: Standard | None = None) -> Float[Array, "B S outputs"]:
        """`by`: the weights' own `standard`, where it is at hand."""
        w, by = self.w[...], by or self.standard()
        return convolve(x, standardised(w, by) if by else w, self.bias[...])

    def standard(self) -> Standard | None:
        """What the weights are standardised by; None once they are for good."""
        return None if self.scale is None else standard(self.w[...], self.scale[...])

    def prepare(self, dtype: jnp.dtype) -> None:
        """Standardises the weights for good, for computing in `dtype`: they are no longer those that training moves."""
        if self.scale is not None:
            self.w = nnx.Param(_prepared(self.w[...], self.scale[...], dtype))
            self.scale = None


class ConvBlock(nnx.Module):
    """Norm, gelu, then a standardised convolution, or an ordinary linear map when one position wide."""

    def __init__(self, width: int, inputs: int, outputs: int, draws: Draws) -> None:
        self.norm = RMSBatchNorm(inputs, draws)
        self.conv: StandardizedConv1D | Linear
        self.conv = StandardizedConv1D(width, inputs, outputs, draws) if width > 1 else Linear(inputs, outputs, draws)

    def __call__(self, x: Float[Array, "B S inputs"], *, train: bool) -> Float[Array, "B S outputs"]:
        # Of a block the backward pass keeps `x` alone: what the convolution takes and its standardised weights are
        # quickly made again, by what each channel is multiplied by, and its output is not needed.
        by = (self.conv.standard(),) if isinstance(self.conv, StandardizedConv1D) else ()
        block = jax.checkpoint(lambda x, factor, *by: self.conv(gelu(self.norm.scaled(x, factor)), *by))
        return block(x, self.norm.factor(x, train=train), *by)


@partial(jax.jit, static_argnames="dtype")
def _prepared(w: Array, scale: Array, dtype: jnp.dtype) -> Array:
    return standardised(w, standard(w, scale)).astype(dtype)
