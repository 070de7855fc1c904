"""What a person sees of a training run: a line of numbers every few updates, and how to stop it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax

from megabase.artifacts import write_text
from megabase.training import hosts
from megabase.training.step import Trainer

T = TypeVar("T")

PEAK_FLOPS = {
    "TPU v3": 61.5e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5": 459e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
    "NVIDIA H100": 989e12,
}
"""bfloat16 operations per second of one JAX device, by the start of its kind (vendors' pages): dense, without sparsity;
of TPU v3 a device is one of a chip's two cores."""


def peak_flops(kind: str) -> float | None:
    """The vendor's peak of a kind of device; None for one not listed, such as a processor."""
    found = [name for name in PEAK_FLOPS if kind.startswith(name)]
    return PEAK_FLOPS[max(found, key=len)] if found else None


class MetricsLog:
    """metrics.jsonl, one object a line; a resumed run takes back the lines after the step it resumes from. Only the
    first process writes."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        if not hosts.first():
            return
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
        """Adds a line."""
        if hosts.first():
            with open(self._path, "a") as file:
                file.write(json.dumps(values) + "\n")


class Stopwatch:
    """How fast training goes, and how much of the time it waits for data."""

    def __init__(self, trainer: Trainer, start: int) -> None:
        self._trainer, self._last, self._said, self._waited = trainer, start, time.monotonic(), 0.0

    def waits(self, items: Iterable[T]) -> Iterator[T]:
        """`items`; the time that each lets one wait is counted."""
        given = iter(items)
        while True:
            asked = time.monotonic()
            try:
                item = next(given)
            except StopIteration:
                return
            self._waited += time.monotonic() - asked
            yield item

    def rates(self, done: int) -> dict[str, float]:
        """Since the last call: `steps_per_second`, `examples_per_second`, `data_wait` (share of the time), and
        `model_flop_utilisation` where the devices' peak is known."""
        seconds = max(time.monotonic() - self._said, 1e-9)
        speed = (done - self._last) / seconds
        made = {
            "steps_per_second": speed,
            "examples_per_second": speed * self._trainer.config.rows,
            "data_wait": self._waited / seconds,
        }
        peak = peak_flops(jax.devices()[0].device_kind)
        if peak and (flops := self._trainer.flops):
            made["model_flop_utilisation"] = speed * flops / (peak * self._trainer.mesh.size)
        self._last, self._said, self._waited = done, time.monotonic(), 0.0
        return made


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """While inside, SIGTERM and SIGUSR1 only raise a flag, read between steps."""
    asked: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, lambda got, _: asked.append(got)) for number in numbers}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def clock(seconds: float) -> str:
    """A duration as minutes and seconds, or hours before them."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
