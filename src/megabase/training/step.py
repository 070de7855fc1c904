"""One update, as a pure compiled function of state and batch, on a mesh of `data` and `sequence`."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.stages import Lowered
from jaxtyping import Array, Bool, Float, Int, Int32, PyTree, UInt8, UInt32

from megabase.model.config import PAIR_BIN
from megabase.model.heads import Embeddings
from megabase.model.network import AlphaGenome
from megabase.model.sharding import DATA, SEQUENCE, spread
from megabase.model.spec import RESOLUTIONS, HeadSpec
from megabase.store.batches import Batch
from megabase.training import hosts
from megabase.training.accumulation import in_parts
from megabase.training.adapters import merged, with_adapters
from megabase.training.config import TrainingConfig
from megabase.training.junctions import pairs_loss
from megabase.training.losses import GENES, head_losses, observed, weighted_sum
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
    wanted: dict[str, Any]
    """By head: as in `losses.Wanted`, or target and mask as the store has them."""
    positions: Int32[Array, "B 4 K"] | None
    """Sites that junctions are compared between, where the model predicts any."""
    genes: Bool[Array, "B S 2 G"] | None
    """Exons, for the gene-level loss."""


def make_mesh(data: int = 1, sequence: int | None = None) -> Mesh:
    """A mesh of `data` x `sequence` devices; windows are divided over `data`, positions over `sequence`.

    By default all devices share each window, as the paper's eight-way sequence parallelism does.
    """
    sequence = sequence or len(jax.devices()) // data
    return jax.make_mesh((data, sequence), (DATA, SEQUENCE), axis_types=(AxisType.Auto,) * 2)


def placed(x: Any, place: NamedSharding) -> Any:
    """An array on devices; or its shape, which is enough to compile a program, there."""
    if isinstance(x, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place)
    return hosts.put(x, place)


def on_mesh(batch: Batch, mesh: Mesh, count: int | None = None) -> PyTree:
    """The batch on the mesh's devices: rows over `data`, positions over `sequence` where they divide. `count`: rows of
    the whole batch, where each of several processes brings those that its devices hold."""
    length, count = batch["sequence"].shape[1], count or len(batch["sequence"])
    bins = {length // resolution for resolution in (*RESOLUTIONS, PAIR_BIN)}
    rows = hosts.own_rows(count, mesh) if jax.process_count() > 1 else None

    def put(array: Any) -> Any:
        over: list[str | None] = [DATA] if count % mesh.shape[DATA] == 0 else [None]
        # Splice sites are few, and not along the window; junctions are many, and divided by their donors.
        along = array.ndim == 4 or (array.ndim > 1 and array.shape[1] in bins)
        if along and array.shape[1] % mesh.shape[SEQUENCE] == 0:
            over.append(SEQUENCE)
        place = NamedSharding(mesh, PartitionSpec(*over))
        return placed(array, place) if rows is None else hosts.put_rows(array, count, rows, place)

    return jax.tree.map(put, dict(batch))


def one_hot(sequence: UInt8[Array, "B S"]) -> Float[Array, "B S 4"]:
    """Columns A, C, G, T; unknown bases are all zeros."""
    return jax.nn.one_hot(sequence, 4, dtype=jnp.float32)


def plain(model: AlphaGenome) -> tuple[Any, PyTree, PyTree]:
    """Graph, parameters and statistics of a model, as plain trees of arrays: hundreds of variable objects would cost
    every call of a step tens of milliseconds."""
    parts: Any = nnx.split(model, nnx.Param, nnx.BatchStat)
    graph, *states = parts
    return graph, *map(nnx.to_pure_dict, states)


def in_the_middle(
    mask: Bool[Array, "B *positions"], length: int, central: int, sites: Int32[Array, "B 4 K"] | None, tracks: int
) -> Bool[Array, "B *positions"]:
    """What of a mask lies in the `central` bp of a window of `length`: by position, and of junctions, whose masks have
    none, those between `sites` that both do."""
    first = (length - central) // 2
    if mask.shape[1] == 1 and mask.ndim == 4:
        assert sites is not None
        inside = (sites >= first) & (sites < first + central)
        # Donors by acceptors, tissues of the plus strand, then of the minus strand.
        plus, minus = (inside[:, side, :, None] & inside[:, side + 1, None] for side in (0, 2))
        return mask & jnp.repeat(jnp.stack([plus, minus], axis=-1), tracks, axis=-1)
    here = jnp.arange(mask.shape[1]) * (length // mask.shape[1])
    inside = (here >= first) & (here < first + central)
    return mask & inside.reshape(-1, *[1] * (mask.ndim - 2))


class Trainer:
    """The compiled update and validation of one model, on data. Models that differ in seed and data alone share the
    compiled programs on disk."""

    taught = False
    """Whether lessons are predictions, of teachers, which are in model space; otherwise they are the store's values."""

    def __init__(self, model: AlphaGenome, config: TrainingConfig, mesh: Mesh) -> None:
        self.config, self.mesh, self.heads = config, mesh, model.config.heads
        self.graph, parameters, statistics = plain(model)
        if config.below == "adapted":
            parameters = with_adapters(parameters, config)
        self._optimizer = optimizer(config)
        self._schedule = schedule(config)
        everywhere = NamedSharding(mesh, PartitionSpec())

        def shares(tree: PyTree) -> PyTree:
            return jax.tree.map(lambda x: NamedSharding(mesh, spread(x.shape, mesh)), tree)

        self._shares = shares(parameters)
        state = self._start(parameters, statistics)
        places = jax.tree.map(lambda _: everywhere, state)
        # Every device updates its share of the parameters, and holds the moments of these alone.
        places = places._replace(optimizer=shares(state.optimizer))
        self.initial = jax.tree.map(placed, state, places)
        # The state is replaced at every update: its memory is handed on.
        self._update_program = Program(self._update, donate_argnums=0, out_shardings=(places, everywhere))
        self._validate_program = Program(self._validate)

    def _start(self, parameters: PyTree, statistics: PyTree) -> TrainState:
        """Of shapes alone, where these are."""

        def start(parameters: PyTree, statistics: PyTree) -> TrainState:
            zero, seed = jnp.zeros((), jnp.int32), jnp.asarray(self.config.seed, jnp.uint32)
            return TrainState(zero, seed, parameters, statistics, self._optimizer.init(parameters))

        shapes_alone = isinstance(jax.tree.leaves(parameters)[0], jax.ShapeDtypeStruct)
        return (partial(jax.eval_shape, start) if shapes_alone else start)(parameters, statistics)

    def model(self, state: TrainState) -> AlphaGenome:
        """The model with the state's values."""
        parameters = state.parameters
        if self.config.below == "adapted":
            # By this process alone: it may be the only one of several that exports.
            parameters = jax.tree.map(np.asarray, parameters)
        return self._merged(parameters, state.statistics)

    def _merged(self, parameters: PyTree, statistics: PyTree) -> AlphaGenome:
        return nnx.merge(self.graph, merged(parameters, self.config), statistics)

    def update(self, state: TrainState, batch: Batch, step: int) -> tuple[TrainState, Metrics]:
        """Update number `step`, counted from 0, that the state stands at; `state` is used up."""
        with jax.set_mesh(self.mesh):
            updated: tuple[TrainState, Metrics] = self._update_program(*self._arguments(state, batch, step))
        return updated

    def validate(self, state: TrainState, batch: Batch) -> Metrics:
        """Losses of a batch against its observed targets, as the trained model would have them."""
        with jax.set_mesh(self.mesh):
            metrics: Metrics = self._validate_program(state, on_mesh(batch, self.mesh, self.config.rows))
        return metrics

    @property
    def flops(self) -> float | None:
        """Floating-point operations of one update on all devices, once there was one."""
        own = self._update_program.flops
        return own and own * self.mesh.size * self.config.accumulate

    def program(self, batch: Batch) -> str:
        """The update as text, before compilation."""
        return str(self.lowered(batch).as_text())

    def lowered(self, batch: Batch) -> Lowered:
        """The update, before compilation; model and batch may be shapes alone."""
        with jax.set_mesh(self.mesh):
            return self._update_program.lowered(*self._arguments(self.initial, batch, 0))

    def _arguments(self, state: TrainState, batch: Batch, step: int) -> tuple[Any, ...]:
        return state, on_mesh(batch, self.mesh, self.config.rows)

    def _lesson(self, batch: PyTree, key: Array, *frozen: PyTree) -> Lesson:
        """What an update learns from `batch`; `key` is the update's own, and `frozen` what `_arguments` adds."""
        return self._seen(batch)

    def _seen(self, batch: PyTree) -> Lesson:
        masks, positions = batch["masks"], batch.get("splice_site_positions")
        if self.config.central:
            length = batch["sequence"].shape[1]
            tracks = {spec.head: spec.tracks for spec in self.heads}
            masks = {
                name: in_the_middle(mask, length, self.config.central, positions, tracks.get(name, 1))
                for name, mask in masks.items()
            }
        wanted = {spec.head: (batch["targets"][spec.head], masks[spec.head]) for spec in self.heads}
        return Lesson(batch["sequence"], wanted, positions, masks.get(GENES))

    def _update(self, state: TrainState, batch: PyTree, *frozen: PyTree) -> tuple[TrainState, Metrics]:
        # The key depends on seed and step alone, so that a resumed run drops and mutates the same.
        key = jax.random.fold_in(jax.random.key(state.seed), state.step)

        def learn(batch: PyTree, key: Array) -> tuple[Any, PyTree]:
            return self._learnt(state.parameters, state.statistics, batch, self._lesson(batch, key, *frozen), key)

        (loss, (losses, statistics)), gradients = in_parts(learn, batch, key, self.config.accumulate)
        gradients = lax.with_sharding_constraint(gradients, self._shares)
        own = lax.with_sharding_constraint(state.parameters, self._shares)
        updates, optimized = self._optimizer.update(gradients, state.optimizer, own)
        metrics = {
            "loss": loss,
            "losses": losses,
            "gradient_norm": optax.global_norm(gradients),
            "learning_rate": jnp.asarray(self._schedule(state.step)),
        }
        parameters = optax.apply_updates(own, updates)
        return TrainState(state.step + 1, state.seed, parameters, statistics, optimized), metrics

    def _validate(self, state: TrainState, batch: PyTree) -> Metrics:
        lesson = self._seen(batch)
        losses: dict[str, Float[Array, ""]] = {}
        embeddings, _ = self._embedded(state.parameters, state.statistics, batch, lesson, None)
        for spec in self.heads:
            losses |= self._compared(spec, state.parameters, state.statistics, embeddings, batch, lesson, False)
        return {"loss": weighted_sum(losses, self.config), "losses": losses}

    def _learnt(
        self, parameters: PyTree, statistics: PyTree, batch: PyTree, lesson: Lesson, key: Array
    ) -> tuple[tuple[Float[Array, ""], tuple[dict[str, Float[Array, ""]], PyTree]], PyTree]:
        """(loss, (losses, moved statistics)), gradients.

        By the chain rule, written out: all predictions of 1 Mb take more memory than the network, so each head is
        differentiated at once, and what remains of it is the gradient of the embeddings. Of heads that do not shape the
        network below, not even that; where none does, or adapters alone learn, that network is as after training.
        """
        shaping = self.config.trunk_heads
        dropping = key if self.config.below == "trained" else None
        embed = partial(self._embedded, statistics=statistics, batch=batch, lesson=lesson, key=dropping)
        embeddings, back, moved = jax.vjp(embed, parameters, has_aux=True)
        needs = {name: head.needs for name, head in self._merged(parameters, statistics).heads.items()}
        slopes: dict[str, Array] = {}
        losses: dict[str, Float[Array, ""]] = {}
        heads = {}
        for spec in self.heads:

            def compared(
                own: PyTree, read: dict[str, Array], spec: HeadSpec = spec
            ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
                with_own = {**parameters, "heads": {**parameters["heads"], spec.head: own}}
                found = self._compared(spec, with_own, statistics, read, batch, lesson, self.taught)
                return weighted_sum(found, self.config), found

            read = {resolution: embeddings[resolution] for resolution in needs[spec.head]}
            (_, found), (heads[spec.head], own) = jax.value_and_grad(compared, (0, 1), has_aux=True)(
                parameters["heads"][spec.head], read
            )
            losses |= found
            if shaping is None or spec.head in shaping:
                slopes |= {name: slopes[name] + slope if name in slopes else slope for name, slope in own.items()}
            # One head after the other, in this order: the compiler would hold several at once.
            embeddings, slopes = lax.optimization_barrier((embeddings, slopes))
        (gradients,) = back({name: slopes.get(name, jnp.zeros_like(x)) for name, x in embeddings.items()})
        gradients = {**gradients, "heads": heads}
        return (weighted_sum(losses, self.config), (losses, moved)), gradients

    def _embedded(
        self, parameters: PyTree, statistics: PyTree, batch: PyTree, lesson: Lesson, key: Array | None
    ) -> tuple[dict[str, Array], PyTree]:
        """What the heads read, by resolution, and the moved statistics. `key`: of the dropout; without one the model is
        as after training."""
        model = self._merged(parameters, statistics)
        needed = frozenset().union(*(head.needs for head in model.heads.values()))
        embeddings = model.embed(
            one_hot(lesson.sequence), batch["organism_index"], train=key is not None, key=key, needed=needed
        )
        moved = nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))
        return {resolution: embeddings.at(resolution) for resolution in sorted(needed)}, moved

    def _compared(
        self,
        spec: HeadSpec,
        parameters: PyTree,
        statistics: PyTree,
        embeddings: dict[str, Array],
        batch: PyTree,
        lesson: Lesson,
        taught: bool,
    ) -> dict[str, Float[Array, ""]]:
        """The losses of one head. `taught`: whether the lesson is in model space, as teachers give it."""
        model = self._merged(parameters, statistics)
        index, own = batch["organism_index"], lesson.wanted[spec.head]
        read = Embeddings(**{f"embeddings_{resolution}": x for resolution, x in embeddings.items()})
        if spec.bundle == "SPLICE_JUNCTIONS":
            assert lesson.positions is not None
            target, mask = own[spec.resolutions[0]] if taught else own
            pairs = model.junctions.pairs(read, index, lesson.positions)
            return {spec.head: pairs_loss(pairs, target, mask, taught)}
        outputs = model.read(read, index, {spec.head})[spec.head]
        if not taught:
            own = observed({spec.head: own[0]}, {spec.head: own[1]}, index, (spec,))[spec.head]
        return head_losses(spec, outputs, own, lesson.genes, index, self.config)
