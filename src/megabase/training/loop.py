"""The loop only orders calls: batch, update, record, checkpoint."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from megabase.store.batches import Batch, prefetched
from megabase.training import hosts
from megabase.training.checkpoints import Checkpoints, finished
from megabase.training.config import LoopConfig
from megabase.training.progress import MetricsLog, Stopwatch, clock, stop_requests
from megabase.training.step import Metrics, Trainer, TrainState

logger = logging.getLogger(__name__)


def run_loop(
    trainer: Trainer,
    batches: Callable[[int], Batch],
    checkpoints: Checkpoints,
    config: LoopConfig,
    metrics: Path,
    validation: list[Batch],
    drawn: Callable[[int], list[Any]],
) -> TrainState:
    """Trains from the newest checkpoint, or from the start, to the last step, and gives the final state.

    `batches`: this process's rows of the batch of an update. `drawn`: the windows of an update, for messages.
    SIGTERM and SIGUSR1, to any process, save and end all of them. Raises InputError where a loss is not a number; the
    checkpoint before it is kept.
    """
    checkpoints.refuse_if_diverged()
    state = checkpoints.newest(trainer.initial) or trainer.initial
    start, steps = int(state.step), trainer.config.steps
    if start:
        logger.info("goes on from step %s", start)
    log = MetricsLog(metrics, start)
    watch = Stopwatch(trainer, start)
    validated = max(1, steps // 5)
    began = saved = time.monotonic()
    pending: list[tuple[int, Metrics]] = []
    agree = hosts.Agreement(trainer.mesh)
    with stop_requests() as stopping, finished(checkpoints):
        for step, batch in watch.waits(prefetched(batches, start, steps, config.prefetch)):
            state, made = trainer.update(state, batch, step)
            done = step + 1
            pending.append((done, made))
            timely, stop = agree(time.monotonic() - saved > config.checkpoint_seconds, stopping())
            due = timely or stop or done % config.checkpoint_steps == 0
            if due or done % config.log_steps == 0 or done == steps:
                values = _checked(pending, checkpoints, drawn) | watch.rates(done)
                log.write({"step": done, **values})
                speed = values["steps_per_second"]
                left = clock((steps - done) / max(speed, 1e-9))
                logger.info("step %s of %s, loss %.4f, %.2f steps/s, %s left", done, steps, values["loss"], speed, left)
                pending = []
            if done % validated == 0 or done == steps:
                log.write({"step": done, "valid": _validation(trainer, state, validation)})
            if due:
                checkpoints.save(state)
                saved = time.monotonic()
                agree.forget()
            if stop:
                checkpoints.wait()
                logger.info("stopped by a signal after step %s; the next run goes on from there", done)
                sys.exit(f"error: training stopped by a signal after step {done}; run again to go on")
        checkpoints.save(state)
    if start < steps:
        logger.info("%s steps in %s", steps - start, clock(time.monotonic() - began))
    return state


def _checked(
    pending: list[tuple[int, Metrics]], checkpoints: Checkpoints, drawn: Callable[[int], list[Any]]
) -> dict[str, Any]:
    """The last metrics as numbers, once every loss since the last look is one."""
    for step, made in jax.device_get(pending):
        if not math.isfinite(made["loss"]) or not math.isfinite(made["gradient_norm"]):
            broken = [head for head, loss in made["losses"].items() if not math.isfinite(loss)]
            raise checkpoints.record_divergence(step, broken[0] if broken else "gradient", drawn(step - 1))
    return jax.tree.map(float, made)


def _validation(trainer: Trainer, state: TrainState, validation: list[Batch]) -> dict[str, Any]:
    made = [jax.device_get(trainer.validate(state, batch)) for batch in validation]
    return jax.tree.map(lambda *values: float(sum(values) / len(values)), *made) if made else {}
