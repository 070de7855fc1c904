"""The loop only orders calls: batch, update, record, checkpoint."""

from __future__ import annotations

import json
import logging
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from megabase.artifacts import write_text
from megabase.store.batches import Batch, Batches, prefetched
from megabase.training.checkpoints import Checkpoints
from megabase.training.config import LoopConfig
from megabase.training.step import Metrics, Trainer, TrainState

logger = logging.getLogger(__name__)


def run_loop(
    trainer: Trainer,
    batches: Batches,
    checkpoints: Checkpoints,
    config: LoopConfig,
    metrics: Path,
    validation: list[Batch],
) -> TrainState:
    """Trains from the newest checkpoint, or from the start, to the last step, and gives the final state.

    SIGTERM and SIGUSR1 save and end the process. Raises InputError where a loss is not a number; the checkpoint before
    it is kept.
    """
    checkpoints.refuse_if_diverged()
    state = checkpoints.newest(trainer.initial) or trainer.initial
    start, steps = int(state.step), trainer.config.steps
    if start:
        logger.info("goes on from step %s", start)
    log = _MetricsLog(metrics, start)
    validated = max(1, steps // 5)
    began = saved = said = time.monotonic()
    waited, last = 0.0, start
    pending: list[tuple[int, Metrics]] = []
    with _stop_requests() as stopping:
        asked = time.monotonic()
        for step, batch in prefetched(batches, start, steps, config.prefetch):
            waited += time.monotonic() - asked
            state, made = trainer.update(state, batch, step)
            done = step + 1
            pending.append((done, made))
            due = done % config.checkpoint_steps == 0 or time.monotonic() - saved > config.checkpoint_seconds
            if done % config.log_steps == 0 or done == steps or due or stopping():
                values = _checked(pending, checkpoints, batches)
                seconds = time.monotonic() - said
                speed = (done - last) / max(seconds, 1e-9)
                values |= {"steps_per_second": speed, "data_wait": waited / max(seconds, 1e-9)}
                log.write({"step": done, **values})
                left = (steps - done) / max(speed, 1e-9)
                logger.info(
                    "step %s of %s, loss %.4f, %.2f steps/s, %s left", done, steps, values["loss"], speed, _clock(left)
                )
                pending, waited, last, said = [], 0.0, done, time.monotonic()
            if done % validated == 0 or done == steps:
                log.write({"step": done, "valid": _validation(trainer, state, validation)})
            if due or stopping():
                checkpoints.save(state)
                saved = time.monotonic()
            if stopping():
                logger.info("stopped by a signal after step %s; the next run goes on from there", done)
                sys.exit(f"error: training stopped by a signal after step {done}; run again to go on")
            asked = time.monotonic()
    if start < steps:
        logger.info("%s steps in %s", steps - start, _clock(time.monotonic() - began))
    checkpoints.save(state)
    return state


def _checked(pending: list[tuple[int, Metrics]], checkpoints: Checkpoints, batches: Batches) -> dict[str, Any]:
    """The last metrics as numbers, once every loss since the last look is one."""
    for step, made in jax.device_get(pending):
        if not math.isfinite(made["loss"]) or not math.isfinite(made["gradient_norm"]):
            broken = [head for head, loss in made["losses"].items() if not math.isfinite(loss)]
            raise checkpoints.record_divergence(step, broken[0] if broken else "gradient", batches.drawn(step - 1))
    return jax.tree.map(float, made)


def _validation(trainer: Trainer, state: TrainState, validation: list[Batch]) -> dict[str, Any]:
    made = [jax.device_get(trainer.validate(state, batch)) for batch in validation]
    return jax.tree.map(lambda *values: float(sum(values) / len(values)), *made) if made else {}


class _MetricsLog:
    """metrics.jsonl, one object a line; a resumed run takes back the lines after the step it resumes from."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        kept = []
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    if json.loads(line)["step"] <= start:
                        kept.append(line + "\n")
                except ValueError:
                    break  # The line that a kill cut short.
        write_text(path, "".join(kept))

    def write(self, values: dict[str, Any]) -> None:
        with open(self._path, "a") as file:
            file.write(json.dumps(values) + "\n")


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """While inside, SIGTERM and SIGUSR1 only raise a flag, read between steps."""
    asked: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, lambda got, _: asked.append(got)) for number in numbers}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
