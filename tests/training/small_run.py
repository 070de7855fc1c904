"""One small training run, as a function and as a program that can be killed."""

from __future__ import annotations

import sys
from pathlib import Path

from megabase.model.config import NetworkConfig
from megabase.training.config import LoopConfig, TrainedModel, TrainingConfig
from megabase.training.run import train

MODEL = NetworkConfig(
    **NetworkConfig.demo().__dict__
    | {"channels": 4, "channel_step": 2, "blocks": 1, "heads": 2, "key_channels": 4, "value_channels": 4}
    | {"pair_channels": 4, "pair_heads": 2, "pair_position_features": 4}
)
RECIPE = {"steps": 8, "batch": 1, "warmup": 2, "learning_rate": 0.01, "dropout": 0.1, "seed": 3}
LOOP = {"checkpoint_steps": 2, "log_steps": 1, "compilation_cache": None}


def run(shards: Path, out: Path, recipe: dict | None = None, loop: dict | None = None) -> Path:
    """Trains on `{shards}/{split}.zarr`; results and checkpoints are under `out`."""
    splits = {split: shards / f"{split}.zarr" for split in ("train", "valid", "test")}
    train(
        "small",
        TrainedModel(organisms=["made"], fold=0),
        TrainingConfig(**RECIPE | (recipe or {})),
        LoopConfig(**LOOP | (loop or {})),
        MODEL,
        {"made": splits},
        out / "checkpoints",
        out / "logs",
        out / "model",
    )
    return out / "model"


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
