"""One small training run: as a job, as a function, and as a program that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lessons import TINY

from megabase.launch.task import Job
from megabase.training.config import LoopConfig, TrainedModel, TrainingConfig

RECIPE = {"steps": 8, "batch": 1, "warmup": 2, "learning_rate": 0.01, "dropout": 0.1, "seed": 3}
LOOP = {"checkpoint_steps": 2, "log_steps": 1, "compilation_cache": None}


def job(
    shards: Path,
    out: Path,
    recipe: dict | None = None,
    loop: dict | None = None,
    teachers: Sequence[Path] = (),
    origin: Path | None = None,
) -> Job:
    """Trains on `{shards}/{split}.zarr`; results and checkpoints are under `out`."""
    return Job(
        "small",
        TrainedModel(organisms=["made"], fold=0),
        TrainingConfig(**RECIPE | (recipe or {})),
        LoopConfig(**LOOP | (loop or {})),
        TINY,
        {"made": {split: shards / f"{split}.zarr" for split in ("train", "valid", "test")}},
        out / "checkpoints",
        out / "logs",
        out / "model",
        list(teachers),
        origin,
    )


def run(
    shards: Path,
    out: Path,
    recipe: dict | None = None,
    loop: dict | None = None,
    teachers: Sequence[Path] = (),
    origin: Path | None = None,
) -> Path:
    """Runs the job here and gives the folder of its model."""
    own = job(shards, out, recipe, loop, teachers, origin)
    own.run()
    return own.out


def start(shards: Path, out: Path, more: dict | None = None, **environment: str) -> subprocess.Popen[str]:
    """Runs it as a program; `more`: `recipe` and `loop`."""
    program = [sys.executable, __file__, str(shards), str(out), json.dumps(more or {})]
    return subprocess.Popen(program, env=os.environ | environment, stderr=subprocess.PIPE, text=True)


def curve(out: Path) -> dict[int, float]:
    """The logged losses by step; fails where a step stands there twice, or in disorder."""
    lines = map(json.loads, (out / "logs/metrics.jsonl").read_text().splitlines())
    logged = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    steps = [step for step, _ in logged]
    assert steps == sorted(set(steps))
    return dict(logged)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), **json.loads(sys.argv[3]))
