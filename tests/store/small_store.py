"""A small store with known values, written by the real writer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

import ml_dtypes
import numpy as np
import pandas as pd
import zarr
from splice_world import write_annotation, write_splicing

from megabase.artifacts import write_json
from megabase.genome.config import Fold, Organism
from megabase.portals.sources import METADATA
from megabase.store.config import ShardsConfig, StoreConfig
from megabase.store.shards import write_shards
from megabase.store.writer import write_block, write_frame

SIZES = {"chr1": 30_000, "chr2": 21_001}
TRACKS = {
    "DNASE": [("open", ".", None)],
    "CAGE": [("caps", "+", None), ("caps", "-", [["chr1", 1000, 9000], ["chr2", 0, 21_001]])],
    "CHIP_TF": [("factor", ".", None)],
    "CONTACT_MAPS": [("loops", ".", None)],
}
BINS = {"DNASE": 1, "CAGE": 1, "CHIP_TF": 16, "CONTACT_MAPS": 1000}
CONFIG = ShardsConfig(window=4096, stride=2048, max_shift=100)
FOLD = Fold(train=["chr1"], valid=["chr2:0-8192"], test=["chr2:8192-21001"])


class SmallStore:
    """Writes reference, signal and store under a folder; `truth` holds every value that went in. Every 500th value of
    the bundle `infinite` is no number that can be learnt."""

    def __init__(self, folder: Path, seed: int = 0, infinite: str = "") -> None:
        self.folder, self.infinite, draw = folder, infinite, np.random.default_rng(seed)
        self.splicing: Path | None = None
        self.truth: dict[tuple[str, str, str], np.ndarray] = {}
        reference = folder / "reference"
        reference.mkdir(parents=True)
        letters = {chrom: "".join(draw.choice(list("ACGT"), size)) for chrom, size in SIZES.items()}
        letters["chr1"] = letters["chr1"][:5000] + "N" * 200 + letters["chr1"][5200:]
        self.letters = letters
        (reference / "genome.fa").write_text("".join(f">{c}\n{s}\n" for c, s in letters.items()))
        write_json(reference / "reference.json", {"assembly": "made1", "sizes": SIZES, "sha256": {"fasta": str(seed)}})
        rows = [("chr1", 5000, 5200, "gap"), ("chr1", 7000, 7300, "excluded")]
        pd.DataFrame(rows, columns=["chrom", "start", "end", "reason"]).to_parquet(reference / "masks.parquet")
        sites = pd.DataFrame({name: [] for name in ("chrom", "position", "strand", "gene_id", "pas_id")})
        sites.to_parquet(reference / "polya.parquet")
        write_annotation(reference, SIZES, np.random.default_rng(seed))
        self.store, self.frame = folder / "store/made.zarr", folder / "store/made/frame.json"
        self.write_frame()
        self.records = [self.write_bundle(bundle, draw) for bundle in TRACKS]

    def write_frame(self) -> None:
        """Sequence, masks and annotation."""
        write_frame(self.folder / "reference", self.store, self.frame, StoreConfig(chunk=1024, shard=4096))

    def write_bundle(self, bundle: str, draw: np.random.Generator) -> Path:
        """Signal files of a bundle as the signal stage leaves them, packed into the store."""
        signal, tracks = self.folder / "signal" / bundle, []
        for index, (track, strand, covered) in enumerate(TRACKS[bundle]):
            track_id = track + {"+": ".plus", "-": ".minus", ".": ""}[strand]
            group = zarr.open_group(str(signal / f"{track_id}.zarr"), mode="w")
            content = hashlib.sha256()
            for chrom, size in SIZES.items():
                bins = -(-size // BINS[bundle])
                if bundle == "CONTACT_MAPS":
                    values = draw.normal(size=(bins, 8)).astype(np.float32)
                    values[np.arange(bins)[:, None] + np.arange(8) >= bins] = np.nan
                    values[3] = np.nan
                    array = group.create_array(chrom, shape=values.shape, dtype="float32", chunks=values.shape)
                    array[:] = values
                else:
                    cast = draw.gamma(0.3, 3, bins).astype(ml_dtypes.bfloat16)
                    if bundle == self.infinite:
                        cast[::500] = np.inf
                    values = cast.astype(np.float64)
                    array = group.create_array(chrom, shape=(bins,), dtype="uint16", chunks=(bins,))
                    array[:] = cast.view(np.uint16)
                content.update(np.asarray(array[:]).tobytes())
                self.truth[bundle, track_id, chrom] = values
            tracks.append(
                dict.fromkeys(METADATA, "")
                | {"track_id": track_id, "index": index, "track": track, "strand": strand, "bin": BINS[bundle]}
                | {
                    "ontology_curie": f"CL:{track}",
                    "total": 1.0,
                    "nonzero_mean": 2.0,
                    "scale": [1.0],
                    "covered": covered,
                    "content": content.hexdigest(),
                }
            )
        given = self.folder / f"signal/{bundle}.0000.json"
        write_json(given, {"bundle": bundle, "block": "0000", "tracks": tracks})
        record = self.folder / f"store/made/{bundle}.0000.json"
        write_block([given], signal, self.store, record, StoreConfig(chunk=1024, shard=4096))
        return record

    def write_splicing(self, conditions: int, seed: int = 0) -> dict[str, pd.DataFrame]:
        """Adds splicing to the store; gives its tables by name."""
        self.splicing = self.folder / "store/made/splicing.json"
        return write_splicing(self.store, self.splicing, SIZES, conditions, seed)

    def shards(
        self, name: str = "fold_0", config: ShardsConfig = CONFIG, fold: Fold = FOLD, number: int | Literal["all"] = 0
    ) -> dict[str, Path]:
        """Shards of a fold, by split."""
        organism = Organism(
            index=0,
            assembly="made1",
            fasta="x",
            annotation="x",
            chromosomes=list(SIZES),
            sources="x",
            bundles={bundle: len(tracks) for bundle, tracks in TRACKS.items()},
            folds=[fold],
        )
        out = {split: self.folder / f"shards/made/{name}/{split}.zarr" for split in ("train", "valid", "test")}
        report = self.folder / f"shards/made/{name}/leakage.json"
        write_shards("made", organism, number, self.store, self.records, self.frame, out, report, config, self.splicing)
        return out

    def leakage(self, name: str = "fold_0") -> dict:
        """The leakage report."""
        return json.loads((self.folder / f"shards/made/{name}/leakage.json").read_text())
