"""Distillation: a student learns, on mutated windows, what frozen teachers predict for them (paper section 6)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PyTree, UInt8

from megabase.errors import InputError
from megabase.model.heads import Predictions
from megabase.model.network import JUNCTIONS_HEAD, AlphaGenome
from megabase.model.sharding import DATA
from megabase.model.spec import ModelConfig
from megabase.model.weights import DESCRIPTION, load
from megabase.store.batches import Batch
from megabase.training import hosts
from megabase.training.config import TrainingConfig
from megabase.training.losses import GENES, taught
from megabase.training.mutations import mutated
from megabase.training.step import Lesson, Trainer, TrainState, make_mesh, on_mesh, one_hot, plain

_MUTATIONS = 1 << 20
"""Folded into an update's key, apart from the numbers of the dropout sites."""


def teaching_mesh(batch: int) -> Mesh:
    """Windows over as many devices as divide the batch, each with a teacher of its own and no division of positions, as
    in the paper; where that leaves one device, all share each window."""
    data = math.gcd(batch, len(jax.devices()))
    return make_mesh(data, sequence=1 if data > 1 else None)


def weights_of(teachers: Sequence[Path]) -> dict[str, str]:
    """The checksum of each teacher's weights, by name. Raises InputError for a folder that holds no model."""
    described = {}
    for teacher in teachers:
        try:
            described[teacher.name] = json.loads((teacher / DESCRIPTION).read_text())["weights_sha256"]
        except (OSError, ValueError, KeyError):
            raise InputError("no teacher here", where=teacher, remedy="train it first: snakemake train") from None
    return described


class Teachers:
    """Frozen models of one shape, kept in the host's memory; every update has one for each device along `data`."""

    def __init__(self, folders: Sequence[Path], student: ModelConfig, organisms: dict[str, int], mesh: Mesh) -> None:
        """Raises InputError for a teacher that predicts other tracks than the student, or differs from the others in
        size."""
        self._mesh, self._count = mesh, len(folders)
        self._placed: tuple[tuple[int, ...], PyTree] | None = None
        self._rows = hosts.own_rows(mesh.shape[DATA], mesh)
        self._values: dict[int, PyTree] = {}
        network = None
        # Those that ever teach on a device of this process.
        for teacher in sorted({turn[row] for turn in map(self._turn, range(self._count)) for row in self._rows}):
            folder = folders[teacher]
            model, described = load(folder)
            if model.config.heads != student.heads or described["organisms"] != organisms:
                raise InputError(
                    "this teacher does not predict the student's tracks",
                    where=folder,
                    remedy="train teacher and student on the same organisms and dataset",
                )
            network = network or model.config.network
            if model.config.network != network:
                remedy = "train all teachers of a student with one `model`"
                raise InputError("this teacher is not as large as the first", where=folder, remedy=remedy)
            self.graph, *values = plain(model)
            self._values[teacher] = jax.tree.map(np.asarray, values)

    def at(self, step: int) -> PyTree:
        """The values of the teachers of update `step`, stacked along `data`: they take turns.

        With as many teachers as devices each stays on its own, as in the paper.
        """
        turn = self._turn(step)
        if self._placed is None or self._placed[0] != turn:
            place = NamedSharding(self._mesh, PartitionSpec(DATA))
            own = [self._values[turn[row]] for row in self._rows]
            self._placed = (
                turn,
                jax.tree.map(lambda *arrays: hosts.put_rows(np.stack(arrays), len(turn), self._rows, place), *own),
            )
        return self._placed[1]

    def _turn(self, step: int) -> tuple[int, ...]:
        """Which teacher each device has."""
        devices = self._mesh.shape[DATA]
        return tuple((step * devices + device) % self._count for device in range(devices))


class Distiller(Trainer):
    """The compiled update of a student, with its teachers' predictions inside; their values are arguments, so that all
    teachers share the program."""

    taught = True

    def __init__(self, model: AlphaGenome, config: TrainingConfig, mesh: Mesh, teachers: Teachers) -> None:
        super().__init__(model, config, mesh)
        self._teachers = teachers

    def _arguments(self, state: TrainState, batch: Batch, step: int) -> tuple[Any, ...]:
        # The store's own targets are not looked at.
        masks = {name: mask for name, mask in batch["masks"].items() if name == GENES}
        asked = Batch(sequence=batch["sequence"], organism_index=batch["organism_index"], targets={}, masks=masks)
        return state, on_mesh(asked, self.mesh, self.config.rows), self._teachers.at(step)

    def _lesson(self, batch: PyTree, key: Array, *frozen: PyTree) -> Lesson:
        (teachers,) = frozen
        index = batch["organism_index"]
        sequence = mutated(
            batch["sequence"],
            jax.random.fold_in(key, _MUTATIONS),
            rate=self.config.mutation_rate,
            structural_variants=self.config.structural_variants,
        )
        predictions = self._asked(teachers, sequence, index)
        positions = predictions.get(JUNCTIONS_HEAD, {}).get("splice_site_positions")
        return Lesson(sequence, taught(predictions, index, self.heads), positions, batch["masks"].get(GENES))

    def _asked(self, values: PyTree, sequence: UInt8[Array, "B S"], index: Int[Array, " B"]) -> dict[str, Predictions]:
        """What the teachers predict, each for its share of the windows; junctions between the likeliest sites."""
        requested = frozenset(spec.head for spec in self.heads)

        def ask(values: PyTree, sequence: UInt8[Array, "b S"], index: Int[Array, " b"]) -> dict[str, Predictions]:
            own = jax.tree.map(lambda stacked: jnp.squeeze(stacked, 0), values)
            predictions, _ = nnx.merge(self._teachers.graph, *own)(
                one_hot(sequence), index, requested_outputs=requested
            )
            return predictions

        if self.mesh.shape[DATA] == 1:
            return ask(values, sequence, index)
        rows = PartitionSpec(DATA)
        # By hand: the compiler would bring all teachers together on every device.
        asked = jax.shard_map(ask, mesh=self.mesh, in_specs=rows, out_specs=rows, check_vma=False)
        predicted: dict[str, Predictions] = asked(values, sequence, index)
        return predicted
