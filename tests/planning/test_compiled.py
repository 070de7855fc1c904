"""What is read from a compiled program's text, and counted from a program's shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from jax import lax

from megabase.model import ModelConfig
from megabase.model.network import AlphaGenome
from megabase.planning.compiled import exchanged, full_length
from megabase.planning.flops import counted
from megabase.training.step import plain

TEXT = """
  %all-reduce.1 = f32[768]{0} all-reduce(%x), channel_id=1, replica_groups={{0,1}}, to_apply=%add
  %all-reduce.2 = (f32[2,3]{1,0}, bf16[4]{0}) all-reduce(%x, %y), channel_id=2
  %collective-permute-start.1 = (bf16[1,2,768]{2,1,0}, bf16[1,2,768]{2,1,0}, u32[], u32[]) collective-permute-start(%z)
  %collective-permute-done.1 = bf16[1,2,768]{2,1,0} collective-permute-done(%collective-permute-start.1)
  %all-gather.3 = f32[16,128]{1,0} all-gather(%w), dimensions={0}
  %fusion = f32[8]{0} fusion(%all-reduce.1), calls=%all-reduce.clone
"""


def test_collectives_are_counted_by_kind_with_what_a_device_gets() -> None:
    found = exchanged(TEXT)
    assert found["all-reduce"] == (2, 768 * 4 + 6 * 4 + 4 * 2)
    assert found["collective-permute"] == (1, 2 * 768 * 2 + 4)
    assert found["all-gather"] == (1, 16 * 128 * 4)
    assert set(found) == {"all-reduce", "collective-permute", "all-gather"}


def test_whole_windows_are_found_also_in_blocks() -> None:
    text = (
        "f32[2,16384,64]{2,1,0} f32[16388,63] bf16[64,16384] f32[2,2048,64] f32[16,1028,64] f32[2,1028,64] "
        "f32[1,16,1024,64]"
    )
    assert full_length(text, 16_384) == ["1,16,1024,64", "16,1028,64", "2,16384,64", "64,16384"]


def test_a_long_axis_of_weights_and_a_share_of_blocks_are_no_whole_windows() -> None:
    assert full_length("f32[2,563712]", 16_384) == []
    assert full_length("bf16[1,64,1024,1024] bf16[64,1028,1024]", 524_288) == []


SHAPE = jax.ShapeDtypeStruct


def test_a_product_and_a_convolution_are_two_operations_for_each_weight_and_place() -> None:
    x, w = SHAPE((3, 10, 4), jnp.float32), SHAPE((4, 6), jnp.float32)
    assert counted(jnp.matmul, x, w) == 2 * 3 * 10 * 4 * 6

    def convolve(x: jax.Array, w: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, w, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))

    assert counted(convolve, x, SHAPE((5, 4, 6), jnp.float32)) == 2 * 3 * 10 * 5 * 4 * 6


def test_a_loop_counts_as_often_as_it_runs() -> None:
    x, w = SHAPE((8, 4), jnp.float32), SHAPE((4, 4), jnp.float32)

    def loop(x: jax.Array, w: jax.Array) -> jax.Array:
        return lax.map(jax.checkpoint(lambda row: row @ w), x)

    assert counted(jax.jit(loop), x, w) == 2 * 8 * 4 * 4


@pytest.mark.parametrize(
    ("length", "dtype", "published"),
    [
        (16_384, "float32", 1.15),
        (16_384, "bfloat16", 1.15),
        (131_072, "bfloat16", 9.24),
        (1_048_576, "bfloat16", 77.2),
    ],
)
def test_the_paper_model_does_what_its_layers_say(shared: Path, length: int, dtype: str, published: float) -> None:
    """Architecture reference 12 leaves out the products of pairs of sites, and has the junction embedding of every
    base, which we make at the sites alone."""
    config = ModelConfig.paper(shared / "reference" / "tracks", dtype=dtype)
    model = nnx.eval_shape(lambda: AlphaGenome(config, rngs=nnx.Rngs(0)))
    graph, parameters, statistics = plain(model)
    heads = frozenset(spec.head for spec in config.heads if spec.bundle != "SPLICE_JUNCTIONS")

    def forward(parameters: Any, statistics: Any, dna: jax.Array, organism_index: jax.Array) -> Any:
        return nnx.merge(graph, parameters, statistics)(dna, organism_index, requested_outputs=heads)[0]

    dna, organism = SHAPE((1, length, 4), jnp.float32), SHAPE((1,), jnp.int32)
    every_base = 2 * length * 2 * config.network.channels * config.network.junction_channels
    found = counted(forward, parameters, statistics, dna, organism) + every_base
    assert found == pytest.approx(published * 1e12, rel=0.01)
