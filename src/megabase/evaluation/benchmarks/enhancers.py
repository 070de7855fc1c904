"""Enhancers and the genes they regulate: how far apart they are.

The paper's score is an input gradient, which score tables do not hold: give it as a table (`benchmarks.predictions`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from megabase.errors import InputError
from megabase.evaluation.benchmarks.registry import Benchmark

SPAN = 1_000_000
"""bp within which a model of one megabase could see a pair."""
_SHOWN = (10_000, 100_000, 500_000, SPAN)


def score(variants: pd.DataFrame, rows: pd.DataFrame, benchmark: Benchmark) -> pd.Series:
    """Raises InputError: see above."""
    raise InputError(
        "no score table has input gradients",
        where=f"benchmark {benchmark.id}",
        remedy="give them as a table: benchmarks.predictions",
    )


def distances(pairs: pd.DataFrame, genes: pd.DataFrame) -> pd.Series:
    """bp from each element to the start of its gene; NaN for a gene that the annotation lacks or has elsewhere.

    `pairs`: a set whose positions are the middles of elements; `genes`: chrom, start, end, strand, gene_id, gene_name.
    """
    start = np.where(genes["strand"] == "+", genes["start"], genes["end"] - 1)
    places = pd.DataFrame({"chrom": genes["chrom"], "start": start})
    names = pd.concat(
        [places.assign(name=genes["gene_id"].str.split(".").str[0]), places.assign(name=genes["gene_name"])]
    )
    known = names.dropna(subset="name").drop_duplicates("name").set_index("name")
    wanted = pairs["gene_id"].astype(object).fillna("").astype(str).str.split(".").str[0]
    chrom, place = wanted.map(known["chrom"]), wanted.map(known["start"])
    return (pairs["position"] - 1 - place).abs().where(chrom == pairs["chromosome"])


def distance_fact(pairs: pd.DataFrame, genes: pd.DataFrame) -> pd.DataFrame:
    """Of validated pairs (label true), how many lie within each distance: within_bp, pairs, n, share, unknown_genes."""
    own = pairs[pairs["label"].astype(bool)]
    apart = distances(own, genes)
    known = apart.dropna()
    rows = [(limit, int((known <= limit).sum()), len(known)) for limit in _SHOWN]
    table = pd.DataFrame(rows, columns=["within_bp", "pairs", "n"])
    return table.assign(share=table["pairs"] / max(len(known), 1), unknown_genes=int(apart.isna().sum()))
