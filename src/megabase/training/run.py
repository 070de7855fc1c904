"""Trains one model from shards, or from teachers, to exported weights."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
from flax import nnx
from jax.sharding import Mesh

from megabase.artifacts import digest, provenance
from megabase.errors import InputError
from megabase.model.config import NetworkConfig
from megabase.model.network import AlphaGenome
from megabase.model.sharding import DATA
from megabase.model.spec import HeadSpec, ModelConfig, at_resolutions, head_specs
from megabase.model.weights import export
from megabase.store.batches import Batch, Batches
from megabase.store.reader import Shards
from megabase.training import STAGE_VERSION, hosts
from megabase.training.checkpoints import Checkpoints
from megabase.training.config import LoopConfig, TrainedModel, TrainingConfig
from megabase.training.distil import Distiller, Teachers, teaching_mesh, weights_of
from megabase.training.loop import run_loop
from megabase.training.programs import prepare
from megabase.training.step import Trainer, make_mesh
from megabase.training.transfer import begun

logger = logging.getLogger(__name__)
_VALIDATION_WINDOWS = 16


def train(
    name: str,
    trained: TrainedModel,
    config: TrainingConfig,
    loop: LoopConfig,
    model: NetworkConfig,
    shards: Mapping[str, Mapping[str, Path]],
    checkpoints: Path,
    logs: Path,
    out: Path,
    teachers: Sequence[Path] = (),
    start: Path | None = None,
) -> None:
    """Trains a model on the `train` shards of its organisms, or goes on, and exports it to `out`.

    With `teachers` (folders of models) it learns what they predict for mutated windows of these shards. It begins with
    the values of the model in `start`, if there is one.
    Raises InputError where a loss stops being a number, now or in an earlier try of the same run, and for teachers that
    predict other tracks.
    """
    prepare(loop)
    opened = {organism: windows_of(shards[organism]["train"], trained, config) for organism in trained.organisms}
    # Rows of the model are its own organisms, in the order of their indices in the config.
    order = sorted(opened, key=lambda organism: opened[organism].organism_index)
    indices = {organism: row for row, organism in enumerate(order)}
    for organism, row in indices.items():
        opened[organism].organism_index = row
    heads = head_specs({organism: own.tracks for organism, own in opened.items()}, indices)
    heads = at_resolutions(heads, trained.resolutions)
    network = AlphaGenome(ModelConfig(model, heads, len(indices)), dropout=config.dropout, rngs=nnx.Rngs(config.seed))
    batches = batches_of(opened, heads, config, model)
    mesh = training_mesh(config, loop, taught=bool(teachers))
    deciding = {
        "model": dataclasses.asdict(model),
        "training": dataclasses.asdict(config),
        "organisms": indices,
        "split_hashes": {organism: own.split_hash for organism, own in opened.items()},
        "store_digests": {organism: own.store_digest for organism, own in opened.items()},
        "window": {organism: own.window_length for organism, own in opened.items()},
        "stage_version": STAGE_VERSION,
    }
    if config.trunk_heads is not None and (unknown := set(config.trunk_heads) - {spec.head for spec in heads}):
        remedy = f"choose from {', '.join(spec.head for spec in heads)}"
        raise InputError(f"no head {', '.join(sorted(unknown))}", where="training.trunk_heads", remedy=remedy)
    if trained.only or trained.without:
        deciding["biosamples"] = {"only": trained.only, "without": trained.without}
    if trained.resolutions:
        deciding["resolutions"] = {spec.head: spec.chosen for spec in heads if spec.chosen}
    if start:
        network, origin = begun(network, indices, start)
        deciding["start"] = origin
        logger.info("%s: begins with the weights of %s, and its heads %s", name, start, origin["heads"] or "none")
    if teachers and config.central:
        remedy = "leave it out: teachers know all of a window"
        raise InputError("students learn from whole windows", where="training.central", remedy=remedy)
    if teachers:
        # Which windows a teacher sees depends on how many teach at once.
        deciding |= {"teachers": weights_of(teachers), "teachers_at_once": mesh.shape[DATA]}
        trainer: Trainer = Distiller(network, config, mesh, Teachers(teachers, network.config, indices, mesh))
    else:
        trainer = Trainer(network, config, mesh)
    machine = {"mesh": dict(mesh.shape), "processes": jax.process_count(), "device": jax.devices()[0].device_kind}
    kept = Checkpoints(checkpoints, deciding, loop.keep, machine)
    size = sum(array.size for array in jax.tree.leaves(trainer.initial.parameters))
    logger.info("%s: %s parameters, %s heads, on %s", name, f"{size:,}", len(heads), jax.devices())
    rows = hosts.own_rows(config.rows, mesh)
    state = run_loop(
        trainer,
        partial(batches, rows=rows),
        kept,
        loop,
        logs / "metrics.jsonl",
        _validation(shards, opened, batches, trained, config, rows),
        batches.drawn,
    )
    state = state._replace(optimizer=None)  # Divided over the devices, and of no more use.
    if not hosts.first():
        hosts.meet("exported")
        return
    described = {**deciding, "name": name, "digest": digest(deciding), "tracks": _tables(opened)}
    described |= {"fold": trained.fold, "teachers": weights_of(teachers)}
    described |= {"window_length": next(iter(opened.values())).window_length, "licence": "Apache-2.0"}
    described |= {"assemblies": {organism: own.assembly for organism, own in opened.items()}}
    described |= {"held_out": {organism: _held_out(shards[organism], trained) for organism in indices}}
    described |= {"packages": provenance(("jax", "flax", "optax"))["packages"], "steps": int(state.step)}
    export(out, trainer.model(state), described)
    logger.info("%s: exported to %s", name, out)
    hosts.meet("exported")


def windows_of(path: Path, trained: TrainedModel, config: TrainingConfig) -> Shards:
    """The windows of a split as a model sees them: in pieces, with its own biosamples."""
    opened = Shards.open(path)
    if trained.only or trained.without:
        opened = opened.of_biosamples(trained.only, trained.without)
    if config.pieces > 1 or config.window:
        opened = opened.cut(config.pieces, config.window)
    if config.central and config.central > opened.window_length:
        what = f"the middle {config.central:,} bp of windows of {opened.window_length:,} bp"
        raise InputError(what, where="training.central", remedy="choose a smaller part, or leave it out")
    return opened


def training_mesh(config: TrainingConfig, loop: LoopConfig, *, taught: bool = False) -> Mesh:
    """All devices: windows over as many as divide each part of the batch, or as `loop.sequence` leaves; each window
    over the rest. With teachers a device has either a whole window or a share of the only one.

    Raises InputError where devices would be left over, or parts of the batch do not divide over them.
    """
    devices, part = len(jax.devices()), config.rows // config.accumulate
    if config.rows % config.accumulate:
        what = f"{config.rows} windows are not {config.accumulate} equal parts"
        raise InputError(what, where="training.accumulate", remedy="choose a divisor of training.batch")
    if taught and loop.sequence is None and jax.process_count() == 1:
        return teaching_mesh(part)
    sequence = loop.sequence or devices // math.gcd(part, devices)
    data = devices // sequence
    if taught and data > 1 and sequence > 1:
        what, remedy = (
            f"teachers cannot share windows over {sequence} of {devices} devices",
            "take devices that divide the batch",
        )
        raise InputError(what, where="loop.sequence", remedy=remedy)
    if data * sequence != devices or part % data:
        what = f"{part} windows at a time, each over {sequence} devices, do not divide over {devices} devices"
        raise InputError(what, where="loop.sequence", remedy="choose batch, accumulate and sequence that fit together")
    return make_mesh(data, sequence)


def batches_of(
    opened: Mapping[str, Shards], heads: tuple[HeadSpec, ...], config: TrainingConfig, model: NetworkConfig
) -> Batches:
    """The batches of a recipe, from the training windows of each organism."""
    return Batches(
        opened,
        {spec.head: spec.tracks for spec in heads},
        batch=config.rows,
        seed=config.seed,
        max_shift=min(own.max_shift for own in opened.values()),
        reverse_complement=config.reverse_complement,
        organism_weights=config.organism_weights,
        junction_sites=model.junction_sites,
        gene_slots=config.gene_slots if config.gene_weight else 0,
        read_at={spec.head: spec.read_at for spec in heads if spec.chosen},
    )


def _validation(
    shards: Mapping[str, Mapping[str, Path]],
    opened: Mapping[str, Shards],
    batches: Batches,
    trained: TrainedModel,
    config: TrainingConfig,
    own_rows: Sequence[int],
) -> list[Batch]:
    """A fixed handful of validation windows of each organism, in batches of the training size; of each batch the rows
    of this process."""
    made = []
    for organism, own in opened.items():
        valid = windows_of(shards[organism]["valid"], trained, config)
        valid.organism_index = own.organism_index
        every = max(1, len(valid) // _VALIDATION_WINDOWS)
        chosen = list(range(0, len(valid), every))[:_VALIDATION_WINDOWS]
        chosen = chosen[: len(chosen) // config.rows * config.rows] or (chosen * config.rows)[: config.rows]
        for start in range(0, len(chosen), config.rows):
            rows = [chosen[start + row] for row in own_rows]
            made.append(batches.stacked([valid] * len(rows), [batches.read(valid, i) for i in rows]))
    return made


def _tables(opened: Mapping[str, Shards]) -> dict[str, Any]:
    return {
        organism: {
            bundle: table.drop(columns="covered", errors="ignore").to_dict("records")
            for bundle, table in own.tracks.items()
        }
        for organism, own in opened.items()
    }


def _held_out(splits: Mapping[str, Path], trained: TrainedModel) -> dict[str, list[list[Any]]]:
    """Windows that were not trained on, as far as this job sees them."""
    if trained.fold == "all":
        return {}
    return {split: Shards.open(path).windows.to_numpy().tolist() for split, path in splits.items() if split != "train"}
