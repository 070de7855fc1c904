"""Windows of a fold: tiled inside its regions, and nothing held out overlaps what is trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from megabase.artifacts import digest
from megabase.errors import InputError
from megabase.genome.config import Fold
from megabase.genome.regions import Region, parse_region
from megabase.store.config import ShardsConfig

SPLITS = ("train", "valid", "test")


def split_windows(
    fold: Fold, sizes: Mapping[str, int], config: ShardsConfig, unknown: Callable[[Region], float], where: object
) -> tuple[dict[str, pd.DataFrame], dict[str, Any], str]:
    """Windows by split (chrom, start, end), the leakage report, and the hash that names the split.

    Training windows start every `stride` bp of a region, the last one flush with its end; held-out windows lie side by
    side. A region shorter than a window gives one window around its middle. A held-out window that a training window
    may reach with its shift is dropped (paper section 2), and so is one with more than `max_unknown` unknown bases,
    as `unknown` measures them (share of a region).
    Raises InputError where regions of two splits overlap, and for a split without windows.
    """
    regions = {
        split: [parse_region(text, sizes, f"{where}.{split}") for text in getattr(fold, split)] for split in SPLITS
    }
    _check_apart(regions, where)
    report: dict[str, Any] = {"windows": {}, "dropped_unknown": {}, "dropped_overlap": {}}
    windows: dict[str, list[Region]] = {}
    for split in SPLITS:
        stride = config.stride if split == "train" else config.window
        tiled = [window for region in regions[split] for window in _tile(region, config.window, stride, split)]
        known = [window for window in tiled if unknown(window) <= config.max_unknown]
        apart = known if split == "train" else _apart(known, windows["train"], config.max_shift)
        if not apart:
            raise InputError(
                f"no window of {config.window} bp in the {split} split",
                where=where,
                remedy="widen its regions, or make shards.window shorter",
            )
        windows[split] = apart
        report["windows"][split] = len(apart)
        report["dropped_unknown"][split] = len(tiled) - len(known)
        report["dropped_overlap"][split] = len(known) - len(apart)
    held = [window for split in ("valid", "test") for window in windows[split]]
    report["overlap_with_training_bp"] = sum(
        window.overlap(Region(other.chrom, other.start - config.max_shift, other.end + config.max_shift))
        for window in held
        for other in windows["train"]
    )
    tables = {split: pd.DataFrame(windows[split], columns=["chrom", "start", "end"]) for split in SPLITS}
    named = {split: [list(window) for window in windows[split]] for split in SPLITS}
    split_hash = digest({"windows": named, "max_shift": config.max_shift})
    return tables, report | {"split_hash": split_hash}, split_hash


def _tile(region: Region, window: int, stride: int, split: str) -> list[Region]:
    length = region.end - region.start
    if length < window:
        start = region.start - (window - length) // 2
        return [Region(region.chrom, start, start + window)]
    starts = list(range(region.start, region.end - window + 1, stride))
    if split == "train" and starts[-1] != region.end - window:
        starts.append(region.end - window)
    return [Region(region.chrom, start, start + window) for start in starts]


def _apart(held: list[Region], trained: list[Region], margin: int) -> list[Region]:
    """The held-out windows that no training window, moved by up to `margin`, touches."""
    reach: dict[str, np.ndarray] = {}
    for chrom in {window.chrom for window in trained}:
        reach[chrom] = np.array([(own.start - margin, own.end + margin) for own in trained if own.chrom == chrom])
    kept = []
    for window in held:
        spans = reach.get(window.chrom, np.empty((0, 2), int))
        if not np.any((spans[:, 0] < window.end) & (spans[:, 1] > window.start)):
            kept.append(window)
    return kept


def _check_apart(regions: Mapping[str, list[Region]], where: object) -> None:
    named = [(split, region) for split in SPLITS for region in regions[split]]
    for i, (split, region) in enumerate(named):
        for other_split, other in named[:i]:
            if split != other_split and region.overlap(other):
                raise InputError(
                    f"{split} region {region} overlaps {other_split} region {other}",
                    where=where,
                    remedy="take the shared part out of one",
                )
