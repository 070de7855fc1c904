"""Convolutions folded into blocks, or with gradients as products: the same numbers, on one device and on several."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from megabase.model.convolutions import BLOCK, folded, folds, multiplied, plain


def difference(batch: int, length: int, width: int, other: Callable[..., jax.Array]) -> float:
    """Relative, of outputs and of both gradients, between the plain convolution and another."""
    draw = np.random.default_rng(0)
    x, w, y = (
        jnp.asarray(draw.normal(size=size), jnp.float32)
        for size in ((batch, length, 3), (width, 3, 2), (batch, length, 2))
    )
    sides = []
    for convolve in (plain, other):
        out, back = jax.vjp(jax.jit(convolve), x, w)
        sides.append((out, *back(y)))
    return max(float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b)) for a, b in zip(*sides, strict=True))


@pytest.mark.parametrize(("batch", "length", "width", "block"), [(1, 64, 5, 16), (3, 32, 15, 16), (2, 16, 5, 16)])
def test_blocks_give_the_numbers_of_the_whole(batch: int, length: int, width: int, block: int) -> None:
    assert difference(batch, length, width, lambda x, w: folded(x, w, block)) < 1e-6


@pytest.mark.parametrize(("batch", "length", "width"), [(1, 64, 5), (3, 32, 15), (2, 2, 5)])
def test_gradients_as_products_are_those_of_the_convolution(batch: int, length: int, width: int) -> None:
    assert difference(batch, length, width, multiplied) < 1e-6


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
from jax.sharding import AxisType
from megabase.model.convolutions import folded, multiplied
from test_convolutions import difference
for data, sequence, batch in ((1, 4, 2), (2, 2, 2), (2, 2, 3)):
    with jax.set_mesh(jax.make_mesh((data, sequence), ("data", "sequence"), axis_types=(AxisType.Auto,) * 2)):
        for other in (lambda x, w: folded(x, w, 16), multiplied):
            assert difference(batch, 128, 5, other) < 1e-6, (data, sequence, batch)
"""
    forced = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    forced["PYTHONPATH"] = os.path.dirname(__file__)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | forced)
    assert done.returncode == 0, done.stderr[-2000:]


def test_processors_do_not_fold() -> None:
    assert not folds(jnp.zeros((1, 4 * BLOCK, 1)))
