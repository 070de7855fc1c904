"""Variants that change where messages end."""

from __future__ import annotations

import pandas as pd

from megabase.evaluation.benchmarks.registry import Benchmark
from megabase.evaluation.benchmarks.scores import concerning, mean


def score(variants: pd.DataFrame, rows: pd.DataFrame, benchmark: Benchmark) -> pd.Series:
    """POLYADENYLATION, the mean over tracks and genes."""
    return mean(concerning(variants, rows, benchmark))
