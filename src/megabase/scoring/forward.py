"""The model compiled for inference: one program for each set of heads and shape of the input."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float32, Int, Int32, Shaped, UInt8

from megabase.model.compiling import compiler_options
from megabase.model.heads import Embeddings
from megabase.model.network import AlphaGenome
from megabase.model.sharding import DATA
from megabase.model.spec import HeadSpec

Outputs = dict[str, dict[str, Float32[Array, "B *positions T"]]]
"""Predictions by head and output, in the signal's own units; all columns, padding too."""


class Forward:
    """A model whose weights stay on the device."""

    def __init__(self, model: AlphaGenome) -> None:
        self.specs: dict[str, HeadSpec] = {spec.head: spec for spec in model.config.heads}
        """By head, in the order of the model."""
        self.graph, self.state = nnx.split(model.prepared())
        self._options = compiler_options(jax.default_backend(), jax.device_count())
        # Two programs: XLA holds all that a program gives from its start, beside what it computes with.
        self._embed = jax.jit(self._embedded, static_argnames="heads", compiler_options=self._options)
        self._read = jax.jit(self._predicted, static_argnames="heads", compiler_options=self._options)

    def __call__(
        self,
        codes: UInt8[Any, "B S"],
        index: Int[Any, " B"],
        heads: Collection[str],
        positions: Int32[Any, "B 4 K"] | None = None,
    ) -> Outputs:
        """What these heads predict for base codes (4: unknown) and rows of organisms; junctions at `positions`."""
        wanted = frozenset(heads)
        embeddings = self._embed(self.state, codes, index, heads=wanted)
        return self._read(self.state, embeddings, index, positions, heads=wanted)

    def compiled(self, program: Any, whole: int = 0) -> Any:
        """`program(model, *arrays)` as a compiled function of the arrays, one program for each of their shapes.

        Arrays and what the program gives are divided over all devices by their first axis where it can be divided; the
        first `whole` arrays go to every device.
        """

        def predicted(state: Any, *arrays: Array) -> Any:
            return program(nnx.merge(self.graph, state), *arrays)

        run = jax.jit(predicted, compiler_options=self._options)
        devices = jax.device_count()
        if devices == 1:
            return partial(run, self.state)
        mesh = jax.make_mesh((devices,), (DATA,), axis_types=(AxisType.Auto,))

        @cache
        def mapped(count: int) -> Any:
            given = (P(),) * (whole + 1) + (P(DATA),) * (count - whole)
            each = jax.shard_map(predicted, mesh=mesh, in_specs=given, out_specs=P(DATA), check_vma=False)
            return jax.jit(each, compiler_options=self._options)

        def divided(*arrays: Any) -> Any:
            fits = len(arrays[whole]) % devices == 0
            return (mapped(len(arrays)) if fits else run)(self.state, *arrays)

        return divided

    def _embedded(self, state: Any, codes: Array, index: Array, *, heads: frozenset[str]) -> Embeddings:
        model = nnx.merge(self.graph, state)
        return model.embed(
            one_hot(codes), index, needed=frozenset().union(*(model.heads[name].needs for name in heads))
        )

    def _predicted(
        self, state: Any, embeddings: Embeddings, index: Array, positions: Array | None, *, heads: frozenset[str]
    ) -> Outputs:
        outputs = nnx.merge(self.graph, state).read(embeddings, index, heads, positions)
        return {head: in_units(outputs[head]) for head in outputs}


def one_hot(codes: UInt8[Array, "B S"]) -> Float32[Array, "B S 4"]:
    """Columns A, C, G, T; zeros for an unknown base."""
    return jax.nn.one_hot(codes, 4)


def in_units(outputs: dict[str, Shaped[Array, "B *positions T"]]) -> dict[str, Float32[Array, "B *positions T"]]:
    """The outputs of a head that are in the signal's own units: model space is the loss's own."""
    return {name: x.astype(jnp.float32) for name, x in outputs.items() if name.startswith("predictions")}


def turned_back(
    values: Shaped[Any, "B *positions T"], bundle: str, resolution: int, order: Int[np.ndarray, " T"]
) -> Shaped[Any, "B *positions T"]:
    """Predictions of the reverse complement as the forward strand reads them (architecture reference 8).

    `order`: the tracks as the other strand sees them. For arrays of numpy and of JAX.
    """
    if bundle == "CONTACT_MAPS":
        return values[:, ::-1, ::-1]
    values = values[:, ::-1][..., order]
    if bundle == "DNASE" and resolution == 1:
        # Its cuts are counted at the base right of them, which is the left one on the other strand; the first base has
        # no such neighbour and keeps its own value.
        values = values[:, np.maximum(np.arange(values.shape[1]) - 1, 0)]
    return values
