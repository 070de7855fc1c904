"""One update, as a pure compiled function of state and batch, on a mesh of `data` and `sequence`."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PyTree, UInt8

from megabase.model.network import AlphaGenome
from megabase.store.batches import Batch
from megabase.training.config import TrainingConfig
from megabase.training.losses import total_loss
from megabase.training.optimizer import optimizer, schedule


class TrainState(NamedTuple):
    """Everything an update changes. The data's position is `step` itself."""

    step: Int[Array, ""]
    parameters: PyTree
    statistics: PyTree
    optimizer: PyTree


Metrics = dict[str, Any]
"""`loss`, `losses` by head, `gradient_norm`, `learning_rate`: scalars on the device."""


def make_mesh(data: int = 1, sequence: int | None = None) -> Mesh:
    """A mesh of `data` x `sequence` devices; windows are divided over `data`, positions over `sequence`.

    By default all devices share each window, as the paper's eight-way sequence parallelism does.
    """
    sequence = sequence or len(jax.devices()) // data
    return jax.make_mesh((data, sequence), ("data", "sequence"), axis_types=(AxisType.Auto,) * 2)


def on_mesh(batch: Batch, mesh: Mesh) -> PyTree:
    """The batch on the mesh's devices: rows over `data`, positions over `sequence` where they divide."""

    def placed(array: np.ndarray) -> Array:
        over: list[str | None] = ["data"] if array.shape[0] % mesh.shape["data"] == 0 else [None]
        if array.ndim > 1 and array.shape[1] % mesh.shape["sequence"] == 0:
            over.append("sequence")
        return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*over)))

    return jax.tree.map(placed, dict(batch))


def one_hot(sequence: UInt8[Array, "B S"]) -> Float[Array, "B S 4"]:
    """Columns A, C, G, T; unknown bases are all zeros."""
    return jax.nn.one_hot(sequence, 4, dtype=jnp.float32)


class Trainer:
    """The compiled update and validation of one model. Models of one shape share the compiled programs on disk."""

    def __init__(self, model: AlphaGenome, config: TrainingConfig, mesh: Mesh) -> None:
        self.config, self.mesh, self.heads = config, mesh, model.config.heads
        parts: Any = nnx.split(model, nnx.Param, nnx.BatchStat)
        self.graph, *states = parts
        # Plain trees of arrays: hundreds of variable objects would cost every call of a step tens of milliseconds.
        parameters, statistics = map(nnx.to_pure_dict, states)
        self._optimizer = optimizer(config)
        self._schedule = schedule(config)
        everywhere = NamedSharding(mesh, PartitionSpec())
        self.initial = jax.device_put(
            TrainState(jnp.zeros((), jnp.int32), parameters, statistics, self._optimizer.init(parameters)), everywhere
        )
        # The state is replaced at every update: its memory is handed on.
        self._compiled_update = jax.jit(self._update, donate_argnums=0, out_shardings=(everywhere, everywhere))
        self._compiled_validate = jax.jit(self._validate)

    def model(self, state: TrainState) -> AlphaGenome:
        """The model with the state's values."""
        return nnx.merge(self.graph, state.parameters, state.statistics)

    def update(self, state: TrainState, batch: PyTree) -> tuple[TrainState, Metrics]:
        """One update; `state` is used up."""
        with jax.set_mesh(self.mesh):
            updated: tuple[TrainState, Metrics] = self._compiled_update(state, batch)
        return updated

    def validate(self, state: TrainState, batch: PyTree) -> Metrics:
        """Losses of a batch as the trained model would have them."""
        with jax.set_mesh(self.mesh):
            metrics: Metrics = self._compiled_validate(state, batch)
        return metrics

    def _update(self, state: TrainState, batch: PyTree) -> tuple[TrainState, Metrics]:
        # The key depends on seed and step alone, so that a resumed run drops the same units.
        key = jax.random.fold_in(jax.random.key(self.config.seed), state.step)
        objective = jax.value_and_grad(self._loss, has_aux=True)
        (loss, (losses, statistics)), gradients = objective(state.parameters, state.statistics, batch, key, True)
        updates, optimized = self._optimizer.update(gradients, state.optimizer, state.parameters)
        metrics = {
            "loss": loss,
            "losses": losses,
            "gradient_norm": optax.global_norm(gradients),
            "learning_rate": jnp.asarray(self._schedule(state.step)),
        }
        parameters = optax.apply_updates(state.parameters, updates)
        return TrainState(state.step + 1, parameters, statistics, optimized), metrics

    def _validate(self, state: TrainState, batch: PyTree) -> Metrics:
        loss, (losses, _) = self._loss(state.parameters, state.statistics, batch, None, False)
        return {"loss": loss, "losses": losses}

    def _loss(
        self, parameters: PyTree, statistics: PyTree, batch: PyTree, key: Array | None, train: bool
    ) -> tuple[Float[Array, ""], tuple[dict[str, Float[Array, ""]], PyTree]]:
        model = nnx.merge(self.graph, parameters, statistics)
        requested = frozenset(spec.head for spec in self.heads)
        index = batch["organism_index"]
        predictions, _ = model(one_hot(batch["sequence"]), index, train=train, key=key, requested_outputs=requested)
        loss, losses = total_loss(predictions, index, batch["targets"], batch["masks"], self.heads, self.config)
        return loss, (losses, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)))
