"""Convolutions folded into blocks, by fewer products, or with gradients as products: the same numbers, on one device
and on several."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from megabase.model.convolutions import BLOCK, convolve, folded, folds, multiplied, plain, tiled
from megabase.model.winograd import NARROWEST, suits, winograd


def drawn(batch: int, length: int, width: int, inputs: int, outputs: int) -> list[np.ndarray]:
    """Positions, a kernel, and slopes of what it makes of them."""
    draw = np.random.default_rng(0)
    return [
        draw.normal(size=size) for size in ((batch, length, inputs), (width, inputs, outputs), (batch, length, outputs))
    ]


def difference(batch: int, length: int, width: int, other: Callable[..., jax.Array], dtype: type = np.float32) -> float:
    """Relative, of outputs and of both gradients, between the plain convolution and another."""
    x, w, y = (jnp.asarray(values, dtype) for values in drawn(batch, length, width, 3, 2))
    sides = []
    for own in (plain, other):
        out, back = jax.vjp(jax.jit(own), x, w)
        sides.append((out, *back(y)))
    return max(float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b)) for a, b in zip(*sides, strict=True))


@pytest.mark.parametrize(("batch", "length", "width", "block"), [(1, 64, 5, 16), (3, 32, 15, 16), (2, 16, 5, 16)])
def test_blocks_give_the_numbers_of_the_whole(batch: int, length: int, width: int, block: int) -> None:
    assert difference(batch, length, width, lambda x, w: folded(x, w, block)) < 1e-6


@pytest.mark.parametrize(("batch", "length", "width"), [(1, 64, 5), (3, 32, 15), (2, 2, 5)])
def test_gradients_as_products_are_those_of_the_convolution(batch: int, length: int, width: int) -> None:
    assert difference(batch, length, width, multiplied) < 1e-6


@pytest.mark.parametrize(("batch", "length", "width"), [(1, 64, 5), (3, 32, 3), (2, 4, 5), (2, 4, 3), (1, 8, 5)])
def test_fewer_products_give_the_numbers_of_the_convolution(batch: int, length: int, width: int) -> None:
    with jax.enable_x64(True):
        for other in (winograd, tiled):
            assert difference(batch, length, width, other, np.float64) < 1e-14


@pytest.mark.parametrize("width", [3, 5])
def test_fewer_products_lose_less_than_a_digit(width: int) -> None:
    x, w, y = drawn(1, 512, width, 256, 256)
    sides = []
    for dtype, own in ((np.float64, plain), (np.float32, winograd)):
        with jax.enable_x64(dtype is np.float64):
            out, back = jax.vjp(jax.jit(own), *(jnp.asarray(values, dtype) for values in (x, w)))
            sides.append([np.asarray(values) for values in (out, *back(jnp.asarray(y, dtype)))])
    exact, ours = sides
    assert [values.dtype for values in ours] == [np.float32] * 3
    errors = [np.abs(own - best).max() / np.abs(best).max() for own, best in zip(ours, exact, strict=True)]
    assert max(errors) < 4e-6, errors


def test_wide_convolutions_on_one_processor_are_made_of_fewer_products() -> None:
    x, w = jnp.zeros((2, 256, NARROWEST)), jnp.zeros((5, NARROWEST, 2 * NARROWEST))
    assert suits(x, w)
    assert suits(x, jnp.zeros((5, NARROWEST, 1024)))
    others = {
        "longer": (x, jnp.zeros((7, NARROWEST, NARROWEST))),
        "narrower": (x[..., 1:], w[:, 1:]),
        "more weights than positions pay for": (x, jnp.zeros((5, NARROWEST, 1028))),
        "no whole tiles": (x[:, 1:], w),
        "less precise": (x.astype(jnp.bfloat16), w),
    }
    assert [name for name, given in others.items() if suits(*given)] == []

    def convolutions(x: jax.Array, w: jax.Array) -> list[int]:
        """In the program of the outputs, and in that with their gradients."""

        def outputs(x: jax.Array, w: jax.Array) -> jax.Array:
            return convolve(x, w, jnp.zeros(w.shape[2]))

        programs = outputs, jax.grad(lambda *given: outputs(*given).sum(), (0, 1))
        return [str(jax.make_jaxpr(program)(x, w)).count("conv_general_dilated[") for program in programs]

    assert convolutions(x, w) == [0, 1]
    assert convolutions(*others["narrower"]) == [1, 3]


def test_gradients_of_weights_are_summed_in_float32() -> None:
    # Of ones: 4,097 and more are not whole numbers of bfloat16.
    x, w = jnp.ones((1, 5000, 1), jnp.bfloat16), jnp.ones((5, 1, 1), jnp.float32)
    _, back = jax.vjp(multiplied, x, w)
    slope_x, slope_w = back(jnp.ones((1, 5000, 1), jnp.bfloat16))
    assert slope_x.dtype == jnp.bfloat16
    assert slope_w.dtype == jnp.float32
    assert slope_w.ravel().tolist() == [4998, 4999, 5000, 4999, 4998]


def test_the_other_ways_give_the_numbers_of_the_whole_on_several_devices() -> None:
    program = """
import jax
import jax.numpy as jnp
from jax.sharding import AxisType
from megabase.model.convolutions import folded, multiplied
from megabase.model.winograd import suits
from test_convolutions import difference
for data, sequence, batch in ((1, 4, 2), (2, 2, 2), (2, 2, 3)):
    with jax.set_mesh(jax.make_mesh((data, sequence), ("data", "sequence"), axis_types=(AxisType.Auto,) * 2)):
        for other in (lambda x, w: folded(x, w, 16), multiplied):
            assert difference(batch, 128, 5, other) < 1e-6, (data, sequence, batch)
        assert not suits(jnp.zeros((batch, 1024, 256)), jnp.zeros((5, 256, 256)))
"""
    forced = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    forced["PYTHONPATH"] = os.path.dirname(__file__)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | forced)
    assert done.returncode == 0, done.stderr[-2000:]


def test_processors_do_not_fold() -> None:
    assert not folds(jnp.zeros((1, 4 * BLOCK, 1)))
