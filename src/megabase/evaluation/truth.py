"""The true rates of a simulated world: the best that any model could predict, known up to a factor per track."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from megabase.errors import InputError


class Truth:
    """Expected values of one bundle: `{folder}/{track_id}.npz`, one float32 array per chromosome at the store's bin."""

    def __init__(self, folder: Path, track_ids: Sequence[str], store_bin: int) -> None:
        self._paths = [folder / f"{track_id}.npz" for track_id in track_ids]
        for path in self._paths:
            if not path.is_file():
                remedy = "simulate the world again, or take organisms.*.truth out of the config"
                raise InputError("no true rates of this track", where=path, remedy=remedy)
        self._bin = store_bin
        self._chrom: str | None = None
        self._rates: list[Float32[np.ndarray, " bins"]] = []

    def read(self, chrom: str, start: int, end: int) -> Float32[np.ndarray, "bases tracks"]:
        """Expected values per base of [start, end); 0 beyond the chromosome. Keeps one chromosome at a time."""
        if chrom != self._chrom:
            self._rates = [_chromosome(path, chrom) for path in self._paths]
            self._chrom = chrom
        bins = np.arange(start, end) // self._bin
        out = np.zeros((end - start, len(self._rates)), np.float32)
        for track, rates in enumerate(self._rates):
            inside = (bins >= 0) & (bins < len(rates))
            out[inside, track] = rates[bins[inside]] / self._bin
        return out


def _chromosome(path: Path, chrom: str) -> Float32[np.ndarray, " bins"]:
    with np.load(path) as archive:
        if chrom not in archive:
            raise InputError(f"no true rates on {chrom}", where=path, remedy="simulate the world again")
        return archive[chrom]
