"""Trains one model from shards, or from teachers, to exported weights."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from megabase.artifacts import digest, provenance
from megabase.model.config import NetworkConfig
from megabase.model.network import AlphaGenome
from megabase.model.sharding import DATA
from megabase.model.spec import HeadSpec, ModelConfig, head_specs
from megabase.model.weights import export
from megabase.store.batches import Batch, Batches
from megabase.store.reader import Shards
from megabase.training import STAGE_VERSION
from megabase.training.checkpoints import Checkpoints
from megabase.training.config import LoopConfig, TrainedModel, TrainingConfig
from megabase.training.distil import Distiller, Teachers, teaching_mesh, weights_of
from megabase.training.loop import run_loop
from megabase.training.programs import prepare
from megabase.training.step import Trainer, make_mesh

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
) -> None:
    """Trains a model on the `train` shards of its organisms, or goes on, and exports it to `out`.

    With `teachers` (folders of models) it learns what they predict for mutated windows of these shards.
    Raises InputError where a loss stops being a number, now or in an earlier try of the same run, and for teachers that
    predict other tracks.
    """
    prepare(loop)
    opened = {organism: Shards.open(shards[organism]["train"]) for organism in trained.organisms}
    # Rows of the model are its own organisms, in the order of their indices in the config.
    order = sorted(opened, key=lambda organism: opened[organism].organism_index)
    indices = {organism: row for row, organism in enumerate(order)}
    for organism, row in indices.items():
        opened[organism].organism_index = row
    heads = head_specs({organism: own.tracks for organism, own in opened.items()}, indices)
    network = AlphaGenome(ModelConfig(model, heads, len(indices)), dropout=config.dropout, rngs=nnx.Rngs(config.seed))
    batches = _batches(opened, heads, config, model)
    deciding = {
        "model": dataclasses.asdict(model),
        "training": dataclasses.asdict(config),
        "organisms": indices,
        "split_hashes": {organism: own.split_hash for organism, own in opened.items()},
        "store_digests": {organism: own.store_digest for organism, own in opened.items()},
        "window": {organism: own.window_length for organism, own in opened.items()},
        "stage_version": STAGE_VERSION,
    }
    if teachers:
        mesh = teaching_mesh(config.batch)
        # Which windows a teacher sees depends on how many teach at once.
        deciding |= {"teachers": weights_of(teachers), "teachers_at_once": mesh.shape[DATA]}
        trainer: Trainer = Distiller(network, config, mesh, Teachers(teachers, network.config, indices, mesh))
    else:
        trainer = Trainer(network, config, make_mesh())
    kept = Checkpoints(checkpoints, deciding, loop.keep)
    size = sum(array.size for array in jax.tree.leaves(trainer.initial.parameters))
    logger.info("%s: %s parameters, %s heads, on %s", name, f"{size:,}", len(heads), jax.devices())
    state = run_loop(trainer, batches, kept, loop, logs / "metrics.jsonl", _validation(shards, opened, batches, config))
    described = {**deciding, "name": name, "digest": digest(deciding), "tracks": _tables(opened)}
    described |= {"fold": trained.fold, "teachers": weights_of(teachers)}
    described |= {"window_length": next(iter(opened.values())).window_length, "licence": "Apache-2.0"}
    described |= {"assemblies": {organism: own.assembly for organism, own in opened.items()}}
    described |= {"held_out": {organism: _held_out(shards[organism], trained) for organism in indices}}
    described |= {"packages": provenance(("jax", "flax", "optax"))["packages"], "steps": int(state.step)}
    export(out, trainer.model(state), described)
    logger.info("%s: exported to %s", name, out)


def _batches(
    opened: Mapping[str, Shards], heads: tuple[HeadSpec, ...], config: TrainingConfig, model: NetworkConfig
) -> Batches:
    return Batches(
        opened,
        {spec.head: spec.tracks for spec in heads},
        batch=config.batch,
        seed=config.seed,
        max_shift=min(own.max_shift for own in opened.values()),
        reverse_complement=config.reverse_complement,
        organism_weights=config.organism_weights,
        junction_sites=model.junction_sites,
        gene_slots=config.gene_slots if config.gene_weight else 0,
    )


def _validation(
    shards: Mapping[str, Mapping[str, Path]], opened: Mapping[str, Shards], batches: Batches, config: TrainingConfig
) -> list[Batch]:
    """A fixed handful of validation windows of each organism, in batches of the training size."""
    made = []
    for organism, own in opened.items():
        valid = Shards.open(shards[organism]["valid"])
        valid.organism_index = own.organism_index
        every = max(1, len(valid) // _VALIDATION_WINDOWS)
        chosen = list(range(0, len(valid), every))[:_VALIDATION_WINDOWS]
        chosen = chosen[: len(chosen) // config.batch * config.batch] or (chosen * config.batch)[: config.batch]
        for start in range(0, len(chosen), config.batch):
            rows = chosen[start : start + config.batch]
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
