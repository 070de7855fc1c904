"""Variants that change expression: the RNA-seq score of the variant's own gene, in the variant's own tissue."""

from __future__ import annotations

import pandas as pd

from megabase.evaluation.benchmarks.registry import Benchmark
from megabase.evaluation.benchmarks.scores import concerning, mean


def score(variants: pd.DataFrame, rows: pd.DataFrame, benchmark: Benchmark) -> pd.Series:
    """ln of the fold change, the mean over the tissue's tracks."""
    return mean(concerning(variants, rows, benchmark))
