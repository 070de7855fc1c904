"""Variants that open or close chromatin, or bind a factor: the score of the matching tracks, with its sign."""

from __future__ import annotations

import pandas as pd

from megabase.evaluation.benchmarks.registry import Benchmark
from megabase.evaluation.benchmarks.scores import concerning, mean


def score(variants: pd.DataFrame, rows: pd.DataFrame, benchmark: Benchmark) -> pd.Series:
    """log2 of the fold change in 501 bp, the mean over the tracks that the benchmark names."""
    return mean(concerning(variants, rows, benchmark))
