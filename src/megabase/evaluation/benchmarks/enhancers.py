"""Enhancers and the genes they regulate: how far apart they are.

The score is an input gradient (`megabase.scoring.attribution`), which a rule of its own writes as a table of links.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from megabase.artifacts import write_text
from megabase.errors import InputError
from megabase.evaluation.benchmarks.registry import Benchmark
from megabase.evaluation.benchmarks.scores import gene_ids
from megabase.evaluation.variant_sets.table import read_variant_set

SPAN = 1_000_000
"""bp within which a model of one megabase could see a pair."""
_SHOWN = (10_000, 100_000, 500_000, SPAN)


def score(variants: pd.DataFrame, rows: pd.DataFrame, benchmark: Benchmark) -> pd.Series:
    """Of a table of links, as `link_set` writes it: `variant_id` and `score`; NaN for a pair without one."""
    return variants["variant_id"].map(rows.groupby("variant_id")["score"].first())


def write_pairs(pairs: Path, out: Path) -> None:
    """The pairs of a set, whose `group` is the element, as `megabase attribute` reads them: and their `variant_id`."""
    table = read_variant_set(pairs).table
    found = table["group"].astype(str).str.extract(r"^(?P<chrom>.+):(?P<start>\d+)-(?P<end>\d+)$")
    wrong = (found.isna().any(axis=1) | table["gene_id"].isna()).to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        what = f"`{table['group'].iloc[row]}` and `{table['gene_id'].iloc[row]}` are no element and gene"
        raise InputError(what, where=f"{pairs} row {row + 1}", remedy="build the set again")
    found = found.assign(gene_id=table["gene_id"], variant_id=table["variant_id"])
    write_text(out, found.to_csv(sep="\t", index=False))


def distances(pairs: pd.DataFrame, genes: pd.DataFrame) -> pd.Series:
    """bp from each element to the start of its gene; NaN for a gene that the annotation lacks or has elsewhere.

    `pairs`: a set whose positions are the middles of elements; `genes`: chrom, start, end, strand, gene_id, gene_name.
    """
    start = np.where(genes["strand"] == "+", genes["start"], genes["end"] - 1)
    places = pd.DataFrame({"chrom": genes["chrom"], "start": start})
    names = pd.concat([places.assign(name=gene_ids(genes["gene_id"])), places.assign(name=genes["gene_name"])])
    known = names.dropna(subset="name").drop_duplicates("name").set_index("name")
    wanted = gene_ids(pairs["gene_id"])
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
