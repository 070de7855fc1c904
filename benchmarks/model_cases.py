"""One case of the benchmark of the model, in this process alone: `model_cases.py CASE [--tracks DIR]` prints what it
finds as one line of JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if not sys.argv[1].endswith("gpu"):
    os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax import nnx
from jaxtyping import Array
from model_operations import forward_operations

from megabase.model.compiling import compiled, keep_memory
from megabase.model.config import NetworkConfig
from megabase.model.network import AlphaGenome
from megabase.model.spec import ModelConfig, head_specs
from megabase.model.weights import shapes_of
from megabase.training.config import TrainingConfig
from megabase.training.step import Trainer, make_mesh, on_mesh, plain

TRACKS = {
    "ATAC": 256,
    "DNASE": 384,
    "PROCAP": 128,
    "CAGE": 640,
    "RNA_SEQ": 768,
    "CHIP_TF": 1664,
    "CHIP_HISTONE": 1152,
    "CONTACT_MAPS": 28,
    "SPLICE_SITES": 4,
    "SPLICE_SITE_USAGE": 734,
    "SPLICE_JUNCTIONS": 367,
}
"""Columns of the released heads; splice sites: classes but for none, junctions: tissues."""
DEMO_TRACKS = {"RNA_SEQ": 6, "CAGE": 4, "DNASE": 3, "ATAC": 3, "CHIP_TF": 4, "CHIP_HISTONE": 3, "CONTACT_MAPS": 2}


def seconds(call: Callable[[], object], repeats: int) -> list[tuple[float, float]]:
    """Processor seconds and wall seconds of each of some calls; what one gives is freed before the next."""
    times = []
    for _ in range(repeats):
        started = time.process_time(), time.perf_counter()
        jax.block_until_ready(call())
        times.append((time.process_time() - started[0], time.perf_counter() - started[1]))
    return times


def matrix_rate(gpu: bool) -> Callable[[], float]:
    """What measures operations per second of a large matrix product: float32 per processor second, on a GPU bfloat16
    per second."""
    size = 8192 if gpu else 2048
    # Drawn values: a card takes more power, and more time, for these than for ones.
    a = jax.random.normal(jax.random.key(0), (size, size), jnp.bfloat16 if gpu else jnp.float32)
    product = jax.jit(jnp.matmul).lower(a, a).compile()
    seconds(lambda: product(a, a), 1)
    return lambda: 2 * size**3 / statistics.median(spent[gpu] for spent in seconds(lambda: product(a, a), 10))


def peak_memory(gpu: bool) -> float:
    """GiB: of this process, or on the GPU."""
    if gpu:
        return (jax.devices()[0].memory_stats() or {})["peak_bytes_in_use"] / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "linux" else 2**30)


def demo() -> ModelConfig:
    """The model of the demo, with the tracks of its first organism."""
    return ModelConfig(NetworkConfig.demo(), _heads(DEMO_TRACKS, ["a"]), 1)


def paper(tracks: Path | None, **network: Any) -> ModelConfig:
    """The released model; without the folder of its tracks, with as many tracks that have no names."""
    if tracks is not None:
        return ModelConfig.paper(tracks, **network)
    return ModelConfig(dataclasses.replace(NetworkConfig.paper(), **network), _heads(TRACKS, ["human", "mouse"]), 2)


def _heads(counts: dict[str, int], organisms: list[str]) -> Any:
    table = {bundle: {"track": [f"{bundle} {i}" for i in range(count)]} for bundle, count in counts.items()}
    return head_specs(dict.fromkeys(organisms, table), {name: i for i, name in enumerate(organisms)})


def batch_of(config: ModelConfig, length: int) -> dict[str, Any]:
    """One window with random targets of every head, as the store gives them."""
    draw, sites = np.random.default_rng(0), config.network.junction_sites
    targets, masks = {}, {}
    for spec in config.heads:
        bins = length // spec.settings.resolutions[0]
        shape, known, dtype = (1, bins, spec.tracks), (1, bins, 1), np.float32
        match spec.bundle:
            case "CONTACT_MAPS":
                shape = (1, bins, bins, spec.tracks)
            case "SPLICE_JUNCTIONS":
                shape, known = (1, sites, sites, 2 * spec.tracks), (1, 1, 1, 1)
            case _ if bins == length:
                dtype = ml_dtypes.bfloat16
        targets[spec.head], masks[spec.head] = draw.random(shape, np.float32).astype(dtype), np.ones(known, bool)
        if spec.bundle == "SPLICE_SITES":
            targets[spec.head] = np.eye(5, dtype=bool)[draw.integers(0, 5, (1, bins))]
    places = [np.sort(draw.choice(length, sites, replace=False)) for _ in range(4)]
    return {
        "sequence": draw.integers(0, 4, (1, length), np.uint8),
        "organism_index": np.zeros(1, np.int32),
        "splice_site_positions": np.array([places], np.int32),
        "targets": targets,
        "masks": masks,
    }


def forward(model: AlphaGenome, windows: int, length: int) -> tuple[tuple[Any, Any], tuple[Any, ...]]:
    """All heads of `windows` sequences, from weights prepared for inference: as `megabase.scoring.forward.Forward` does
    it, in a program for the embeddings and one for what the heads read in them."""
    graph, state = nnx.split(model.prepared())
    bases = np.random.default_rng(0).integers(0, 4, (1, length))
    dna = jnp.asarray(np.eye(4, dtype=np.float32)[np.repeat(bases, windows, axis=0)])
    organism = jnp.zeros(windows, jnp.int32)

    def embed(state: Any, dna: Array) -> Any:
        return nnx.merge(graph, state).embed(dna, organism)

    def read(state: Any, embeddings: Any) -> Any:
        predicted = nnx.merge(graph, state).read(embeddings, organism)
        # Logits are what losses read, no predictions.
        return {h: {name: x for name, x in own.items() if name != "logits"} for h, own in predicted.items()}

    return (embed, read), (nnx.to_pure_dict(state), dna)


def gradient(model: AlphaGenome, length: int) -> tuple[tuple[Any], tuple[Any, ...]]:
    """Loss and gradient as a training step takes them, without the optimizer, into the arrays of those `before`."""
    trainer = Trainer(shapes_of(model.config), TrainingConfig(), make_mesh(1, 1))

    def learnt(before: Any, parameters: Any, statistics: Any, batch: Any) -> Any:
        # The step's own, beside which nothing else is to be measured.
        return trainer._learnt(parameters, statistics, batch, trainer._seen(batch), jax.random.key(0))

    given = (*plain(model)[1:], jax.tree.map(jnp.asarray, batch_of(model.config, length)))
    before = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(learnt, None, *given))
    return (learnt,), (before, *given)


def step(model: AlphaGenome, length: int) -> tuple[tuple[Any], tuple[Any, ...]]:
    """A training step of a narrow model, with the simplest loss and optimizer."""
    graph, parameters, moved = plain(model)
    bases = np.random.default_rng(0).integers(0, 4, (1, length))

    def updated(parameters: dict, moved: dict, dna: Array) -> tuple[dict, dict]:
        def loss(parameters: dict) -> tuple[Array, dict]:
            model = nnx.merge(graph, parameters, moved)
            predictions, _ = model(dna, jnp.zeros(1, jnp.int32), train=True, requested_outputs=frozenset(model.heads))
            scaled = [y for outputs in predictions.values() for name, y in outputs.items() if "scaled" in name]
            total = sum(jnp.mean(y - 0.1 * jnp.log(y + 1e-7)) for y in scaled)
            contacts = jnp.mean(jnp.square(predictions["contact_maps"]["predictions"]))
            return total + contacts, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))

        gradients, moved_on = jax.grad(loss, has_aux=True)(parameters)
        return jax.tree.map(lambda p, g: p - 1e-3 * g, parameters, gradients), moved_on

    return (updated,), (parameters, moved, jnp.asarray(np.eye(4, dtype=np.float32)[bases]))


def train(model: AlphaGenome, length: int) -> tuple[tuple[Any], tuple[Any, ...]]:
    """A whole update of the training program."""
    trainer = Trainer(model, TrainingConfig(batch=1), make_mesh(1, 1))
    batch = on_mesh(batch_of(model.config, length), trainer.mesh)
    return (trainer._update,), (trainer.initial, batch)


def main(case: str, tracks: Path | None) -> dict[str, float]:
    """`case`: model, what is done, length, device: `paper-forward-16384-cpu`."""
    which, what, bp, device = case.split("-")
    gpu, length = device == "gpu", int(bp)
    numbers = {"dtype": "bfloat16" if gpu else "float32", "remat": "elementwise" if gpu else "nothing"}
    if what in ("gradient", "step", "train"):
        # As `training.programs.prepare` has it.
        keep_memory()
    started = time.process_time()
    model = AlphaGenome(demo() if which == "demo" else paper(tracks, **numbers), rngs=nnx.Rngs(0))
    found = {"initialise": time.process_time() - started}
    operations = forward_operations(model.config, length)
    match what:
        case "forward":
            functions, arguments = forward(model, 1, length)
        case "refalt":
            functions, arguments = forward(model, 2, length)
            operations *= 2
        case "gradient":
            functions, arguments = gradient(model, length)
            operations *= 3
        case "step":
            functions, arguments = step(model, length)
            operations *= 3
        case "train":
            functions, arguments = train(model, length)
            operations *= 3
    del model
    started = time.perf_counter()
    # An update replaces the state it is given, a gradient that of the call before, as where gradients are added up.
    replaces = {"train": lambda done: done[0], "gradient": lambda done: done}.get(what)
    programs, given = [], arguments
    for function in functions:
        lowered = jax.jit(function, donate_argnums=0 if replaces else (), keep_unused=True).lower(*given)
        programs.append(compiled(lowered, jax.default_backend(), jax.device_count()))
        given = (arguments[0], jax.eval_shape(function, *given))
    found["compile"] = time.perf_counter() - started

    def call() -> object:
        nonlocal arguments
        done = programs[0](*arguments)
        for program in programs[1:]:
            done = program(arguments[0], done)
        if replaces:
            arguments = (replaces(done), *arguments[1:])
        return done

    # The machine's rate changes within minutes: it is measured before, between and after the calls.
    rate = matrix_rate(gpu)
    seconds(call, 1)
    rates, times = [rate()], []
    for _ in range(10 if which == "demo" else 3):
        times += seconds(call, 1)
        rates.append(rate())
    found["processor"], found["wall"] = (statistics.median(spent) for spent in zip(*times, strict=True))
    found["rate"] = statistics.median(rates)
    return found | {"floor": operations / found["rate"], "peak": peak_memory(gpu)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("case")
    parser.add_argument("--tracks", type=Path)
    given = parser.parse_args()
    print(json.dumps(main(given.case, given.tracks)))
