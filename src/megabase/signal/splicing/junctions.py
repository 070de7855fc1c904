"""Counts of splice junctions: from STAR, from aligned reads, and the filters and scale of the paper (section 1.6).

A junction is its intron, 0-based half-open, on the strand of its motif. A table of junctions has the columns of
`PLACE` and counts, one row per junction, sorted by place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64

from megabase.errors import InputError
from megabase.genome.reference import Reference

PLACE = ["chrom", "start", "end", "strand"]
_STAR_COLUMNS = ["chrom", "first", "last", "strand", "motif", "annotated", "unique", "multiple", "overhang"]
# First and last two bases of an intron, in codes of A, C, G, T = 0..3: GT-AG, GC-AG and AT-AC, and their complements.
_MOTIFS: dict[tuple[int, ...], str] = {(2, 3, 0, 2): "+", (2, 1, 0, 2): "+", (0, 3, 0, 1): "+"}
_MOTIFS |= {tuple(3 - base for base in reversed(motif)): "-" for motif in list(_MOTIFS)}


def star_junctions(path: Path) -> pd.DataFrame:
    """`PLACE` and `reads` (unique fragments) of an `SJ.out.tab`; junctions without a motif have no strand and go."""
    try:
        table = pd.read_csv(path, sep="\t", names=_STAR_COLUMNS, dtype={"chrom": str})
    except (OSError, ValueError) as error:
        raise InputError(f"not an SJ.out.tab: {error}", where=path, remedy="align the reads again") from None
    table = table[(table["strand"] > 0) & (table["unique"] > 0)]
    strand = np.where(table["strand"] == 1, "+", "-")
    made = {"chrom": table["chrom"], "start": table["first"] - 1, "end": table["last"], "strand": strand}
    return pd.DataFrame(made | {"reads": table["unique"].astype(np.float64)}).sort_values(PLACE, ignore_index=True)


def stranded(counts: Mapping[tuple[str, int, int], float], reference: Reference) -> pd.DataFrame:
    """`PLACE` and `reads` of introns counted without strand: it follows from the motif, as STAR tells it.

    Introns without a motif go.
    """
    rows = []
    for (chrom, start, end), reads in counts.items():
        edges = (*reference.codes(chrom, start, start + 2), *reference.codes(chrom, end - 2, end))
        strand = _MOTIFS.get(tuple(int(code) for code in edges))
        if strand is not None:
            rows.append((chrom, start, end, strand, float(reads)))
    return pd.DataFrame(rows, columns=[*PLACE, "reads"]).sort_values(PLACE, ignore_index=True)


def side_by_side(samples: list[pd.DataFrame]) -> tuple[pd.DataFrame, Float64[np.ndarray, "junctions samples"]]:
    """All junctions of several samples, sorted by place, and the reads of each in each; 0 where a sample has none."""
    if len(samples) == 1:
        return samples[0][PLACE].reset_index(drop=True), samples[0][["reads"]].to_numpy(np.float64)
    columns = [table.set_index(PLACE)["reads"].rename(number) for number, table in enumerate(samples)]
    joined = pd.concat(columns, axis=1).fillna(0.0).sort_index()
    return joined.index.to_frame(index=False), joined.to_numpy(np.float64)


def kept_by_median(reads: Float64[np.ndarray, "junctions samples"], above: float) -> Bool[np.ndarray, " junctions"]:
    """Where the median over samples is above a count."""
    return np.median(reads, axis=1) > above if len(reads) else np.zeros(0, bool)


def scaled_mean(reads: Float64[np.ndarray, "junctions samples"], total: float) -> Float64[np.ndarray, " junctions"]:
    """The mean over samples of each sample scaled to `total`; samples without a read are passed over."""
    sums = reads.sum(axis=0)
    known = sums > 0
    if not known.any():
        return np.zeros(len(reads))
    return reads[:, known] @ (total / sums[known]) / known.sum()
