"""A made-up store, reference and model with the interfaces of the real ones, small enough to check every number."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd

LENGTH = 8192
TRACKS = {
    "DNASE": [("open", ".")],
    "CAGE": [("caps", "+"), ("caps", "-")],
    "CHIP_TF": [("factor", ".")],
    "CONTACT_MAPS": [("loops", ".")],
}
HEADS = {"dnase": "DNASE", "cage": "CAGE", "chip_tf": "CHIP_TF", "contact_maps": "CONTACT_MAPS"}


@dataclasses.dataclass
class Example:
    sequence: np.ndarray
    targets: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]


class World:
    """Two chromosomes whose signal follows GC content, with masked stretches that hold NaN."""

    def __init__(self, folder: Path, *, test_start: int = 0) -> None:
        draw = np.random.default_rng(0)
        self.folder = folder
        self.codes = {chrom: draw.integers(0, 4, 5 * LENGTH).astype(np.uint8) for chrom in ("chr1", "chr2")}
        for codes in self.codes.values():  # Stretches of different composition.
            for start in range(0, len(codes), 512):
                if draw.random() < 0.5:
                    codes[start : start + 512] = draw.choice([1, 2], 512)
        self.rates, self.signal = {}, {}
        for chrom, codes in self.codes.items():
            level = 0.2 + np.isin(codes, (1, 2)).astype(float)
            for bundle, tracks in TRACKS.items():
                if bundle != "CONTACT_MAPS":
                    rates = level[:, None] * draw.gamma(0.5, 2, (len(codes), len(tracks)))
                    self.rates[bundle, chrom] = rates
                    self.signal[bundle, chrom] = draw.poisson(rates).astype(np.float32)
        self.usable = draw.random(5 * LENGTH) < 0.999
        self.windows = {
            "train": [("chr1", start, start + LENGTH) for start in range(0, 4 * LENGTH + 1, LENGTH // 2)],
            "test": [("chr2", start, start + LENGTH) for start in range(test_start, 4 * LENGTH + 1, LENGTH)],
        }
        self.split_hash = "split"
        self.model = folder / "models" / "fold_0"
        self.model.mkdir(parents=True)
        self.description = {"split_hashes": {"demo": "split"}, "fold": 0}
        self.describe()

    def describe(self, **changes: object) -> None:
        (self.model / "model.json").write_text(json.dumps(self.description | changes))

    def write_truth(self, factor: float) -> Path:
        truth = self.folder / "truth"
        for bundle, tracks in TRACKS.items():
            for track, (name, strand) in enumerate(tracks):
                if bundle == "CONTACT_MAPS":
                    continue
                step = 16 if bundle == "CHIP_TF" else 1
                path = truth / bundle / f"{track_id(name, strand)}.npz"
                path.parent.mkdir(parents=True, exist_ok=True)
                rates = {c: self.rates[bundle, c][:, track].reshape(-1, step).sum(axis=1) * factor for c in self.codes}
                np.savez(path, **{chrom: values.astype(np.float32) for chrom, values in rates.items()})
        return truth

    def example(self, chrom: str, start: int) -> Example:
        here = slice(start, start + LENGTH)
        usable = self.usable[here, None]
        targets, masks = {}, {}
        for head, bundle in HEADS.items():
            if bundle == "CONTACT_MAPS":
                draw = np.random.default_rng([start, len(chrom)])
                bins = LENGTH // 2048
                square = (
                    draw.normal(size=(bins, bins, 1)) - np.abs(np.subtract.outer(range(bins), range(bins)))[..., None]
                )
                square = square + square.transpose(1, 0, 2)
                square[0, 1] = square[1, 0] = np.nan if start % (2 * LENGTH) else 0.5
                targets[head], masks[head] = square.astype(np.float32), np.ones((1, 1), bool)
                continue
            values = self.signal[bundle, chrom][here].copy()
            if bundle == "CHIP_TF":
                targets[head] = values.reshape(-1, 128, 1).sum(axis=1)
                masks[head] = np.ones((LENGTH // 128, 1), bool)
            else:
                values[~usable[:, 0]] = np.nan
                targets[head], masks[head] = values, usable
        return Example(self.codes[chrom][here], targets, masks)

    def opener(self) -> type:
        """Stands in for `Shards`; the path's stem names the split."""
        world = self

        class Shards:
            window_length = LENGTH
            split_hash = world.split_hash
            conditions = ()
            tracks = {  # noqa: RUF012
                bundle: pd.DataFrame(
                    [(i, name, strand, track_id(name, strand)) for i, (name, strand) in enumerate(tracks)],
                    columns=["index", "track", "strand", "track_id"],
                )
                for bundle, tracks in TRACKS.items()
            }

            def __init__(self, split: str) -> None:
                self.path = world.folder / f"{split}.zarr"
                self.windows = pd.DataFrame(world.windows[split], columns=["chrom", "start", "end"])

            @classmethod
            def open(cls, path: Path) -> Shards:
                return cls(Path(path).stem)

            def read(self, i: int, read_at: object = None) -> Example:
                return world.example(self.windows["chrom"][i], self.windows["start"][i])

        return Shards

    def genes(self) -> pd.DataFrame:
        rows = [
            ("chr2", 2000, 3500, "+"),
            ("chr2", 6000, 6500, "-"),
            ("chr2", 100, 300, "+"),
            ("chr1", 2000, 2500, "+"),
        ]
        return pd.DataFrame(rows, columns=["chrom", "start", "end", "strand"])

    def exons(self) -> pd.DataFrame:
        return pd.DataFrame(columns=["chrom", "start", "end", "strand", "gene_id", "transcript_id"])


def track_id(name: str, strand: str) -> str:
    return name + {"+": ".plus", "-": ".minus", ".": ""}[strand]
