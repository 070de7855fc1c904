"""A store small enough to check against loops, made from files in the signal stage's formats, and those loops."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
import pyfaidx
import zarr
from splice_world import write_annotation

from megabase.bundles import BUNDLES
from megabase.genome.config import Fold, Organism
from megabase.store.config import ShardsConfig, StoreConfig
from megabase.store.shards import write_shards
from megabase.store.writer import write_block, write_frame

SIZES = {"chrB": 5_001, "chrA": 60_003, "chrC": 9_100}
WINDOW, MAX_SHIFT, OFFSETS = 8192, 1024, 12
LAYOUT = StoreConfig(block_tracks=2, chunk=512, shard=2000)
SHARDS = ShardsConfig(window=WINDOW, stride=3000, max_shift=MAX_SHIFT, max_unknown=0.9)
FOLD = Fold(train=["chrA:0-30000", "chrB"], valid=["chrA:31500-45000"], test=["chrA:45000-60003", "chrC"])
MASKED = [("chrA", 1000, 1300, "gap"), ("chrA", 1250, 1500, "excluded"), ("chrA", 9000, 9064, "excluded")]
# bundle -> blocks of (track, strand, covered)
TRACKS: dict[str, list[list[tuple[str, str, Any]]]] = {
    "RNA_SEQ": [[("liver", "+", None), ("liver", "-", None)], [("heart", ".", None)]],
    "DNASE": [[("k562", ".", None)]],
    "ATAC": [[("k562", ".", [["chrA", 0, 5000], ["chrA", 5100, 20011]]), ("hepg2", ".", None)]],
    "CAGE": [[("skin", "-", None), ("skin", "+", None)]],
    "PROCAP": [[("alone", "+", None)]],
    "CHIP_TF": [[("ctcf", ".", [["chrA", 0, 20_011]]), ("max", ".", None)], [("myc", ".", None)]],
    "CONTACT_MAPS": [[("hic", ".", None), ("micro", ".", None)]],
}
MAP_BINS = {"hic": 1000, "micro": 700}
SUFFIX = {"+": ".plus", "-": ".minus", ".": ""}


@dataclasses.dataclass
class World:
    """Where everything is, and every stored value by track and chromosome."""

    root: Path
    sequence: dict[str, np.ndarray]
    stored: dict[tuple[str, str], dict[str, np.ndarray]]

    @property
    def store(self) -> Path:
        return self.root / "store" / "toy.zarr"

    @property
    def frame(self) -> Path:
        return self.root / "store" / "toy" / "frame.json"

    def record(self, bundle: str, block: int) -> Path:
        return self.root / "store" / "toy" / f"{bundle}.{block:04d}.json"

    def signal(self, bundle: str) -> Path:
        return self.root / "signal" / "toy" / bundle

    def signal_record(self, bundle: str, block: int) -> Path:
        return self.root / "signal" / "toy" / f"{bundle}.{block:04d}.json"

    @property
    def blocks(self) -> list[tuple[str, int]]:
        return [(bundle, block) for bundle, blocks in TRACKS.items() for block in range(len(blocks))]

    def write_frame(self, config: StoreConfig = LAYOUT) -> None:
        write_frame(self.root / "reference", self.store, self.frame, config)

    def write_block(self, bundle: str, block: int, config: StoreConfig = LAYOUT) -> None:
        record = self.record(bundle, block)
        write_block([self.signal_record(bundle, block)], self.signal(bundle), self.store, record, config)

    def shards(self, model: str, split: str) -> Path:
        return self.root / "shards" / "toy" / model / f"{split}.zarr"

    def write_shards(self, model: str = "m", config: ShardsConfig = SHARDS, fold: Fold = FOLD) -> None:
        out = {split: self.shards(model, split) for split in ("train", "valid", "test")}
        records = [self.record(bundle, block) for bundle, block in self.blocks]
        report = self.root / "shards" / "toy" / model / "leakage.json"
        write_shards("toy", organism(fold), 0, self.store, records, self.frame, out, report, config)


def organism(fold: Fold) -> Organism:
    return Organism(
        index=0,
        assembly="toy1",
        fasta="genome.fa",
        annotation="genes.gtf",
        chromosomes=list(SIZES),
        sources="sources.tsv",
        bundles={name: sum(map(len, blocks)) for name, blocks in TRACKS.items()},  # type: ignore[misc]
        folds=[fold],
    )


def make_world(root: Path, seed: int = 0) -> World:
    """Reference and signal files; nothing of the store yet."""
    draw = np.random.default_rng(seed)
    world = World(root, {}, {})
    _write_reference(world, draw)
    for bundle, blocks in TRACKS.items():
        index = 0
        for number, block in enumerate(blocks):
            tracks = []
            for name, strand, covered in block:
                tracks.append(write_track(world, draw, bundle, index, name, strand, covered))
                index += 1
            path = world.signal_record(bundle, number)
            path.write_text(json.dumps({"bundle": bundle, "block": f"{number:04d}", "tracks": tracks}))
    return world


def write_world(root: Path, seed: int = 0) -> World:
    """The same with its store."""
    world = make_world(root, seed)
    world.write_frame()
    for bundle, block in world.blocks:
        world.write_block(bundle, block)
    return world


def write_track(
    world: World, draw: np.random.Generator, bundle: str, index: int, name: str, strand: str, covered: Any
) -> dict[str, Any]:
    """One track of random values: `{track_id}.zarr` as the signal stage writes it; returns its record."""
    track_id = name + SUFFIX[strand]
    contacts = bundle == "CONTACT_MAPS"
    size = MAP_BINS[name] if contacts else BUNDLES[bundle].store_bin
    group = zarr.open_group(str(world.signal(bundle) / f"{track_id}.zarr"), mode="w")
    content, values = hashlib.sha256(), {}
    for chrom, length in sorted(SIZES.items()):
        bins = -(-length // size)
        if contacts:
            band = draw.normal(0, 1, (bins, OFFSETS)).astype(np.float32)
            band[draw.random(band.shape) < 0.02] = np.nan
            band[np.add.outer(np.arange(bins), np.arange(OFFSETS)) >= bins] = np.nan
            stored = band
        else:
            counts = draw.poisson(0.3, bins) * draw.lognormal(0, 1, bins)
            stored = counts.astype(np.float32).astype(ml_dtypes.bfloat16).view(np.uint16)
        array = group.create_array(chrom, shape=stored.shape, dtype=stored.dtype, chunks=stored.shape)
        array[:] = stored
        content.update(stored.tobytes())
        values[chrom] = stored
    world.stored[bundle, track_id] = values
    return {
        "track_id": track_id,
        "bundle": bundle,
        "index": index,
        "track": name,
        "strand": strand,
        **dict.fromkeys(("assembly", "biosample", "ontology_curie", "assay", "target", "data_source"), ""),
        "total": 1e8,
        "nonzero_mean": 1.5,
        "scale": [2.0],
        "covered": covered,
        "bin": size,
        "content": content.hexdigest(),
    }


def _write_reference(world: World, draw: np.random.Generator) -> None:
    folder = world.root / "reference"
    folder.mkdir(parents=True)
    with open(folder / "genome.fa", "w") as file:
        for chrom, size in SIZES.items():
            codes = draw.integers(0, 4, size).astype(np.uint8)
            for name, start, end, reason in MASKED:
                if name == chrom and reason == "gap":
                    codes[start:end] = 4
            world.sequence[chrom] = codes
            letters = "".join("ACGTN"[code] for code in codes)
            lines = "\n".join(letters[at : at + 60] for at in range(0, size, 60))
            file.write(f">{chrom}\n{lines}\n")
    pyfaidx.Faidx(str(folder / "genome.fa"))
    pd.DataFrame(MASKED, columns=["chrom", "start", "end", "reason"]).to_parquet(folder / "masks.parquet")
    write_annotation(folder, SIZES, draw)
    (folder / "reference.json").write_text(json.dumps({"assembly": "toy1", "sizes": SIZES, "sha256": {"fasta": "0"}}))


# What a reader should give, by loops over single bases and source bins.


def usable(chrom: str) -> np.ndarray:
    known = np.ones(SIZES[chrom], bool)
    for name, start, end, _ in MASKED:
        if name == chrom:
            known[start:end] = False
    return known


def has_data(chrom: str, covered: Any) -> np.ndarray:
    known = np.full(SIZES[chrom], covered is None)
    for name, start, end in covered or []:
        if name == chrom:
            known[start:end] = True
    return known


def piece(values: np.ndarray, start: int, length: int, beyond: float) -> np.ndarray:
    """Values at [start, start + length), one by one."""
    inside = [values[at] if 0 <= at < len(values) else beyond for at in range(start, start + length)]
    return np.array(inside, values.dtype)


def bases(world: World, bundle: str, track_id: str, chrom: str) -> np.ndarray:
    """Values at every base, float64."""
    stored = world.stored[bundle, track_id][chrom].view(ml_dtypes.bfloat16).astype(np.float64)
    return np.repeat(stored, BUNDLES[bundle].store_bin)[: SIZES[chrom]]


def contact_pixel(band: np.ndarray, size: int, first: int, second: int) -> float:
    """Area-weighted mean over the 2,048-bp square at (first, second); NaN where any bin of it is missing."""
    total = 0.0
    for i in range(first // size, -(-(first + 2048) // size)):
        for j in range(second // size, -(-(second + 2048) // size)):
            near, offset = min(i, j), abs(i - j)
            inside = 0 <= near < len(band) and offset < band.shape[1]
            value = float(band[near, offset]) if inside else np.nan
            high = min((i + 1) * size, first + 2048) - max(i * size, first)
            wide = min((j + 1) * size, second + 2048) - max(j * size, second)
            total += value * high * wide
    return total / 2048**2
