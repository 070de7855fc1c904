"""Reads windows: sequence, targets and masks at any shift, on either strand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32, UInt8

from megabase.bundles import BUNDLES, Bundle
from megabase.errors import InputError
from megabase.genome.sequence import UNKNOWN, reverse_complement
from megabase.store.layout import USABLE, block_path, contacts_path, mask_path, open_array, sequence_path

COPIED = "windows"
"""Folder of the windows' own values, in shards of layout `copy`."""
PAIR_BIN = 2048
"""Bin of contact-map targets, in bp (paper section 1.7)."""
_PIECE = 131_072


@dataclasses.dataclass(frozen=True)
class Example:
    """One window. T is the number of tracks of a bundle, B its bins."""

    sequence: UInt8[np.ndarray, " S"]
    """Base codes; 4 for unknown and beyond the chromosome's ends."""
    targets: dict[str, Float[np.ndarray, "*positions T"]]
    """By head. 1-bp bundles: bfloat16 [S, T]. ChIP: float32 [S/128, T], sums over 128 bp. Contact maps: float32
    [S/2048, S/2048, T], NaN where missing."""
    masks: dict[str, Bool[np.ndarray, "positions T_or_1"]]
    """By head: which values are known. Contact maps: which bins [S/2048, 1]."""


class Shards:
    """The windows of one split, opened."""

    def __init__(self, path: Path, described: Mapping[str, Any], store: Path | None) -> None:
        self.path, self._described, self._store = path, described, store
        self.organism: str = described["organism"]
        self.organism_index: int = described["organism_index"]
        self.window_length: int = described["window"]
        self.max_shift: int = described["max_shift"]
        self.assembly: str = described["assembly"]
        self.split_hash: str = described["split_hash"]
        """Names the division into splits: equal for all splits of one model."""
        self.store_digest: str = described["store_digest"]
        """Changes with any value of the store."""
        self.windows = pd.DataFrame(described["windows"], columns=["chrom", "start", "end"])
        """chrom, start, end: 0-based, half-open; a window may reach beyond its chromosome."""
        self._sizes: dict[str, int] = described["sizes"]
        self._arrays: dict[str, Any] = {}

    @staticmethod
    def open(path: str | Path) -> Shards:
        """The shards in a folder. Raises InputError where there are none, or their store is gone."""
        path = Path(path)
        if not (path / "zarr.json").exists():
            raise InputError("no shards here", where=path, remedy="write them: snakemake store")
        described = json.loads((path / "zarr.json").read_text())["attributes"]
        store = None if described["store"] is None else path / described["store"]
        if store is not None and not (store / "zarr.json").exists():
            raise InputError(f"its store {store} is absent", where=path, remedy="write it: snakemake store")
        return Shards(path, described, store)

    @cached_property
    def tracks(self) -> dict[str, pd.DataFrame]:
        """By bundle, one row per track in order: index, track, strand, track_id, nonzero_mean, metadata."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for block in self._described["blocks"]:
            rows.setdefault(block["bundle"], []).extend(block["tracks"])
        return {bundle: pd.DataFrame(tracks) for bundle, tracks in rows.items()}

    def __len__(self) -> int:
        return len(self.windows)

    def read(self, i: int, *, shift: int = 0, reverse_complement: bool = False) -> Example:
        """Window `i` moved by `shift` bp; with `reverse_complement`, as the other strand reads it.

        Raises InputError for a shift beyond the shards' own `max_shift`.
        """
        if abs(shift) > self.max_shift:
            raise InputError(f"a shift of {shift} bp", where=self.path, remedy=f"stay within {self.max_shift}")
        chrom, start = self.windows["chrom"][i], int(self.windows["start"][i]) + shift
        example = self._example(i, chrom, start, start + self.window_length)
        return self._reversed(example) if reverse_complement else example

    def raw(self, i: int) -> dict[str, np.ndarray]:
        """Stored values around window `i`, with room for the shift, by name: what a copy holds."""
        chrom = self.windows["chrom"][i]
        start = int(self.windows["start"][i]) - self.max_shift
        end = int(self.windows["end"][i]) + self.max_shift
        values = {
            "sequence": self._span("sequence", i, chrom, start, end, UNKNOWN),
            "mask": self._span("mask", i, chrom, start, end, USABLE + 1),
        }
        for block in self._described["blocks"]:
            bundle = BUNDLES[block["bundle"]]
            if bundle.kind == "contact_maps":
                for track in block["tracks"]:
                    name = f"contacts/{block['block']}/{track['track_id']}"
                    first, last = start // track["bin"], -(-end // track["bin"])
                    values[name] = self._span(name, i, chrom, first, last, np.nan)
            else:
                name = f"signal/{bundle.name}/{block['block']}"
                first, last = start // bundle.store_bin, -(-end // bundle.store_bin)
                values[name] = self._span(name, i, chrom, first, last, 0)
        return values

    def _example(self, i: int, chrom: str, start: int, end: int) -> Example:
        usable = self._span("mask", i, chrom, start, end, USABLE + 1) == USABLE
        targets: dict[str, np.ndarray] = {}
        masks: dict[str, np.ndarray] = {}
        for name, table in self.tracks.items():
            bundle = BUNDLES[name]
            if bundle.kind == "contact_maps":
                targets[bundle.head] = self._contacts(i, chrom, start, end)
                masks[bundle.head] = usable.reshape(-1, PAIR_BIN).mean(axis=1, keepdims=True) > 0.5
                continue
            known = usable[:, None] & self._covered(table, chrom, start, end)
            if bundle.store_bin == 1:
                targets[bundle.head], masks[bundle.head] = self._bases(bundle, i, chrom, start, end), known
            else:
                targets[bundle.head] = self._sums(bundle, i, chrom, start, end)
                bins = known.reshape(-1, bundle.resolutions[0], known.shape[1])
                masks[bundle.head] = bins.mean(axis=1) > 0.5
        sequence = self._span("sequence", i, chrom, start, end, UNKNOWN)
        return Example(sequence, targets, masks)

    def _span(self, name: str, i: int, chrom: str, start: int, end: int, beyond: float) -> np.ndarray:
        """Rows [start, end) of an array, in its own bins; `beyond` outside the chromosome."""
        array, offset = self._array(name, i, chrom)
        size = array.shape[0]
        first, last = max(start - offset, 0), min(end - offset, size)
        values = np.full(
            (end - start, *array.shape[1:]), beyond, array.dtype if self._store is None else array.dtype.numpy_dtype
        )
        if first < last:
            into = first + offset - start
            # Pieces of 131,072 rows into one buffer are read 2-3 times faster than all at once (data reference 5.3).
            for at in range(first, last, _PIECE):
                stop = min(at + _PIECE, last)
                piece = array[at:stop]
                values[into + at - first : into + stop - first] = (
                    piece if self._store is None else piece.read().result()
                )
        return values

    def _array(self, name: str, i: int, chrom: str) -> tuple[Any, int]:
        """An array and the row of the chromosome that its first row is."""
        if self._store is None:
            window = self.windows.iloc[i]
            array = np.load(self.path / COPIED / f"{i:06d}" / f"{name.replace('/', '.')}.npy", mmap_mode="r")
            return array, (int(window["start"]) - self.max_shift) // self._bin(name)
        if (name, chrom) not in self._arrays:
            kind, *rest = name.split("/")
            path = {
                "sequence": lambda: sequence_path(chrom),
                "mask": lambda: mask_path(chrom),
                "signal": lambda: f"{block_path(*rest)}/{chrom}",
                "contacts": lambda: f"{contacts_path(rest[0])}/{rest[1]}/{chrom}",
            }[kind]()
            self._arrays[name, chrom] = open_array(self._store / path)  # type: ignore[index]
        return self._arrays[name, chrom], 0  # type: ignore[index]

    def _bin(self, name: str) -> int:
        kind, *rest = name.split("/")
        if kind == "signal":
            return BUNDLES[rest[0]].store_bin
        if kind == "contacts":
            tracks = next(
                b["tracks"]
                for b in self._described["blocks"]
                if b["bundle"] == "CONTACT_MAPS" and b["block"] == rest[0]
            )
            return next(track["bin"] for track in tracks if track["track_id"] == rest[1])
        return 1

    def _blocks(self, bundle: Bundle) -> list[str]:
        return [block["block"] for block in self._described["blocks"] if block["bundle"] == bundle.name]

    def _bases(self, bundle: Bundle, i: int, chrom: str, start: int, end: int) -> np.ndarray:
        """bfloat16 [S, T]."""
        parts = [self._span(f"signal/{bundle.name}/{block}", i, chrom, start, end, 0) for block in self._blocks(bundle)]
        return (parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)).view(ml_dtypes.bfloat16)

    def _sums(self, bundle: Bundle, i: int, chrom: str, start: int, end: int) -> Float32[np.ndarray, "bins T"]:
        """Sums over the head's bins: stored means, each weighed by the bases it shares with the bin."""
        width, resolution = bundle.store_bin, bundle.resolutions[0]
        first, last = start // width, -(-end // width)
        parts = [
            self._span(f"signal/{bundle.name}/{block}", i, chrom, first, last, 0) for block in self._blocks(bundle)
        ]
        means = np.concatenate(parts, axis=1).view(ml_dtypes.bfloat16).astype(np.float64)
        before = np.concatenate([np.zeros((1, means.shape[1])), np.cumsum(means * width, axis=0)])
        edges = np.arange(start, end + 1, resolution) - first * width
        whole, part = np.divmod(edges, width)
        extra = means[np.minimum(whole, len(means) - 1)] * part[:, None]
        return np.diff(before[whole] + extra, axis=0).astype(np.float32)

    def _contacts(self, i: int, chrom: str, start: int, end: int) -> Float32[np.ndarray, "bins bins T"]:
        """Area-weighted means over 2,048-bp bins aligned with the window; NaN where any source bin is missing."""
        edges = np.arange(start, end + 1, PAIR_BIN)
        maps = []
        for block in self._described["blocks"]:
            if block["bundle"] != "CONTACT_MAPS":
                continue
            for track in block["tracks"]:
                size = track["bin"]
                first, last = start // size, -(-end // size)
                name = f"contacts/{block['block']}/{track['track_id']}"
                square = _square(self._span(name, i, chrom, first, last, np.nan))
                bounds = np.arange(first, last + 1) * size
                shared = np.minimum(edges[1:, None], bounds[None, 1:]) - np.maximum(edges[:-1, None], bounds[None, :-1])
                weights = np.maximum(shared, 0) / PAIR_BIN
                missing = np.isnan(square)
                averaged = weights @ np.where(missing, 0, square) @ weights.T
                averaged[(weights @ missing @ weights.T) > 0] = np.nan
                maps.append(averaged.astype(np.float32))
        return np.stack(maps, axis=-1)

    def _covered(self, table: pd.DataFrame, chrom: str, start: int, end: int) -> Bool[np.ndarray, "S_or_1 T_or_1"]:
        """Where each track has data. The shape depends on the tracks alone, never on the window."""
        if table["covered"].isna().all():
            return np.ones((1, 1), bool)
        known = np.zeros((end - start, len(table)), bool)
        for column, regions in enumerate(table["covered"]):
            if regions is None:
                known[:, column] = True
                continue
            for name, first, last in regions:
                if name == chrom:
                    known[max(first - start, 0) : max(last - start, 0), column] = True
        return known

    def _reversed(self, example: Example) -> Example:
        targets, masks = {}, {}
        for name, table in self.tracks.items():
            bundle = BUNDLES[name]
            order = strand_order(table)
            target, mask = example.targets[bundle.head], example.masks[bundle.head]
            if bundle.kind == "contact_maps":
                targets[bundle.head], masks[bundle.head] = target[::-1, ::-1], mask[::-1]
                continue
            target = target[::-1][:, order]
            mask = mask[::-1] if mask.shape[1] == 1 else mask[::-1][:, order]
            if bundle.name == "DNASE":
                # A cut lies between two bases and is counted at the right one: the left one on the other strand
                # (architecture reference 8).
                target, mask = _moved_right(target), _moved_right(mask)
            targets[bundle.head], masks[bundle.head] = target, mask
        return Example(reverse_complement(example.sequence), targets, masks)


def strand_order(table: pd.DataFrame) -> np.ndarray:
    """Positions of the tracks as the other strand sees them: plus and minus of one name change places."""
    place = {(name, strand): i for i, (name, strand) in enumerate(zip(table["track"], table["strand"], strict=True))}
    other = {"+": "-", "-": "+", ".": "."}
    return np.array([place.get((name, other[strand]), i) for (name, strand), i in place.items()])


def _moved_right(values: np.ndarray) -> np.ndarray:
    moved = np.zeros_like(values)
    moved[1:] = values[:-1]
    return moved


def _square(band: Float32[np.ndarray, "bins offsets"]) -> Float[np.ndarray, "bins bins"]:
    """The symmetric matrix of a band of its upper diagonals; NaN beyond the band."""
    bins = len(band)
    rows, columns = np.triu_indices(bins)
    kept = columns - rows < band.shape[1]
    square = np.full((bins, bins), np.nan)
    square[rows[kept], columns[kept]] = band[rows[kept], (columns - rows)[kept]]
    square[columns[kept], rows[kept]] = square[rows[kept], columns[kept]]
    return square
