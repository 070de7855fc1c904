"""One small training run, as a function and as a program that can be killed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lessons import TINY

from megabase.training.config import LoopConfig, TrainedModel, TrainingConfig
from megabase.training.run import train

RECIPE = {"steps": 8, "batch": 1, "warmup": 2, "learning_rate": 0.01, "dropout": 0.1, "seed": 3}
LOOP = {"checkpoint_steps": 2, "log_steps": 1, "compilation_cache": None}


def run(
    shards: Path,
    out: Path,
    recipe: dict | None = None,
    loop: dict | None = None,
    teachers: Sequence[Path] = (),
) -> Path:
    """Trains on `{shards}/{split}.zarr`; results and checkpoints are under `out`."""
    splits = {split: shards / f"{split}.zarr" for split in ("train", "valid", "test")}
    train(
        "small",
        TrainedModel(organisms=["made"], fold=0),
        TrainingConfig(**RECIPE | (recipe or {})),
        LoopConfig(**LOOP | (loop or {})),
        TINY,
        {"made": splits},
        out / "checkpoints",
        out / "logs",
        out / "model",
        teachers,
    )
    return out / "model"


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
