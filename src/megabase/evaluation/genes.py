"""Expression of genes: the mean over a gene's exons, from the same windows and predictions as every base.

Paper section 8.1: the logarithm of the mean coverage of exons, on the gene's own strand, for genes with at least half
of their exons in the window.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64

FLOOR = 1e-3
"""Added to mean coverage before the logarithm, as the gene scorer does (paper section 7)."""


class _Gene(NamedTuple):
    strand: str
    exons: list[tuple[int, int]]
    """Within the window."""


class ExpressedGenes:
    """The genes of the test windows, each in the window that holds most of its exons' bases."""

    def __init__(self, exons: pd.DataFrame, windows: pd.DataFrame, share: float = 0.5) -> None:
        self._genes: dict[int, list[_Gene]] = {}
        for _, rows in exons.groupby("gene_id", sort=False):
            merged = _merged(rows)
            chrom, strand = rows["chrom"].iloc[0], str(rows["strand"].iloc[0])
            total, best = sum(end - start for start, end in merged), (0, -1, list[tuple[int, int]]())
            near = windows[
                (windows["chrom"] == chrom) & (windows["start"] < merged[-1][1]) & (windows["end"] > merged[0][0])
            ]
            for window, (first, last) in zip(near.index, near[["start", "end"]].to_numpy(), strict=True):
                cut = [(max(start, first) - first, min(end, last) - first) for start, end in merged]
                inside = [(int(start), int(end)) for start, end in cut if start < end]
                best = max(best, (sum(end - start for start, end in inside), -int(window), inside))
            if best[0] >= share * total:
                self._genes.setdefault(-best[1], []).append(_Gene(strand, best[2]))

    def levels(self, window: int, values: Float[np.ndarray, "bases tracks"]) -> Float64[np.ndarray, "genes tracks"]:
        """ln(mean over exons + `FLOOR`) of each gene that belongs to a window."""
        rows = [
            sum(np.asarray(values[start:end], np.float64).clip(0).sum(axis=0) for start, end in gene.exons)
            / sum(end - start for start, end in gene.exons)
            for gene in self._genes.get(window, [])
        ]
        return np.log(np.reshape(rows, (len(rows), values.shape[1])) + FLOOR)

    def usable(
        self, window: int, usable: Bool[np.ndarray, "bases tracks"], strands: np.ndarray
    ) -> Bool[np.ndarray, "genes tracks"]:
        """Tracks of the gene's strand, or of none, with data at every base of its exons."""
        rows = [
            np.logical_and.reduce([usable[start:end].all(axis=0) for start, end in gene.exons])
            & ((strands == ".") | (strands == gene.strand))
            for gene in self._genes.get(window, [])
        ]
        return np.reshape(rows, (len(rows), usable.shape[1])).astype(bool)


def _merged(rows: pd.DataFrame) -> list[tuple[int, int]]:
    """The union of exons, in order."""
    return list(_union(sorted(zip(rows["start"].tolist(), rows["end"].tolist(), strict=True))))


def _union(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    first, last = spans[0]
    for start, end in spans[1:]:
        if start > last:
            yield first, last
            first, last = start, end
        last = max(last, end)
    yield first, last
