"""Exons of the genes in a window, for the gene-level loss of RNA-seq (paper section 4.1)."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from megabase.artifacts import Location
from megabase.store.layout import read_table

_APART = 1 << 32
"""More bases than any chromosome has: keeps genes apart on one line."""


@dataclasses.dataclass(frozen=True)
class _Chromosome:
    """Merged exons of one chromosome's genes, sorted by start."""

    starts: Int[np.ndarray, " exons"]
    ends: Int[np.ndarray, " exons"]
    genes: Int[np.ndarray, " exons"]
    """Number of each exon's gene, in order of their first exons ..."""
    minus: Int[np.ndarray, " genes"]
    """... and whether each gene is on the minus strand."""
    longest: int
    """Length of the longest exon, in bp."""


class Genes:
    """The exons in a folder (`exons.parquet`), read when first needed."""

    def __init__(self, folder: Location) -> None:
        self._folder = folder

    def masks(
        self, chrom: str, start: int, length: int, slots: int, *, turned: bool = False
    ) -> Bool[np.ndarray, "S 2 G"]:
        """Exonic bases, of any transcript, of up to `slots` genes on the plus and on the minus strand; with `turned`,
        as the other strand reads them.

        The genes with the most exonic bases in the window come first; of equal ones, those that start first.
        """
        masks = np.zeros((length, 2, slots), bool)
        own = self._chromosomes.get(chrom)
        if own is None:
            return masks
        first, last = np.searchsorted(own.starts, (start - own.longest, start + length))
        rows = np.arange(first, last)[own.ends[first:last] > start]
        starts = np.maximum(own.starts[rows] - start, 0)
        ends = np.minimum(own.ends[rows] - start, length)
        genes, which = np.unique(own.genes[rows], return_inverse=True)
        bases = np.bincount(which, ends - starts, len(genes))
        slot = np.full(len(genes), slots)
        for strand in (0, 1):
            here = np.flatnonzero(own.minus[genes] == strand)
            here = here[np.argsort(-bases[here], kind="stable")][:slots]
            slot[here] = np.arange(len(here))
        strands = own.minus[genes] ^ turned
        if turned:
            starts, ends = length - ends, length - starts
        for exon in np.flatnonzero(slot[which] < slots):
            gene = which[exon]
            masks[starts[exon] : ends[exon], strands[gene], slot[gene]] = True
        return masks

    @cached_property
    def _chromosomes(self) -> dict[str, _Chromosome]:
        exons = read_table(self._folder, "exons")
        return {str(chrom): _chromosome(rows) for chrom, rows in exons.groupby("chrom", sort=False)}


def _chromosome(exons: pd.DataFrame) -> _Chromosome:
    exons = exons.sort_values("start", kind="stable")
    minus = (exons["strand"] == "-").to_numpy(np.int64)
    genes, names = pd.factorize(pd.MultiIndex.from_arrays([exons["gene_id"], minus]))
    order = np.argsort(genes, kind="stable")
    offsets = genes[order] * _APART
    starts = exons["start"].to_numpy(np.int64)[order] + offsets
    ends = np.maximum.accumulate(exons["end"].to_numpy(np.int64)[order] + offsets)
    # Exons of one gene that touch are one; genes lie too far apart to.
    begins = np.flatnonzero(np.concatenate([[True], starts[1:] > ends[:-1]]))
    stops = np.concatenate([begins[1:], [len(starts)]]) - 1
    merged = pd.DataFrame({"start": starts[begins], "end": ends[stops], "gene": genes[order][begins]})
    merged[["start", "end"]] -= (merged["gene"] * _APART).to_numpy()[:, None]
    merged = merged.sort_values(["start", "end", "gene"])
    return _Chromosome(
        merged["start"].to_numpy(),
        merged["end"].to_numpy(),
        merged["gene"].to_numpy(),
        np.array([strand for _, strand in names]),
        int((merged["end"] - merged["start"]).max()),
    )
