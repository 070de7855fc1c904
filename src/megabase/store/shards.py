"""The windows of one model, by split: small folders that can be opened alone."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from megabase.artifacts import atomic_directory, digest, write_json
from megabase.genome.config import Organism
from megabase.genome.regions import Region
from megabase.genome.sequence import UNKNOWN
from megabase.store.config import ShardsConfig
from megabase.store.layout import open_array, sequence_path
from megabase.store.reader import COPIED, Shards
from megabase.store.windows import SPLITS, split_windows

logger = logging.getLogger(__name__)


def write_shards(
    organism: str,
    settings: Organism,
    fold: int,
    store: Path,
    records: list[Path],
    frame: Path,
    out: Mapping[str, Path],
    report: Path,
    config: ShardsConfig,
) -> None:
    """Writes the shards of one organism and fold, a folder per split, and the leakage report.

    `layout: view` points into the store; `copy` writes the sequence and signal of every window, with room for the
    shift, so that the folder stands alone.
    Raises InputError where regions overlap or a split has no windows.
    """
    framed = json.loads(frame.read_text())
    blocks = [json.loads(record.read_text()) for record in records]
    # Sequence codes of whole chromosomes are small beside one block of signal, and windows overlap.
    unknown_before: dict[str, np.ndarray] = {}

    def unknown(window: Region) -> float:
        if window.chrom not in unknown_before:
            codes = open_array(store / sequence_path(window.chrom)).read().result()
            unknown_before[window.chrom] = np.concatenate([[0], np.cumsum(codes == UNKNOWN)])
        counts, size = unknown_before[window.chrom], framed["sizes"][window.chrom]
        start, end = max(window.start, 0), min(window.end, size)
        outside = (window.end - window.start) - (end - start)
        return float(counts[end] - counts[start] + outside) / (window.end - window.start)

    where = f"organisms.{organism}.folds.{fold}"
    windows, leakage, split_hash = split_windows(settings.folds[fold], framed["sizes"], config, unknown, where)
    content = {"frame": framed["content"], "blocks": [block["content"] for block in blocks]}
    described = {
        "organism": organism,
        "organism_index": settings.index,
        "assembly": framed["assembly"],
        "sizes": framed["sizes"],
        "fold": fold,
        "split_hash": split_hash,
        "store_digest": digest(content),
        "window": config.window,
        "max_shift": config.max_shift,
        "blocks": [{"bundle": block["bundle"], "block": block["block"], "tracks": block["tracks"]} for block in blocks],
    }
    for split in SPLITS:
        own = described | {"split": split, "store": os.path.relpath(store, out[split]), "layout": "view"}
        own["windows"] = windows[split].to_dict("list")
        with atomic_directory(out[split]) as partial:
            _write_description(partial, own)
            if config.layout == "copy":
                copied = Shards(out[split], own, store)
                _copy(partial, copied)
                _write_description(partial, own | {"layout": "copy", "store": None})
    write_json(report, leakage)
    counts = ", ".join(f"{split} {len(windows[split])}" for split in SPLITS)
    logger.info("%s fold %s: %s windows; %s bp shared", organism, fold, counts, leakage["overlap_with_training_bp"])


def by_organism(paths: Iterable[str | Path]) -> dict[str, dict[str, Path]]:
    """Shards by organism and split, from paths that end in `{organism}/{model}/{split}.zarr`."""
    found: dict[str, dict[str, Path]] = {}
    for path in map(Path, paths):
        found.setdefault(path.parts[-3], {})[path.stem] = path
    return found


def _write_description(folder: Path, described: Mapping[str, Any]) -> None:
    content = {"zarr_format": 3, "node_type": "group", "attributes": described}
    (folder / "zarr.json").write_text(json.dumps(content, indent=1) + "\n")


def _copy(folder: Path, shards: Shards) -> None:
    """Everything a window may need, as it stands in the store: reading the copy then is reading the store."""
    for i in range(len(shards.windows)):
        with atomic_directory(folder / COPIED / f"{i:06d}") as partial:
            for name, values in shards.raw(i).items():
                np.save(partial / f"{name.replace('/', '.')}.npy", values)
