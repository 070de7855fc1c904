"""Benchmarks that learn from scores: their features are the magnitudes of all scorers of a variant."""

from __future__ import annotations

import numpy as np
import pandas as pd

from megabase.evaluation.benchmarks.registry import Benchmark
from megabase.metrics.protocols import forest_auroc, lasso_pearson

METRICS = ("forest_auroc", "lasso_pearson")
"""The protocols that are computed here."""
LEFT_OUT = ("TERT-GBM", "MYC")
"""Loci without a share of the CAGI5 mean (paper; evaluation reference, section 1c)."""


def features(variants: pd.DataFrame, rows: pd.DataFrame, *, signed: bool) -> np.ndarray:
    """A column per scorer and track, 0 where a variant has no such score; of several genes the largest magnitude."""
    table = rows.assign(size=rows["raw_score"].abs()).sort_values("size", kind="stable")
    table = table.assign(column=table["scorer"].astype(str) + " " + table["track"].astype(str))
    wide = table.pivot_table(index="variant_id", columns="column", values="raw_score", aggfunc="last")
    made = wide.reindex(variants["variant_id"]).fillna(0.0).to_numpy(float)
    return made if signed else np.abs(made)


def value(variants: pd.DataFrame, rows: pd.DataFrame, benchmark: Benchmark) -> float:
    """The benchmark's metric, one of `METRICS`, on the variants of `split` test, learnt on the others."""
    trained = (variants["split"] != "test").to_numpy(bool)
    if benchmark.metric == "forest_auroc":
        made = features(variants, rows, signed=False)
        return forest_auroc(variants["label"].to_numpy(bool), made, trained)[0]
    own = rows[rows["scorer"].astype(str).isin(benchmark.scorer.split(","))]
    effects = variants["effect"].to_numpy(float)
    made = features(variants, own, signed=True)
    return lasso_pearson(variants["group"].to_numpy(str), trained, made, effects, LEFT_OUT)[0]
