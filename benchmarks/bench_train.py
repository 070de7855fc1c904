"""What the training loop costs beside the bare update, on the demo: reading, logging, checkpoints.

Bare updates over batches that are in memory, and the loop as it is used, take turns; medians of their wall time. Also:
the share of time that the loop waits for data, the longest that a checkpoint holds up training, and how far the update
is from this machine's own matrix product. Prints a JSON line per figure, then a table. Needs the demo's windows, which
are made first where they are missing.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
from flax import nnx

from megabase.config import load
from megabase.model.network import AlphaGenome
from megabase.model.spec import ModelConfig, head_specs
from megabase.store.reader import Shards
from megabase.training.checkpoints import Checkpoints
from megabase.training.loop import run_loop
from megabase.training.programs import prepare
from megabase.training.run import batches_of
from megabase.training.step import Trainer, make_mesh

ROUNDS, STEPS, KEPT = 3, 250, 20
MODEL = "fold_0"
CHECKPOINT, LINE = 125, 25
"""Updates between checkpoints, and between lines of metrics."""


def main() -> None:
    """Measures and prints."""
    logging.disable(logging.INFO)
    config = load(["config/default.yaml", "config/demo.yaml"])
    prepare(config.loop)
    folders = {name: f"data/demo/shards/{name}/{MODEL}/train.zarr" for name in config.organisms}
    if not all(Path(folder).exists() for folder in folders.values()):
        subprocess.run([sys.executable, "-m", "snakemake", *folders.values()], check=True, stdout=sys.stderr)
    opened = {name: Shards.open(Path(folder)) for name, folder in folders.items()}
    rows_of = {name: own.organism_index for name, own in opened.items()}
    heads = head_specs({name: own.tracks for name, own in opened.items()}, rows_of)
    recipe = dataclasses.replace(config.recipe(MODEL), steps=STEPS)
    model = AlphaGenome(ModelConfig(config.model, heads, len(opened)), dropout=recipe.dropout, rngs=nnx.Rngs(0))
    trainer = Trainer(model, recipe, make_mesh())
    batches = batches_of(opened, heads, recipe, config.model)
    kept = [batches(step) for step in range(KEPT)]

    bare, looped, waits, stalls = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS + 1):
            bare.append(bare_updates(trainer, kept))
            place = Path(folder) / str(number)
            # What the loop does happens within a round: lines twice, checkpoints eight times as often as by default.
            loop = dataclasses.replace(config.loop, checkpoint_steps=CHECKPOINT, log_steps=LINE)
            checkpoints = Checkpoints(place, {"round": number}, keep=1)
            view, ended = fresh(trainer), []
            view.update = ending(trainer, ended)  # type: ignore[method-assign]
            started = time.perf_counter()
            run_loop(view, batches, checkpoints, loop, place / "metrics.jsonl", [], batches.drawn)
            looped.append((ended[-1] - started) / STEPS)
            lines = map(json.loads, (place / "metrics.jsonl").read_text().splitlines())
            waits += [line["data_wait"] for line in lines if "data_wait" in line][1:] if number else []
            # The last two hold up no update: the one after the last, and the one that waits for it.
            stalls += checkpoints.stalled[:-2] if number else []
    step, loop_step = statistics.median(bare[1:]), statistics.median(looped[1:])
    flops = trainer.flops or 0.0
    share = flops / step / matrix_product_rate()
    write(
        [
            ("train.bare_step", step, "s", "one matrix product of its operations", 1 / max(share, 1e-9)),
            ("train.loop_step", loop_step, "s", "bare_step", loop_step / step),
            ("train.loop_overhead", 100 * (loop_step / step - 1), "%", "3 %", (loop_step / step - 1) / 0.03),
            ("train.data_wait", 100 * statistics.mean(waits), "%", "1 %", statistics.mean(waits) / 0.01),
            ("train.checkpoint_stall", max(stalls), "s", "1 s", max(stalls)),
            ("train.matrix_rate_share", 100 * share, "%", "this machine's float32 matrix product", share),
        ]
    )


def fresh(trainer: Trainer) -> Trainer:
    """The trainer with an initial state that no update has used up."""
    made = jax.tree.map(jnp.copy, trainer.initial)
    view = SimpleNamespace(**{name: getattr(trainer, name) for name in ("config", "mesh", "update", "validate")})
    view.initial, view.flops = made, trainer.flops
    return view  # type: ignore[return-value]


def ending(trainer: Trainer, ended: list[float]) -> Callable[..., Any]:
    """Its update, which notes when the last one is done: the checkpoint after it holds up no other."""

    def update(state: Any, batch: Any, step: int) -> Any:
        made = trainer.update(state, batch, step)
        if step == STEPS - 1:
            jax.block_until_ready(made)
            ended.append(time.perf_counter())
        return made

    return update


def bare_updates(trainer: Trainer, kept: list) -> float:
    """Seconds of an update, its batch in memory."""
    state = fresh(trainer).initial
    started = time.perf_counter()
    for step in range(STEPS):
        state, made = trainer.update(state, kept[step % len(kept)], step)
    jax.block_until_ready((state, made))
    return (time.perf_counter() - started) / STEPS


def matrix_product_rate() -> float:
    """Floating-point operations per second of a 2,048 x 2,048 float32 product on the cores that training uses."""
    a = jnp.ones((2048, 2048), jnp.float32)
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        product(a, a).block_until_ready()
        seconds.append(time.perf_counter() - started)
    return 2 * 2048**3 / statistics.median(seconds)


def write(rows: list[tuple[str, float, str, str, float]]) -> None:
    for row in rows:
        print(json.dumps(dict(zip(("name", "value", "unit", "against", "ratio"), row, strict=True))))
    print(f"\n{'name':26}{'value':>10} {'unit':5}{'ratio':>8}  against")
    for name, value, unit, against, ratio in rows:
        print(f"{name:26}{value:10.4f} {unit:5}{ratio:8.3f}  {against}")


if __name__ == "__main__":
    main()
