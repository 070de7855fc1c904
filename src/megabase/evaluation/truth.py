"""The truth of a simulated world: the best that any model could predict, known up to a factor per track."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32, Int, Int32

from megabase.errors import InputError
from megabase.store.binning import averaged_map

_REMEDY = "simulate the world again, or take organisms.*.truth out of the config"


class Truth:
    """Expected values of one bundle: `{folder}/{track_id}.npz`, one float32 array per chromosome.

    Signal is at the store's bin; contact maps are bands [bins, offsets] at a bin of their own, `bin`.
    """

    def __init__(self, folder: Path, track_ids: Sequence[str], store_bin: int) -> None:
        self._paths = [folder / f"{track_id}.npz" for track_id in track_ids]
        for path in self._paths:
            if not path.is_file():
                raise InputError("no true rates of this track", where=path, remedy=_REMEDY)
        self._bin = store_bin
        self._chrom: str | None = None
        self._held: list[tuple[Float32[np.ndarray, "bins *offsets"], int]] = []

    def read(self, chrom: str, start: int, end: int) -> Float32[np.ndarray, "bases tracks"]:
        """Expected signal per base of [start, end); 0 beyond the chromosome. Keeps one chromosome at a time."""
        bins = np.arange(start, end) // self._bin
        out = np.zeros((end - start, len(self._paths)), np.float32)
        for track, (rates, _) in enumerate(self._chromosome(chrom)):
            inside = (bins >= 0) & (bins < len(rates))
            out[inside, track] = rates[bins[inside]] / self._bin
        return out

    def contacts(self, chrom: str, start: int, end: int) -> Float32[np.ndarray, "bins bins tracks"]:
        """Expected maps of [start, end), averaged to 2,048-bp bins as the reader averages what was observed."""
        maps = []
        for band, size in self._chromosome(chrom):
            first, last = start // size, -(-end // size)
            rows = np.full((last - first, band.shape[1]), np.nan, np.float32)
            inside = slice(max(first, 0), max(min(last, len(band)), 0))
            rows[inside.start - first : inside.stop - first] = band[inside]
            maps.append(averaged_map(rows, start - first * size, size, end - start))
        return np.stack(maps, axis=-1)

    def _chromosome(self, chrom: str) -> list[tuple[np.ndarray, int]]:
        if chrom != self._chrom:
            self._held = [_read(path, chrom) for path in self._paths]
            self._chrom = chrom
        return self._held


class SplicingTruth:
    """True splice sites, their use and their junctions: the tables of a simulated world, by place in a window."""

    def __init__(self, folder: Path, curies: Sequence[str]) -> None:
        """`curies`: the ontology terms of the conditions, in the order of the tracks."""
        self._curies = {curie: column for column, curie in enumerate(curies)}
        names = ("SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS")
        for name in names:
            if not (folder / f"{name}.parquet").is_file():
                raise InputError("no true splicing", where=folder / f"{name}.parquet", remedy=_REMEDY)
        self._sites, self._usage, self._junctions = (
            dict(iter(pd.read_parquet(folder / f"{name}.parquet").groupby("chrom"))) for name in names
        )

    def sites(self, chrom: str, start: int, end: int) -> Float32[np.ndarray, "bases 4"]:
        """Expected reads at each base by class, x as x / (1 + x): 0 where there is no site."""
        out = np.zeros((end - start, 4), np.float32)
        table = self._between(self._sites, chrom, "position", start, end)
        reads = table["score"].to_numpy(np.float64)
        kinds = 2 * (table["strand"] == "-").to_numpy(int) + (table["kind"] == "acceptor").to_numpy(int)
        out[table["position"].to_numpy() - start, kinds] = reads / (1 + reads)
        return out

    def usage(self, chrom: str, start: int, end: int) -> Float32[np.ndarray, "bases 2*conditions"]:
        """True use of each base: conditions of the plus strand, then of the minus strand."""
        out = np.zeros((end - start, 2 * len(self._curies)), np.float32)
        table = self._between(self._usage, chrom, "position", start, end)
        places = table["position"].to_numpy() - start, self._columns(table)
        np.maximum.at(out, places, table["value"].to_numpy(np.float32))
        return out

    def junctions(
        self, chrom: str, start: int, positions: Int32[np.ndarray, "4 K"]
    ) -> Float32[np.ndarray, "K K 2*conditions"]:
        """Expected reads that join each donor to each acceptor; `positions` are counted from `start`."""
        out = np.zeros((positions.shape[1], positions.shape[1], 2 * len(self._curies)), np.float32)
        places = [{int(at) + start: k for k, at in enumerate(row) if at >= 0} for row in positions]
        table = self._between(self._junctions, chrom, "start", start, start + int(positions.max()) + 2)
        introns = table[["start", "end"]].to_numpy(np.int64) - [1, 0]  # The exonic bases on either side.
        minus = (table["strand"] == "-").to_numpy(int)
        for ends, side, column, reads in zip(introns, minus, self._columns(table), table["value"], strict=True):
            donor, acceptor = ends[::-1] if side else ends
            row, other = places[2 * side].get(int(donor)), places[2 * side + 1].get(int(acceptor))
            if row is not None and other is not None:
                out[row, other, column] += reads
        return out

    def _between(self, tables: dict[Any, pd.DataFrame], chrom: str, column: str, start: int, end: int) -> pd.DataFrame:
        """The rows of known conditions in [start, end)."""
        table = tables.get(chrom, next(iter(tables.values())).iloc[:0])
        here = table[table[column].between(start, end - 1)]
        return here[here["curie"].isin(list(self._curies))] if "curie" in here else here

    def _columns(self, table: pd.DataFrame) -> Int[np.ndarray, " rows"]:
        """Plus strand first."""
        of_curie = table["curie"].map(self._curies).to_numpy(int)
        return of_curie + len(self._curies) * (table["strand"] == "-").to_numpy(int)


def _read(path: Path, chrom: str) -> tuple[Float[np.ndarray, "bins *offsets"], int]:
    with np.load(path) as archive:
        if chrom not in archive:
            raise InputError(f"no true rates on {chrom}", where=path, remedy="simulate the world again")
        return archive[chrom], int(archive["bin"]) if "bin" in archive else 0
