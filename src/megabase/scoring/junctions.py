"""Scores of splice junctions (architecture reference 9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from megabase.genome.regions import Region
from megabase.scoring.annotation import Gene

SITES = 256
"""Sites of a class that are scored: the first ones."""
_PSEUDOCOUNT = 1e-7


class Junction(NamedTuple):
    """An intron within a gene and its score in every tissue."""

    gene: Gene
    start: int
    """First base of the intron, 0-based."""
    end: int
    scores: Float[np.ndarray, " T"]
    ref: Float[np.ndarray, " T"]
    """Reads of the reference, and ..."""
    alt: Float[np.ndarray, " T"]
    """... those of the alternative."""


def junction_scores(
    ref: Float[np.ndarray, "K K 2*T"],
    alt: Float[np.ndarray, "K K 2*T"],
    positions: Int[np.ndarray, "4 K"],
    region: Region,
    genes: Sequence[Gene],
) -> list[Junction]:
    """For each tissue and gene the junction that changes most, each with its scores in all tissues.

    `ref`, `alt`: reads from donors to acceptors at the same `positions` (by splice class from the region's start; -1:
    none), tissues of the plus strand, then of the minus strand. Only junctions strictly inside protein-coding `genes`
    of their strand count. Scores are absolute differences of logarithms, rounded to half precision as released: equal
    ones are the reason why.
    """
    tissues = ref.shape[-1] // 2
    found: list[Junction] = []
    by_strand = {}
    for half, strand in enumerate("+-"):
        donors, acceptors = positions[2 * half, :SITES], positions[2 * half + 1, :SITES]
        i, j = np.nonzero((donors[:, None] >= 0) & (acceptors[None] >= 0))
        first, second = (donors[i], acceptors[j]) if strand == "+" else (acceptors[j], donors[i])
        forward = second > first + 1
        i, j, start, end = i[forward], j[forward], first[forward] + 1, second[forward]
        columns = slice(half * tissues, (half + 1) * tissues)
        both = ref[i, j, columns], alt[i, j, columns]
        change = np.log(both[1] + _PSEUDOCOUNT) - np.log(both[0] + _PSEUDOCOUNT)
        by_strand[strand] = start + region.start, end + region.start, np.abs(change).astype(np.float16), both
    for gene in genes:
        if gene.kind != "protein_coding" or gene.strand not in by_strand:
            continue
        start, end, scores, both = by_strand[gene.strand]
        inside = np.flatnonzero((start > gene.start) & (end < gene.end))
        if not len(inside):
            continue
        most = inside[scores[inside].argmax(axis=0)]
        for row in dict.fromkeys(most.tolist()):
            values = scores[row].astype(np.float32), *(reads[row] for reads in both)
            found.append(Junction(gene, int(start[row]), int(end[row]), *values))
    return found
