"""Convolutions of a few places by fewer products than they have places: Winograd's minimal filtering (S. Winograd,
Arithmetic Complexity of Computations, 1980; A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks,
2016).

Four neighbouring outputs, a tile, are made together. Inputs and weights are taken as polynomials and evaluated at as
many points as their product has coefficients; what they are at a point is multiplied, for all tiles by one matrix
product; and the outputs are put together from the products. A kernel of five places has eight products for four
outputs, where the convolution has twenty. The combinations take a part of the time that this saves (docs/model.md).

The error of an output is relative to the largest of the inputs that its tile sees, not to those it sees itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, reduce
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float64

from megabase.model.products import product
from megabase.model.sharding import one_processor

TILE = 4
"""Outputs that are made together."""
WIDTHS = (3, 5)
"""Places of the kernels it is made for: longer ones need more points, which lose more precision."""
POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
"""Where polynomials are evaluated, besides infinity: the first of these. For five places and 256 channels outputs are
right to 1.3e-6 in float32, those of the plain convolution to 3e-7."""
NARROWEST = 128
"""Fewest channels it is used for. Of narrower ones the combinations take what is saved."""


class Transforms(NamedTuple):
    """What is made of inputs, weights and products at each of n = TILE + width - 1 points."""

    inputs: Float64[np.ndarray, "n n"]
    """Of the n inputs that a tile sees."""
    weights: Float64[np.ndarray, "n width"]
    outputs: Float64[np.ndarray, "n TILE"]
    """What the product adds to each output."""


@cache
def transforms(width: int) -> Transforms:
    """Those of kernels of `width` places, by Lagrange's interpolation.

    The product of polynomials with TILE and `width` coefficients is the sum over points of its value there times
    `basis / basis(point)`, where the basis is the polynomial that is zero at the others; its highest coefficient, the
    value at infinity, belongs to the one that is zero at all. Transposed in one of the two, the product is a filter.
    """
    points = np.array(POINTS[: TILE + width - 2])
    others = [np.delete(points, i) for i in range(len(points))]
    basis = [np.append(np.poly(own)[::-1], 0.0) for own in others] + [np.poly(points)[::-1]]
    scale = np.array([np.prod(point - own) for point, own in zip(points, others, strict=True)] + [1.0])

    def values(coefficients: int) -> np.ndarray:
        infinity = np.arange(coefficients) == coefficients - 1
        return np.vstack([np.vander(points, coefficients, increasing=True), infinity])

    return Transforms(np.array(basis), values(width) / scale[:, None], values(TILE))


def suits(x: Float[Array, "B S I"], w: Float[Array, "width I O"]) -> bool:
    """Whether it is worth it: on one processor, for kernels of few places in float32 or wider, with channels enough to
    pay for combining inputs and outputs, and positions enough for combining the weights."""
    width, *channels = w.shape
    return (
        one_processor()
        and jnp.finfo(x.dtype).bits >= 32
        and width in WIDTHS
        and x.shape[1] % TILE == 0
        and 2 * x.shape[0] * x.shape[1] >= max(channels)
        and min(channels) >= NARROWEST
    )


def winograd(x: Float[Array, "B S I"], w: Float[Array, "width I O"]) -> Float[Array, "B S O"]:
    """`out[t] = sum_k x[t + k - width // 2] w[k]`, zeros beyond the ends; one of `WIDTHS`, S a multiple of `TILE`,
    `x` and `w` of one dtype. Its gradients are as few products, transposed."""
    by = transforms(len(w))
    batch, length, _ = x.shape
    places = x.reshape(batch, length // TILE, TILE, -1)
    first = -(len(w) // 2)
    seen = [divmod(place, TILE) for place in range(first, first + len(by.inputs))]
    inputs = _combined(by.inputs, [shifted(places[:, :, place], tile) for tile, place in seen])
    products = [product(v, u) for v, u in zip(inputs, _combined(by.weights, w), strict=True)]
    return jnp.stack(_combined(by.outputs.T, products), axis=2).reshape(batch, length, -1)


def _combined(by: Float64[np.ndarray, "outputs inputs"], of: Iterable[Array]) -> list[Array]:
    """Sums of arrays, each times its number in a row of `by`."""
    arrays = list(of)
    rows = (zip(row, arrays, strict=True) for row in by.tolist())
    return [reduce(jnp.add, (number * array for number, array in row if number)) for row in rows]


def shifted(x: Float[Array, "B N C"], by: int) -> Float[Array, "B N C"]:
    """`out[t] = x[t + by]`, zeros beyond the ends."""
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (-by, by, 0), (0, 0, 0)))
