"""The windows of one fold, by split: small stores that can be opened alone."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from megabase.artifacts import atomic_directory, digest, remove_leftovers, write_json
from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.genome.reference import Reference
from megabase.genome.regions import Region
from megabase.genome.sequence import UNKNOWN
from megabase.store.config import ShardsConfig
from megabase.store.layout import (
    ANNOTATION,
    MASKS,
    SEQUENCE,
    SPLICING,
    block_path,
    create_array,
    found_contents,
    open_array,
    write_groups,
    write_rows,
)
from megabase.store.reader import COPIED, Shards
from megabase.store.windows import SPLITS, shared_bases, split_windows

logger = logging.getLogger(__name__)
_CHUNK = 8192


def write_shards(
    organism: str,
    settings: Organism,
    fold: int | Literal["all"],
    store: Path,
    records: list[Path],
    frame: Path,
    out: Mapping[str, Path],
    report: Path,
    config: ShardsConfig,
    splicing: Path | None = None,
    reference: Path | None = None,
) -> None:
    """Writes the shards of one organism and fold, a folder per split, and the leakage report.

    `records`: those of the blocks; `splicing`: that of the splicing tables, where the store has them; `reference`: the
    folder that has the places of windows, where the config names such. Fold `all` trains
    on everything: its other splits are no measure of anything, and the shards say so (`held_out`).
    `layout: view` points into the store; `copy` writes what is stored of every window, with room for the shift, and
    the tables, so that the folder stands alone.
    Raises InputError where regions overlap, a split has no windows, or the store is not what the records say.
    """
    framed = json.loads(frame.read_text())
    blocks = [json.loads(record.read_text()) for record in records]
    where = f"organisms.{organism}.folds.{fold}"
    contents = dict.fromkeys((SEQUENCE, MASKS, ANNOTATION), framed["content"])
    contents |= {block_path(block["bundle"], block["block"]): block["content"] for block in blocks}
    spliced: dict[str, Any] | None = None
    if splicing is not None:
        spliced = json.loads(splicing.read_text())
        contents[SPLICING] = spliced["content"]
    if found_contents(store, contents) != contents:
        raise InputError("the store is not what its records say", where=store, remedy="write it again: snakemake store")
    spans = {chrom: _unknown_spans(store, chrom, size) for chrom, size in framed["sizes"].items()}

    def unknown(window: Region) -> float:
        return shared_bases(window, spans) / (window.end - window.start)

    held_out = fold != "all"
    windows, leakage, split_hash = split_windows(
        settings.fold(fold),
        framed["sizes"],
        config,
        unknown,
        where,
        held_out=held_out,
        intervals=None if reference is None else Reference.open(reference).intervals(),
    )
    described = {
        "organism": organism,
        "organism_index": settings.index,
        "assembly": framed["assembly"],
        "sizes": framed["sizes"],
        "fold": fold,
        "held_out": held_out,
        "split_hash": split_hash,
        "store_digest": digest(contents),
        "window": config.window,
        "max_shift": config.max_shift,
        "blocks": [{name: block[name] for name in ("bundle", "block", "tracks", "codec")} for block in blocks],
        "splicing": None if spliced is None else {name: spliced[name] for name in ("conditions", "bundles")},
    }
    remove_leftovers(*out.values(), report)
    for split in SPLITS:
        own = described | {"split": split, "layout": "view", "store": os.path.relpath(store, out[split])}
        own["windows"] = windows[split].to_dict("list")
        with atomic_directory(out[split]) as partial:
            if config.layout == "copy":
                _copy(partial, Shards(out[split], own))
                for group in (ANNOTATION, SPLICING) if spliced else (ANNOTATION,):
                    shutil.copytree(store / group, partial / COPIED / group)
                own |= {"layout": "copy", "store": None}
            write_groups(partial, "", own)
    write_json(report, leakage)
    counts = ", ".join(f"{split} {len(windows[split])}" for split in SPLITS)
    logger.info("%s fold %s: %s windows, split %s", organism, fold, counts, split_hash)


def by_organism(paths: Iterable[str | Path]) -> dict[str, dict[str, Path]]:
    """Shards by organism and split, from paths that end in `{organism}/{fold}/{split}.zarr`."""
    found: dict[str, dict[str, Path]] = {}
    for path in map(Path, paths):
        found.setdefault(path.parts[-3], {})[path.stem] = path
    return found


def _unknown_spans(store: Path, chrom: str, size: int) -> Int[np.ndarray, "spans 2"]:
    """Where a chromosome's sequence is not known, and all that lies beyond its ends."""
    codes = open_array(store / SEQUENCE / chrom).read().result()
    steps = np.flatnonzero(np.diff(codes == UNKNOWN, prepend=False, append=False)).reshape(-1, 2)
    beyond = np.iinfo(np.int32)
    return np.concatenate([[[beyond.min, 0]], steps, [[size, beyond.max]]])


def _copy(folder: Path, shards: Shards) -> None:
    """What is stored of every window: per stored array one of [windows, rows, ...], one window to an object."""
    for stored in shards.stored:
        write_groups(folder, str(Path(COPIED, stored.path).parent))
        array = None
        for i in range(len(shards)):
            values = shards.margins(stored, i)
            if array is None:
                chunk = (1, min(_CHUNK, len(values)), *values.shape[1:])
                shard = (1, -(-len(values) // chunk[1]) * chunk[1], *values.shape[1:])
                shape = (len(shards), *values.shape)
                place = folder / COPIED / stored.path
                array = create_array(place, shape, str(values.dtype), chunk=chunk, shard=shard, codec=stored.codec)
            write_rows(array, i, values[None])
