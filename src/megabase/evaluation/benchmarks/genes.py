"""Expression of genes, normalised in the paper's three ways, and where their messages end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from megabase.evaluation.benchmarks.measures import Row, Values, measure
from megabase.evaluation.genes import ExpressedGenes
from megabase.evaluation.observed import Observed
from megabase.metrics.bootstrap import window_counts
from megabase.metrics.expression import specific
from megabase.metrics.intervals import mean_of_known
from megabase.metrics.moments import moments, pearson
from megabase.metrics.polyadenylation import covr
from megabase.metrics.ranks import spearman

UPSTREAM = 400
"""bp before a polyadenylation site, itself included, whose coverage stands for its use (as its variant scorer does)."""


class GeneMeasures:
    """Levels of the genes of each window, a column per experiment: that of the gene's strand, or of neither."""

    def __init__(
        self, genes: ExpressedGenes, sites: pd.DataFrame, windows: pd.DataFrame, tracks: pd.DataFrame, resamples: int
    ) -> None:
        """`sites`: polyadenylation sites of the reference; `tracks`: those of RNA-seq, in order."""
        self._genes, self._windows = genes, windows
        self._counts = window_counts(len(windows), resamples)
        self._strands = tracks["strand"].to_numpy(str)
        self._names, self._columns = np.unique(tracks["track"].to_numpy(str), return_inverse=True)
        places = {
            gene: (str(own["chrom"].iloc[0]), str(own["strand"].iloc[0]), np.unique(own["position"].to_numpy(np.int64)))
            for gene, own in sites.groupby("gene_id", sort=False)
        }
        self._sites = {gene: place for gene, place in places.items() if len(place[2]) > 1}
        self._levels: dict[str, list[np.ndarray]] = {}
        self._ratios: dict[str, list[tuple[int, float, float]]] = {}
        self._of_window: list[int] = []

    def add(self, window: int, bundle: str, observed: Observed, values: Values) -> None:
        """Adds the genes of one window."""
        if bundle != "RNA_SEQ":
            return
        usable = self._genes.usable(window, observed.usable, self._strands)
        everything = {"observed": observed.data, **values}
        for name, data in everything.items():
            levels = np.where(usable, self._genes.levels(window, data), np.nan)
            made = np.full((len(levels), len(self._names)), np.nan)
            for column in range(levels.shape[1]):
                own = self._columns[column]
                made[:, own] = np.where(np.isnan(made[:, own]), levels[:, column], made[:, own])
            self._levels.setdefault(name, []).append(made)
        self._of_window += [window] * len(usable)
        for strand, places in self._inside(window):
            tracks = (self._strands == ".") | (self._strands == strand)
            if not all(observed.usable[span][:, tracks].all() for span in places):
                continue
            ratios = {
                name: float(covr(np.array([data[span][:, tracks].clip(0).sum(dtype=np.float64) for span in places])))
                for name, data in everything.items()
            }
            for name in values:
                self._ratios.setdefault(name, []).append((window, ratios["observed"], ratios[name]))

    def rows(self) -> Iterator[Row]:
        """`gene_raw`, `gene_across_genes`, `gene_across_tracks` and `covr_spearman`."""
        if self._levels:
            yield from self._expression()
        for name, ratios in self._ratios.items():
            table = np.array(ratios)
            values = [_resampled(table, drawn) for drawn in self._counts]
            yield measure(("RNA_SEQ", 1, "covr_spearman"), name, np.array(values), len(table), "genes")

    def _expression(self) -> Iterator[Row]:
        levels = {name: np.concatenate(parts) for name, parts in self._levels.items()}
        # Normalised once, over all genes: resampled are genes, not what they are compared with.
        own = {name: specific(one) for name, one in levels.items()}
        counts = self._counts[:, self._of_window]
        for name in levels:
            if name == "observed":
                continue
            for metric, (x, y) in {
                "gene_raw": (levels["observed"], levels[name]),
                "gene_across_genes": (own["observed"], own[name]),
            }.items():
                values = np.array([mean_of_known(_columns(x, y, drawn)) for drawn in counts])
                yield measure(("RNA_SEQ", 1, metric), name, values, len(x), "genes")
            if len(self._names) > 1:
                x, y = own["observed"].T, own[name].T
                each = pearson(moments(x, y, np.isfinite(x) & np.isfinite(y)))
                known = np.isfinite(each)
                total = counts @ known
                values = np.where(total > 0, counts @ np.where(known, each, 0) / np.maximum(total, 1), np.nan)
                yield measure(("RNA_SEQ", 1, "gene_across_tracks"), name, values, int(known.sum()), "genes")

    def _inside(self, window: int) -> Iterator[tuple[str, list[slice]]]:
        """Strand and places before each site, in reading direction, of the genes with all sites in the window."""
        chrom, start, end = self._windows.iloc[window][["chrom", "start", "end"]]
        for own, strand, positions in self._sites.values():
            first, last = positions[0] - start - UPSTREAM, positions[-1] - start + UPSTREAM
            if own == chrom and first >= 0 and last < end - start:
                here = positions - start
                if strand == "+":
                    yield strand, [slice(place - UPSTREAM + 1, place + 1) for place in here]
                else:
                    yield strand, [slice(place, place + UPSTREAM) for place in here[::-1]]


def _columns(x: np.ndarray, y: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    x, y = np.repeat(x, drawn, axis=0), np.repeat(y, drawn, axis=0)
    return pearson(moments(x, y, np.isfinite(x) & np.isfinite(y)))


def _resampled(table: np.ndarray, drawn: np.ndarray) -> float:
    own = np.repeat(table, drawn[table[:, 0].astype(int)], axis=0)
    return spearman(own[:, 1], own[:, 2])
