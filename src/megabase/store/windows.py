"""Windows of a fold: tiled inside its regions, and nothing held out overlaps what is trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from megabase.artifacts import digest
from megabase.errors import InputError
from megabase.genome.config import Fold
from megabase.genome.regions import Region, parse_region
from megabase.store.config import ShardsConfig

SPLITS = ("train", "valid", "test")


def split_windows(
    fold: Fold,
    sizes: Mapping[str, int],
    config: ShardsConfig,
    unknown: Callable[[Region], float],
    where: object,
    *,
    held_out: bool = True,
    intervals: pd.DataFrame | None = None,
) -> tuple[dict[str, pd.DataFrame], dict[str, Any], str]:
    """Windows by split (chrom, start, end), the leakage report, and the hash that names the split.

    Training windows start every `stride` bp of a region, the last one flush with its end; held-out windows lie side by
    side, and what is left at the end of a region is not used: two windows that share bases would count them twice. A
    region shorter than a window gives one window around its middle. A held-out window that a training window may reach
    with its shift is dropped (paper section 2), and so is one with more than `max_unknown` unknown bases, as `unknown`
    measures them (share of a region). Without `held_out` everything is trained on: regions of the splits may overlap
    and no window is dropped for it.

    With `intervals` (chrom, start, end, section) the fold names sections, and every one of their rows gives one window
    around its middle, in any split (paper section 2): these overlap each other, and may reach beyond a chromosome.

    The report has `held_out` and, by split, the windows `kept`, `dropped_unknown` and `dropped_overlap`, and
    `overlap_bp_with_train`: the bases of kept windows that training windows reach.
    Raises InputError where regions of two splits overlap, and for a split without windows.
    """
    if intervals is None:
        regions = {
            split: [parse_region(text, sizes, f"{where}.{split}") for text in getattr(fold, split)] for split in SPLITS
        }
    else:
        regions = {split: _centred(intervals, getattr(fold, split), config.window, where) for split in SPLITS}
    if held_out and intervals is None:
        _check_apart(regions, where)
    windows: dict[str, list[Region]] = {}
    report: dict[str, Any] = {}
    reached: Mapping[str, np.ndarray] = {}
    for split in SPLITS:
        held = split != "train"
        stride = config.window if held else config.stride
        tiled = [window for region in regions[split] for window in _tile(region, config.window, stride, flush=not held)]
        known = [window for window in tiled if unknown(window) <= config.max_unknown]
        kept = [window for window in known if not (held and held_out and shared_bases(window, reached))]
        if not kept:
            raise InputError(
                f"no window of {config.window} bp in the {split} split: {len(tiled)} were laid, {len(known)} of them "
                f"known well enough, 0 apart from training windows and their shift of {config.max_shift} bp",
                where=where,
                remedy="widen its regions, or make shards.window shorter",
            )
        windows[split] = kept
        if not held:
            reached = _reach(kept, config.max_shift)
        report[split] = {
            "kept": len(kept),
            "dropped_unknown": len(tiled) - len(known),
            "dropped_overlap": len(known) - len(kept),
        }
        if held:
            report[split]["overlap_bp_with_train"] = sum(shared_bases(window, reached) for window in kept)
    named = {split: [list(window) for window in windows[split]] for split in SPLITS}
    split_hash = digest({"windows": named, "max_shift": config.max_shift})
    tables = {split: pd.DataFrame(windows[split], columns=["chrom", "start", "end"]) for split in SPLITS}
    return tables, report | {"held_out": held_out, "split_hash": split_hash}, split_hash


def _tile(region: Region, window: int, stride: int, *, flush: bool) -> list[Region]:
    length = region.end - region.start
    if length < window:
        start = region.start - (window - length) // 2
        return [Region(region.chrom, start, start + window)]
    starts = list(range(region.start, region.end - window + 1, stride))
    if flush and starts[-1] != region.end - window:
        starts.append(region.end - window)
    return [Region(region.chrom, start, start + window) for start in starts]


def _centred(intervals: pd.DataFrame, sections: Iterable[str], window: int, where: object) -> list[Region]:
    """A window around the middle of every row of these sections, in the rows' order."""
    wanted = set(sections)
    if absent := sorted(wanted - set(intervals["section"])):
        remedy = f"choose from {', '.join(sorted(set(intervals['section'])))}"
        raise InputError(f"no intervals of section {', '.join(absent)}", where=where, remedy=remedy)
    rows = intervals[intervals["section"].isin(list(wanted))]
    starts = (rows["start"] + rows["end"]) // 2 - window // 2
    places = zip(rows["chrom"], starts, strict=True)
    return [Region(str(chrom), int(start), int(start) + window) for chrom, start in places]


def _reach(windows: Iterable[Region], margin: int) -> dict[str, Int[np.ndarray, "spans 2"]]:
    """By chromosome, what windows moved by up to `margin` touch: disjoint rows (start, end), sorted."""
    spans: dict[str, list[list[int]]] = {}
    for chrom, start, end in sorted(windows):
        joined = spans.setdefault(chrom, [])
        if joined and start - margin <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end + margin)
        else:
            joined.append([start - margin, end + margin])
    return {chrom: np.array(joined) for chrom, joined in spans.items()}


def shared_bases(window: Region, spans: Mapping[str, Int[np.ndarray, "spans 2"]]) -> int:
    """Bases of a window within spans (start, end) that are disjoint, by chromosome."""
    if window.chrom not in spans:
        return 0
    starts, ends = spans[window.chrom].T
    return int(np.maximum(np.minimum(ends, window.end) - np.maximum(starts, window.start), 0).sum())


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
