"""Held-out windows were not trained on: checked before anything is scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from megabase.errors import InputError


def check_split(trained: str | None, shards: str, organism: str, model: Path) -> None:
    """Raises InputError unless the model's own record names the split that these shards were cut by."""
    if trained != shards:
        raise InputError(
            f"trained on split {trained} of {organism}, but these windows are of split {shards}",
            where=model / "model.json",
            remedy="evaluate it on the shards it was trained with, or train it again",
        )


def check_windows(train: pd.DataFrame, test: pd.DataFrame, where: Path) -> None:
    """Raises InputError for a test window that overlaps a training window (columns chrom, start, end; half-open)."""
    for chrom, held in test.groupby("chrom"):
        seen = train[train["chrom"] == chrom].sort_values("start")
        starts, ends = seen["start"].to_numpy(), seen["end"].to_numpy()
        # The furthest end among the windows that start before a test window ends decides.
        reached = np.maximum.accumulate(ends) if len(ends) else ends
        for start, end in zip(held["start"], held["end"], strict=True):
            before = np.searchsorted(starts, end, side="left")
            if before and reached[before - 1] > start:
                other = seen.iloc[int(np.argmax(ends[:before] > start))]
                raise InputError(
                    f"test window {chrom}:{start}-{end} overlaps training window "
                    f"{chrom}:{other['start']}-{other['end']}",
                    where=where,
                    remedy="write the shards again: snakemake --forcerun write_shards",
                )
