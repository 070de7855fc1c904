"""Mean signal around annotated gene starts: observed, predicted by the model and by composition alone.

A track that looks right on average around starts but not elsewhere has learned where genes begin and no more; a model
whose mean profile is no better than the ridge's has learned composition.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int64

from megabase.metrics.moments import moments, pearson

BIN = 16
"""Bin of a profile, in bp; values of coarser bundles are spread evenly over their bases first."""


class _Start(NamedTuple):
    position: int
    """Of the first base of the gene, within the window."""
    strand: str


class StartProfiles:
    """Sums around gene starts in test windows, oriented along the gene.

    A gene counts once, in the first window that holds its whole flank. Stranded tracks see the genes of their own
    strand only, so their profile is the sense signal.
    """

    def __init__(self, genes: pd.DataFrame, windows: pd.DataFrame, flank: int) -> None:
        self._offsets = np.arange(-flank, flank)
        self._starts = _starts(genes, windows, flank)
        self._sums: dict[tuple[str, str], Float64[np.ndarray, "bins tracks"]] = {}
        self._counts: dict[tuple[str, str], Float64[np.ndarray, "bins tracks"]] = {}

    @property
    def bin_starts(self) -> Int64[np.ndarray, " bins"]:
        """First offset of each bin from the gene start, in bp, positive downstream."""
        return self._offsets[::BIN]

    def add(
        self,
        window: int,
        output_type: str,
        predictor: str,
        values: Float[np.ndarray, "positions tracks"],
        usable: Bool[np.ndarray, "positions tracks"],
        resolution: int,
        strands: np.ndarray,
    ) -> None:
        """Adds one predictor's values (sums over bins of `resolution` bp) in one window."""
        key, shape = (output_type, predictor), (len(self._offsets) // BIN, values.shape[1])
        sums, counts = self._sums.setdefault(key, np.zeros(shape)), self._counts.setdefault(key, np.zeros(shape))
        for start in self._starts.get(window, []):
            along = start.position + (self._offsets if start.strand != "-" else -self._offsets)
            bins = along // resolution
            sense = (strands == ".") | (start.strand == ".") | (strands == start.strand)
            use = usable[bins] & sense
            here = np.where(use, np.asarray(values[bins], np.float64) / resolution, 0)
            sums += here.reshape(-1, BIN, shape[1]).sum(axis=1)
            counts += use.reshape(-1, BIN, shape[1]).sum(axis=1)

    def mean(self, output_type: str, predictor: str) -> Float64[np.ndarray, "bins tracks"]:
        """Mean signal per base in each bin; NaN where no gene has data."""
        counts = self._counts[output_type, predictor]
        with np.errstate(invalid="ignore"):
            return self._sums[output_type, predictor] / np.where(counts > 0, counts, np.nan)

    def genes(self, output_type: str) -> Float64[np.ndarray, " tracks"]:
        """Genes behind each track's observed profile, at most over its bins."""
        return self._counts[output_type, "observed"].max(axis=0) / BIN

    def predictors(self) -> list[tuple[str, str]]:
        """(output type, predictor) of everything added."""
        return list(self._sums)

    def correlation(self, output_type: str, predictor: str) -> Float64[np.ndarray, " tracks"]:
        """Pearson correlation of a mean profile with the observed one, over bins."""
        observed, predicted = self.mean(output_type, "observed"), self.mean(output_type, predictor)
        return pearson(moments(observed, predicted, np.isfinite(observed)))


def _starts(genes: pd.DataFrame, windows: pd.DataFrame, flank: int) -> dict[int, list[_Start]]:
    """Gene starts by window."""
    first = np.where(genes["strand"] == "-", genes["end"] - 1, genes["start"])
    taken = np.zeros(len(genes), bool)
    found: dict[int, list[_Start]] = {}
    chroms, strands = genes["chrom"].to_numpy(), genes["strand"].to_numpy()
    places = zip(windows["chrom"], windows["start"], windows["end"], strict=True)
    for number, (chrom, start, end) in enumerate(places):
        inside = (chroms == chrom) & (first - flank >= start) & (first + flank < end) & ~taken
        taken |= inside
        for gene in np.flatnonzero(inside):
            found.setdefault(number, []).append(_Start(int(first[gene] - start), str(strands[gene])))
    return found
