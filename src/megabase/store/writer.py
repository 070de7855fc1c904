"""Writes a store: sequence and masks once, then its tracks block by block, each whole or absent."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt16

from megabase.artifacts import atomic_directory, digest, provenance, write_json
from megabase.bundles import BUNDLES
from megabase.genome.reference import Reference
from megabase.portals.sources import METADATA
from megabase.store import STAGE_VERSION
from megabase.store.config import StoreConfig
from megabase.store.layout import (
    CODECS,
    EXCLUDED,
    FORMAT,
    GAP,
    block_path,
    contacts_path,
    create_array,
    write_groups,
)

logger = logging.getLogger(__name__)

_KEPT = (
    "track_id",
    "index",
    "track",
    "strand",
    *METADATA,
    "total",
    "nonzero_mean",
    "scale",
    "covered",
    "content",
    "bin",
)


def write_frame(reference: Path, store: Path, record: Path, config: StoreConfig) -> None:
    """Writes `sequence/{chrom}` and `masks/{chrom}` of the store, uint8 at every base, and their record."""
    opened = Reference.open(reference)
    masks = opened.masks()
    write_groups(store, "", {"format": FORMAT, "assembly": opened.assembly, "sizes": opened.sizes})
    rows = _rows(config, 1)
    with atomic_directory(store / "sequence") as sequences, atomic_directory(store / "masks") as excluded:
        write_groups(sequences, "")
        write_groups(excluded, "")
        for chrom, size in opened.sizes.items():
            codes = opened.codes(chrom, 0, size)
            mask = np.zeros(size, np.uint8)
            # Gaps last: where both hold, a gap says more.
            for reason, value in (("excluded", EXCLUDED), ("gap", GAP)):
                here = masks[(masks["chrom"] == chrom) & (masks["reason"] == reason)]
                for start, end in zip(here["start"], here["end"], strict=True):
                    mask[start:end] = value
            for folder, values in ((sequences, codes), (excluded, mask)):
                array = create_array(folder / chrom, (size,), "uint8", rows=rows, codec="zstd-3", attributes={})
                array.write(values).result()
    fact = json.loads((reference / "reference.json").read_text())
    content = digest({"reference": fact["sha256"], "sizes": opened.sizes, "stage": STAGE_VERSION})
    made = {"assembly": opened.assembly, "sizes": opened.sizes, "content": content, "stage_version": STAGE_VERSION}
    write_json(record, made | {"provenance": provenance(("tensorstore",))})
    logger.info("%s: %s bp in %s chromosomes", store.name, sum(opened.sizes.values()), len(opened.sizes))


def write_block(signal_record: Path, signal: Path, store: Path, record: Path, config: StoreConfig) -> None:
    """Packs the tracks of one signal record side by side into the store and writes the block's own record."""
    began = time.monotonic()
    given = json.loads(signal_record.read_text())
    bundle, tracks = BUNDLES[given["bundle"]], given["tracks"]
    if bundle.kind == "contact_maps":
        place, codec, trial = contacts_path(given["block"]), "zstd-1", {}
        write_groups(store, str(Path(place).parent))
        with atomic_directory(store / place) as partial:
            _write_contacts(partial, signal, tracks, config)
    else:
        codec, trial = config.codec, dict[str, float]()
        if codec == "trial":
            codec, trial = _tried(signal, tracks, config, bundle.store_bin)
        place = block_path(bundle.name, given["block"])
        write_groups(store, str(Path(place).parent))
        with atomic_directory(store / place) as partial:
            _write_signal(partial, signal, tracks, config, bundle.store_bin, codec)
    kept = [{name: track[name] for name in _KEPT} for track in tracks]
    layout = {"chunk": config.chunk, "shard": config.shard, "codec": codec, "stage": STAGE_VERSION}
    made = {"bundle": bundle.name, "block": given["block"], "tracks": kept, "codec": codec, "trial": trial}
    made |= {"content": digest({"tracks": [track["content"] for track in kept], "layout": layout})}
    write_json(record, made | {"stage_version": STAGE_VERSION, "provenance": provenance(("tensorstore",))})
    logger.info("%s %s: %s tracks, %s, %.1f s", bundle.name, given["block"], len(kept), codec, time.monotonic() - began)


def _write_signal(
    folder: Path, signal: Path, tracks: list[dict[str, Any]], config: StoreConfig, bin_size: int, codec: str
) -> None:
    write_groups(folder, "", {"dtype": "bfloat16", "bin": bin_size, "tracks": [track["track_id"] for track in tracks]})
    files = _opened(signal, tracks)
    chunk, shard = _rows(config, bin_size)
    for chrom, length in _lengths(files[0]).items():
        attributes = {"dtype": "bfloat16", "bin": bin_size}
        shape = (length, len(tracks))
        array = create_array(folder / chrom, shape, "uint16", rows=(chunk, shard), codec=codec, attributes=attributes)
        for start in range(0, length, shard):
            end = min(start + shard, length)
            array[start:end].write(_side_by_side(files, chrom, start, end)).result()


def _write_contacts(folder: Path, signal: Path, tracks: list[dict[str, Any]], config: StoreConfig) -> None:
    write_groups(folder, "", {"tracks": [track["track_id"] for track in tracks]})
    for track, file in zip(tracks, _opened(signal, tracks), strict=True):
        write_groups(folder, track["track_id"], {"bin": track["bin"]})
        for chrom in file:
            values = np.asarray(file[chrom])
            rows = (256, 256 * max(1, config.shard // (256 * track["bin"])))
            place = folder / track["track_id"] / chrom
            attributes = {"bin": track["bin"]}
            array = create_array(place, values.shape, "float32", rows=rows, codec="zstd-1", attributes=attributes)
            array.write(values).result()


def _tried(
    signal: Path, tracks: list[dict[str, Any]], config: StoreConfig, bin_size: int
) -> tuple[str, dict[str, float]]:
    """The codec that makes one shard of the largest chromosome smallest, and the ratio of each."""
    import numcodecs

    files = _opened(signal, tracks)
    lengths = _lengths(files[0])
    chrom = max(lengths, key=lengths.__getitem__)
    chunk, shard = _rows(config, bin_size)
    middle = max(0, lengths[chrom] // 2 - shard // 2)
    sample = _side_by_side(files, chrom, middle, min(middle + shard, lengths[chrom]))
    encoders: dict[str, Any] = {
        "zstd-1": numcodecs.Zstd(1),
        "zstd-3": numcodecs.Zstd(3),
        "blosc-zstd-bitshuffle": numcodecs.Blosc("zstd", 3, numcodecs.Blosc.BITSHUFFLE),
    }
    pieces = [np.ascontiguousarray(sample[start : start + chunk]) for start in range(0, len(sample), chunk)]
    ratios = {
        name: round(sample.nbytes / sum(len(encoders[name].encode(piece)) for piece in pieces), 3) for name in CODECS
    }
    return max(ratios, key=ratios.__getitem__), ratios


def _rows(config: StoreConfig, bin_size: int) -> tuple[int, int]:
    """Rows of a chunk and of a shard; a shard is whole chunks."""
    shard = max(1, config.shard // bin_size)
    chunk = min(config.chunk, shard)
    return chunk, -(-shard // chunk) * chunk


def _opened(signal: Path, tracks: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    import zarr

    return [zarr.open_group(str(signal / f"{track['track_id']}.zarr"), mode="r") for track in tracks]  # type: ignore[misc]


def _lengths(file: Mapping[str, Any]) -> dict[str, int]:
    return {chrom: file[chrom].shape[0] for chrom in sorted(file)}


def _side_by_side(
    files: list[Mapping[str, Any]], chrom: str, start: int, end: int
) -> UInt16[np.ndarray, "positions tracks"]:
    return np.stack([np.asarray(file[chrom][start:end]) for file in files], axis=1)
