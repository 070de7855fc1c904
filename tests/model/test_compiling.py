"""What is to be computed again in the backward pass is not kept for it, and its products read weights as they lie;
memory is kept from one call to the next."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from megabase.model.compiling import compiled
from megabase.model.initialisation import Draws
from megabase.model.layers import ConvBlock, Linear

BLOCKS, POSITIONS, CHANNELS = 6, 1024, 128


def test_blocks_keep_their_input_alone() -> None:
    draws = Draws(nnx.Rngs(0))
    graph, *states = nnx.split(
        nnx.List([ConvBlock(5, CHANNELS, CHANNELS, draws) for _ in range(BLOCKS)]), nnx.Param, nnx.BatchStat
    )
    parameters, statistics = map(nnx.to_pure_dict, states)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, POSITIONS, CHANNELS), np.float32))

    def loss(parameters: Any) -> jax.Array:
        h = x
        for block in nnx.merge(graph, parameters, statistics):
            h = h + block(h, train=True)
        return jnp.mean(jnp.square(h))

    lowered = jax.jit(jax.grad(loss)).lower(parameters)
    ours, plain = compiled(lowered, "cpu", 1), lowered.compile()
    activation, weights = (4 * CHANNELS * size for size in (POSITIONS, 5 * CHANNELS))
    kept = [program.memory_analysis().temp_size_in_bytes for program in (ours, plain)]
    # Besides the input of each block there is what one of them works with.
    assert kept[0] < (BLOCKS + 5) * activation + 4 * weights < kept[1], kept
    for own, other in zip(*(jax.tree.leaves(program(parameters)) for program in (ours, plain)), strict=True):
        assert np.allclose(own, other, rtol=1e-3, atol=1e-5 * float(jnp.abs(other).max()))


def test_gradients_read_weights_as_they_lie_in_memory() -> None:
    width, layers, rows = 512, 8, 16
    draws = Draws(nnx.Rngs(0))
    graph, state = nnx.split(nnx.List([Linear(width, width, draws, bias=False) for _ in range(layers)]))
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, rows // 2, width), np.float32))

    def loss(state: Any, product: Callable[[Any, jax.Array], jax.Array]) -> jax.Array:
        h = x
        for layer in nnx.merge(graph, state):
            h = jnp.tanh(product(layer, h))
        return jnp.mean(jnp.square(h))

    lowered = jax.jit(jax.grad(lambda state: loss(state, lambda layer, h: layer(h)))).lower(state)
    program = compiled(lowered, "cpu", 1)
    products = [line for line in program.as_text().splitlines() if " dot(" in line and f"f32[{rows},{width}]" in line]
    assert len(products) >= 2 * layers - 1 and not any("rhs_contracting_dims={1}" in line for line in products)
    plain = jax.jit(jax.grad(lambda state: loss(state, lambda layer, h: h @ layer.w[...])))(state)
    for own, other in zip(*map(jax.tree.leaves, (program(state), plain)), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5 * float(jnp.abs(other).max()))


FAULTS = """
import resource, sys
import numpy as np
from megabase.model.compiling import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(1 << 26, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""How many pages of 64 MiB the system has to give, when as much was freed before."""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the GNU C library's way alone")
def test_freed_memory_is_used_again() -> None:
    kept, given = (
        int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "given back")
    )
    # Pages are of 4 KiB, or of 2 MiB where the system makes large ones by itself.
    assert kept < 8 <= given, (kept, given)
