"""One training step of the demo model on meshes of forced CPU devices; prints what differs from one device as JSON.

Run as a program with eight forced devices: their number and 64-bit arithmetic are settled when JAX starts.
"""

from __future__ import annotations

import dataclasses
import json
import sys

import jax
import numpy as np
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from whole_loss import total_loss

from megabase.model import ModelConfig
from megabase.model.network import AlphaGenome
from megabase.model.winograd import NARROWEST
from megabase.planning.compiled import full_length
from megabase.training.config import TrainingConfig
from megabase.training.junctions import pairs_loss

LENGTH, BATCH = 16_384, 2
TRAINING = TrainingConfig(multinomial_window=4096)


def batch_of(config: ModelConfig, sites: int = 20, length: int = LENGTH) -> dict:
    """Random targets of every head, as the store would give them."""
    draw = np.random.default_rng(0)
    positions = np.sort(draw.permuted(np.tile(np.arange(length), (BATCH, 4, 1)), axis=-1)[..., :sites], axis=-1)
    positions[:, 1, -3:] = -1
    targets, masks = {}, {}
    for spec in config.heads:
        bins = length // spec.read_at
        shape = {
            "CONTACT_MAPS": (bins, bins, spec.tracks),
            "SPLICE_JUNCTIONS": (sites, sites, 2 * spec.tracks),
        }.get(spec.bundle, (bins, spec.tracks))
        values = draw.poisson(1.0, (BATCH, *shape)) * draw.random((BATCH, *shape))
        masks[spec.head] = np.ones((BATCH, shape[0], 1), bool)
        if spec.bundle == "SPLICE_SITES":
            values = np.eye(5, dtype=bool)[draw.integers(0, 5, (BATCH, bins))]
        if spec.bundle == "SPLICE_SITE_USAGE":
            values = draw.random((BATCH, *shape))
        if spec.bundle == "SPLICE_JUNCTIONS":
            masks[spec.head] = np.ones((BATCH, 1, 1, 1), bool)
        targets[spec.head] = values
    genes = np.zeros((BATCH, length, 2, 3), bool)
    genes[:, 1000:9000, 0, 0] = genes[:, 5000:15000, 1, 2] = True
    masks["genes"] = genes
    return {
        "dna": np.eye(4)[draw.integers(0, 4, (BATCH, length))],
        "organism_index": np.array([0, 1], np.int32),
        "positions": positions.astype(np.int32),
        "targets": targets,
        "masks": masks,
    }


def step_of(graph, config: ModelConfig):
    """(parameters, statistics, batch) -> outputs, losses, gradients and moved statistics."""

    def step(parameters, statistics, batch):
        def objective(parameters):
            model = nnx.merge(graph, parameters, statistics)
            predictions, embeddings = model(
                batch["dna"], batch["organism_index"], train=True, key=jax.random.key(0),
                splice_site_positions=batch["positions"],
            )  # fmt: skip
            loss, losses = total_loss(
                predictions, batch["organism_index"], batch["targets"], batch["masks"], config.heads, TRAINING
            )
            # Junctions as training compares them, beside those of all predictions.
            pairs = model.junctions.pairs(embeddings, batch["organism_index"], batch["positions"])
            own = (x["splice_sites_junction"] for x in (batch["targets"], batch["masks"]))
            losses["pairs"] = pairs_loss(pairs, *own, False)
            return loss + losses["pairs"], (predictions, losses, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)))

        gradients, (predictions, losses, moved) = jax.grad(objective, has_aux=True)(parameters)
        return {"outputs": predictions, "losses": losses, "gradients": gradients, "statistics": moved}

    return step


def placed(batch: dict, mesh) -> dict:
    def place(x):
        axes = ["data"] if x.shape[0] % mesh.shape["data"] == 0 else [None]
        if x.ndim > 1 and x.shape[1] % mesh.shape["sequence"] == 0:
            axes.append("sequence")
        return jax.device_put(x, NamedSharding(mesh, PartitionSpec(*axes)))

    return jax.tree.map(place, batch)


def difference(ours, theirs) -> float:
    """The largest norm of a difference over the norm, of all arrays; those that are all but zero count against 1e-6 of
    the largest norm."""
    norms = [float(np.linalg.norm(np.asarray(y, np.float64))) for y in jax.tree.leaves(theirs)]
    floor = 1e-6 * max(norms)
    errors = [
        float(np.linalg.norm(np.asarray(x, np.float64) - np.asarray(y, np.float64))) / max(norm, floor)
        for x, y, norm in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), norms, strict=True)
    ]
    return max(errors)


def mesh_of(data: int, sequence: int):
    return jax.make_mesh((data, sequence), ("data", "sequence"), axis_types=(AxisType.Auto,) * 2,
                         devices=jax.devices()[: data * sequence])  # fmt: skip


SIZES = {
    "narrow": ({"channel_step": 0, "blocks": 2}, LENGTH // 2),
    "wide": ({"channels": NARROWEST, "channel_step": 0, "blocks": 1}, LENGTH),
}
"""Stages of one width, which are compiled in half the time, on a window of half the length; and so wide that one device
makes gradients of convolutions of fewer products."""


def main(dtype: str, meshes: list[tuple[int, int]], size: str | None) -> dict:
    config, length = ModelConfig.demo(dtype=dtype), LENGTH
    if size is not None:
        changes, length = SIZES[size]
        config = dataclasses.replace(config, network=dataclasses.replace(config.network, **changes))
    graph, *states = nnx.split(AlphaGenome(config, dropout=0.2, rngs=nnx.Rngs(0)), nnx.Param, nnx.BatchStat)
    parameters, statistics = (jax.tree.map(lambda x: np.asarray(x, dtype), nnx.to_pure_dict(state)) for state in states)
    batch = batch_of(config, length=length)
    batch = jax.tree.map(lambda x: x.astype(dtype) if x.dtype == np.float64 else x, batch)
    step = jax.jit(step_of(graph, config))
    alone = jax.device_get(step(parameters, statistics, batch))
    report = {"finite": all(np.isfinite(x).all() for x in jax.tree.leaves(alone))}
    for data, sequence in meshes:
        mesh = mesh_of(data, sequence)
        with jax.set_mesh(mesh):
            whole = NamedSharding(mesh, PartitionSpec())
            made = step(*jax.device_put((parameters, statistics), whole), placed(batch, mesh))
            made = jax.device_get(made)
        report[f"{data}x{sequence}"] = {part: difference(made[part], alone[part]) for part in alone}
    return report


def shapes(sequence: int) -> list[str]:
    """Arrays in the compiled step, on each of `sequence` devices, of a model as wide at 1 bp as the limit."""
    demo = ModelConfig.demo()
    network = dataclasses.replace(demo.network, channels=64, channel_step=0, blocks=1)
    config = dataclasses.replace(demo, network=network)
    graph, *states = nnx.split(nnx.eval_shape(lambda: AlphaGenome(config, dropout=0.2, rngs=nnx.Rngs(0))), nnx.Param,
                               nnx.BatchStat)  # fmt: skip
    mesh = mesh_of(1, sequence)
    whole = NamedSharding(mesh, PartitionSpec())
    parameters, statistics = (
        jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole), nnx.to_pure_dict(s))
        for s in states
    )
    batch = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), placed(batch_of(config), mesh)
    )
    with jax.set_mesh(mesh):
        text = jax.jit(step_of(graph, config)).lower(parameters, statistics, batch).compile().as_text()
    return full_length(text, LENGTH)


if __name__ == "__main__":
    if sys.argv[1] == "shapes":
        print(json.dumps({count: shapes(int(count)) for count in sys.argv[2:]}))
    else:
        meshes = [tuple(map(int, mesh.split("x"))) for mesh in sys.argv[2:] if mesh not in SIZES]
        print(json.dumps(main(sys.argv[1], meshes, sys.argv[2] if sys.argv[2] in SIZES else None)))
