"""Simple controls in the common score table: what distance and base composition alone say of a variant.

A control of its own is a function of variants and reference; `CONTROLS` names those of each table.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from jaxtyping import Float64

from megabase.genome.reference import Reference

Control = Callable[[pd.DataFrame, Reference], Float64[np.ndarray, " variants"]]
GC_FLANK = 50
"""bp to either side of a variant whose GC content is taken."""


def near_splice_site(variants: pd.DataFrame, reference: Reference) -> Float64[np.ndarray, " variants"]:
    """1 / (1 + bp to the nearest end of an exon); 0 on a chromosome without exons."""
    exons = reference.exons()
    ends = pd.concat([exons[["chrom", "start"]].set_axis(["chrom", "at"], axis=1), _lasts(exons)])
    return _nearness(variants, ends)


def near_start(variants: pd.DataFrame, reference: Reference) -> Float64[np.ndarray, " variants"]:
    """1 / (1 + bp to the nearest start of a gene)."""
    genes = reference.genes()
    at = np.where(genes["strand"] == "+", genes["start"], genes["end"] - 1)
    return _nearness(variants, pd.DataFrame({"chrom": genes["chrom"], "at": at}))


def gc_content(variants: pd.DataFrame, reference: Reference) -> Float64[np.ndarray, " variants"]:
    """Share of G and C within `GC_FLANK` bp, of the known bases; 0 without any."""
    shares = np.zeros(len(variants))
    for row, (chrom, position) in enumerate(zip(variants["chromosome"], variants["position"], strict=True)):
        codes = reference.codes(str(chrom), int(position) - 1 - GC_FLANK, int(position) + GC_FLANK)
        known = codes < 4
        shares[row] = np.isin(codes, (1, 2)).sum() / max(int(known.sum()), 1)
    return shares


CONTROLS: dict[str, Control] = {
    "near_splice_site": near_splice_site,
    "near_start": near_start,
    "gc": gc_content,
}


def control_scores(variants: pd.DataFrame, reference: Reference) -> dict[str, pd.Series]:
    """Every control at each row of a set. They have no sign: all say more, none says in which direction."""
    return {name: pd.Series(control(variants, reference), index=variants.index) for name, control in CONTROLS.items()}


def _lasts(exons: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"chrom": exons["chrom"], "at": exons["end"] - 1})


def _nearness(variants: pd.DataFrame, places: pd.DataFrame) -> Float64[np.ndarray, " variants"]:
    nearness = np.zeros(len(variants))
    for chrom, own in places.groupby("chrom"):
        here = (variants["chromosome"] == chrom).to_numpy()
        at, wanted = np.unique(own["at"].to_numpy(np.int64)), variants["position"].to_numpy(np.int64)[here] - 1
        after = np.searchsorted(at, wanted).clip(0, len(at) - 1)
        before = (after - 1).clip(0)
        nearness[here] = 1 / (1 + np.minimum(np.abs(at[after] - wanted), np.abs(at[before] - wanted)))
    return nearness
