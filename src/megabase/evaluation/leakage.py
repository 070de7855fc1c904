"""Held-out windows were not trained on: checked before anything is scored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from megabase.errors import InputError


def check_fold(description: Mapping[str, Any], model: Path) -> None:
    """Raises InputError for a model of the whole genome: nothing was held out that its predictions could be judged on.

    `description`: the content of `model.json`.
    """
    if str(description.get("fold")) in ("all", "all_folds"):
        raise InputError(
            "trained on the whole genome: no window was held out",
            where=model / "model.json",
            remedy="judge tracks by the models of single folds, and this one by variants",
        )


def held_out_share(description: Mapping[str, Any], train: Any, test: Any, organism: str, model: Path) -> float:
    """Share of the test windows (of `Shards`) that the model did not train on: 1.

    A window counts as held out if it overlaps no training window of these shards, and if it is among those that the
    model's own record lists, where it lists them. Raises InputError for any share below 1, and where the model names
    another split.
    """
    held = ~overlapping(train.windows, test.windows)
    listed = description.get("held_out", {}).get(organism, {}).get("test")
    if listed is not None:
        known = {tuple(window) for window in listed}
        held &= [tuple(window) in known for window in test.windows[["chrom", "start", "end"]].to_numpy().tolist()]
    share = float(np.mean(held))
    trained = description["split_hashes"].get(organism)
    if trained != test.split_hash or train.split_hash != test.split_hash:
        raise InputError(
            f"trained on split {trained} of {organism}, but these windows are of split {test.split_hash} "
            f"(held_out_share {share:.2f})",
            where=model / "model.json",
            remedy="evaluate it on the shards it was trained with, or train it again",
        )
    if share < 1:
        chrom, start, end = test.windows[["chrom", "start", "end"]].to_numpy().tolist()[int(np.argmin(held))]
        raise InputError(
            f"test window {chrom}:{start}-{end} of {organism} was trained on (held_out_share {share:.2f})",
            where=test.path,
            remedy="write the shards again: snakemake --forcerun write_shards",
        )
    return share


def overlapping(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Which test windows overlap a training window (columns chrom, start, end; half-open)."""
    found = np.zeros(len(test), bool)
    for chrom in test["chrom"].unique():
        here, seen = (test["chrom"] == chrom).to_numpy(), train[train["chrom"] == chrom].sort_values("start")
        # The furthest end among the windows that start before a test window ends decides.
        reached = np.maximum.accumulate(np.concatenate([[np.iinfo(np.int64).min], seen["end"].to_numpy(np.int64)]))
        before = np.searchsorted(seen["start"].to_numpy(), test["end"].to_numpy()[here], side="left")
        found[here] = reached[before] > test["start"].to_numpy()[here]
    return found
