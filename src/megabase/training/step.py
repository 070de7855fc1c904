"""One update, as a pure compiled function of state and batch, on a mesh of `data` and `sequence`."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Int32, PyTree, UInt8, UInt32

from megabase.model.config import PAIR_BIN, TOKEN
from megabase.model.network import AlphaGenome
from megabase.model.sharding import DATA, SEQUENCE
from megabase.store.batches import Batch
from megabase.training.config import TrainingConfig
from megabase.training.losses import GENES, Wanted, objective, observed
from megabase.training.optimizer import optimizer, schedule
from megabase.training.programs import Program


class TrainState(NamedTuple):
    """Everything an update changes, and the seed: as data, so that models that differ by it share one program. The
    data's position is `step` itself."""

    step: Int[Array, ""]
    seed: UInt32[Array, ""]
    parameters: PyTree
    statistics: PyTree
    optimizer: PyTree


Metrics = dict[str, Any]
"""`loss`, `losses` by head, `gradient_norm`, `learning_rate`: scalars on the device."""


class Lesson(NamedTuple):
    """What one update learns: windows and what should be predicted for them."""

    sequence: UInt8[Array, "B S"]
    wanted: Wanted
    positions: Int32[Array, "B 4 K"] | None
    """Sites that junctions are compared between, where the model predicts any."""


def make_mesh(data: int = 1, sequence: int | None = None) -> Mesh:
    """A mesh of `data` x `sequence` devices; windows are divided over `data`, positions over `sequence`.

    By default all devices share each window, as the paper's eight-way sequence parallelism does.
    """
    sequence = sequence or len(jax.devices()) // data
    return jax.make_mesh((data, sequence), (DATA, SEQUENCE), axis_types=(AxisType.Auto,) * 2)


def on_mesh(batch: Batch, mesh: Mesh) -> PyTree:
    """The batch on the mesh's devices: rows over `data`, positions over `sequence` where they divide."""
    length = batch["sequence"].shape[1]

    def placed(array: np.ndarray) -> Array:
        over: list[str | None] = [DATA] if array.shape[0] % mesh.shape[DATA] == 0 else [None]
        # Splice sites and junctions lie between places, not along the window.
        along = array.ndim > 1 and array.shape[1] in (length, length // TOKEN, length // PAIR_BIN)
        if along and array.shape[1] % mesh.shape[SEQUENCE] == 0:
            over.append(SEQUENCE)
        return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*over)))

    return jax.tree.map(placed, dict(batch))


def one_hot(sequence: UInt8[Array, "B S"]) -> Float[Array, "B S 4"]:
    """Columns A, C, G, T; unknown bases are all zeros."""
    return jax.nn.one_hot(sequence, 4, dtype=jnp.float32)


def plain(model: AlphaGenome) -> tuple[Any, PyTree, PyTree]:
    """Graph, parameters and statistics of a model, as plain trees of arrays: hundreds of variable objects would cost
    every call of a step tens of milliseconds."""
    parts: Any = nnx.split(model, nnx.Param, nnx.BatchStat)
    graph, *states = parts
    return graph, *map(nnx.to_pure_dict, states)


class Trainer:
    """The compiled update and validation of one model, on data. Models that differ in seed and data alone share the
    compiled programs on disk."""

    compressed = False
    """Whether the totals of junctions that lessons want are compressed already."""

    def __init__(self, model: AlphaGenome, config: TrainingConfig, mesh: Mesh) -> None:
        self.config, self.mesh, self.heads = config, mesh, model.config.heads
        self.graph, parameters, statistics = plain(model)
        self._optimizer = optimizer(config)
        self._schedule = schedule(config)
        everywhere = NamedSharding(mesh, PartitionSpec())
        start = jnp.zeros((), jnp.int32), jnp.asarray(config.seed, jnp.uint32)
        state = TrainState(*start, parameters, statistics, self._optimizer.init(parameters))
        self.initial = jax.device_put(state, everywhere)
        # The state is replaced at every update: its memory is handed on.
        self._update_program = Program(self._update, donate_argnums=0, out_shardings=(everywhere, everywhere))
        self._validate_program = Program(self._validate)

    def model(self, state: TrainState) -> AlphaGenome:
        """The model with the state's values."""
        return nnx.merge(self.graph, state.parameters, state.statistics)

    def update(self, state: TrainState, batch: Batch, step: int) -> tuple[TrainState, Metrics]:
        """Update number `step`, counted from 0, that the state stands at; `state` is used up."""
        with jax.set_mesh(self.mesh):
            updated: tuple[TrainState, Metrics] = self._update_program(*self._arguments(state, batch, step))
        return updated

    def validate(self, state: TrainState, batch: Batch) -> Metrics:
        """Losses of a batch against its observed targets, as the trained model would have them."""
        with jax.set_mesh(self.mesh):
            metrics: Metrics = self._validate_program(state, on_mesh(batch, self.mesh))
        return metrics

    def program(self, batch: Batch) -> str:
        """The update as text, before compilation."""
        with jax.set_mesh(self.mesh):
            return self._update_program.text(*self._arguments(self.initial, batch, 0))

    def _arguments(self, state: TrainState, batch: Batch, step: int) -> tuple[Any, ...]:
        return state, on_mesh(batch, self.mesh)

    def _lesson(self, batch: PyTree, key: Array, *frozen: PyTree) -> Lesson:
        """What an update learns from `batch`; `key` is the update's own, and `frozen` what `_arguments` adds."""
        return self._seen(batch)

    def _seen(self, batch: PyTree) -> Lesson:
        wanted = observed(batch["targets"], batch["masks"], batch["organism_index"], self.heads)
        return Lesson(batch["sequence"], wanted, batch.get("splice_site_positions"))

    def _update(self, state: TrainState, batch: PyTree, *frozen: PyTree) -> tuple[TrainState, Metrics]:
        # The key depends on seed and step alone, so that a resumed run drops and mutates the same.
        key = jax.random.fold_in(jax.random.key(state.seed), state.step)
        lesson = self._lesson(batch, key, *frozen)
        differentiated = jax.value_and_grad(self._loss, has_aux=True)
        (loss, (losses, statistics)), gradients = differentiated(
            state.parameters, state.statistics, batch, lesson, key, self.compressed
        )
        updates, optimized = self._optimizer.update(gradients, state.optimizer, state.parameters)
        metrics = {
            "loss": loss,
            "losses": losses,
            "gradient_norm": optax.global_norm(gradients),
            "learning_rate": jnp.asarray(self._schedule(state.step)),
        }
        parameters = optax.apply_updates(state.parameters, updates)
        return TrainState(state.step + 1, state.seed, parameters, statistics, optimized), metrics

    def _validate(self, state: TrainState, batch: PyTree) -> Metrics:
        lesson = self._seen(batch)
        loss, (losses, _) = self._loss(state.parameters, state.statistics, batch, lesson, None, False)
        return {"loss": loss, "losses": losses}

    def _loss(
        self,
        parameters: PyTree,
        statistics: PyTree,
        batch: PyTree,
        lesson: Lesson,
        key: Array | None,
        compressed: bool,
    ) -> tuple[Float[Array, ""], tuple[dict[str, Float[Array, ""]], PyTree]]:
        """`key`: of the dropout; without one the model is as after training."""
        model = nnx.merge(self.graph, parameters, statistics)
        index = batch["organism_index"]
        predictions, _ = model(
            one_hot(lesson.sequence),
            index,
            train=key is not None,
            key=key,
            requested_outputs=frozenset(spec.head for spec in self.heads),
            splice_site_positions=lesson.positions,
        )
        genes = batch["masks"].get(GENES)
        loss, losses = objective(
            predictions, lesson.wanted, genes, index, self.heads, self.config, compressed=compressed
        )
        return loss, (losses, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)))
