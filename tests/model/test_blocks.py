"""Convolutions folded into blocks: the same numbers, on one device and on several."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from megabase.model.blocks import BLOCK, folded, folds


def plain(x: jax.Array, w: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(x, w, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))


def difference(batch: int, length: int, width: int, block: int) -> float:
    """Relative, of outputs and of both gradients."""
    draw = np.random.default_rng(0)
    x, w, y = (
        jnp.asarray(draw.normal(size=size), jnp.float32)
        for size in ((batch, length, 3), (width, 3, 2), (batch, length, 2))
    )
    sides = []
    for convolve in (plain, lambda x, w: folded(x, w, block)):
        out, back = jax.vjp(jax.jit(convolve), x, w)
        sides.append((out, *back(y)))
    return max(float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b)) for a, b in zip(*sides, strict=True))


@pytest.mark.parametrize(("batch", "length", "width", "block"), [(1, 64, 5, 16), (3, 32, 15, 16), (2, 16, 5, 16)])
def test_blocks_give_the_numbers_of_the_whole(batch: int, length: int, width: int, block: int) -> None:
    assert difference(batch, length, width, block) < 1e-6


def test_blocks_give_the_numbers_of_the_whole_on_several_devices() -> None:
    program = """
import jax
from jax.sharding import AxisType
from test_blocks import difference
for data, sequence, batch in ((1, 4, 2), (2, 2, 2), (2, 2, 3)):
    with jax.set_mesh(jax.make_mesh((data, sequence), ("data", "sequence"), axis_types=(AxisType.Auto,) * 2)):
        assert difference(batch, 128, 5, 16) < 1e-6, (data, sequence, batch)
"""
    forced = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    forced["PYTHONPATH"] = os.path.dirname(__file__)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | forced)
    assert done.returncode == 0, done.stderr[-2000:]


def test_processors_do_not_fold() -> None:
    assert not folds(jnp.zeros((1, 4 * BLOCK, 1)))
