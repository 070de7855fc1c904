"""Variants that change splicing: ClinVar, MFASS, sQTL, outliers.

The score is the paper's composite, SPLICE_SITES + SPLICE_SITE_USAGE + SPLICE_JUNCTIONS / 5, each the largest over
tracks and genes. MFASS asks for logits of the exon's own sites, which score tables lack: the composite stands in.
"""

from __future__ import annotations

import pandas as pd

from megabase.evaluation.benchmarks.registry import Benchmark
from megabase.evaluation.benchmarks.scores import concerning, largest

COMPOSITE = {"SPLICE_SITES": 1.0, "SPLICE_SITE_USAGE": 1.0, "SPLICE_JUNCTIONS": 0.2}
"""Weights of its parts (paper; evaluation reference, section 0)."""


def score(variants: pd.DataFrame, rows: pd.DataFrame, benchmark: Benchmark) -> pd.Series:
    """The composite of each variant; a part that the table has no row of counts as 0."""
    parts = {
        name: largest(concerning(variants, rows, benchmark, name)).abs() * weight for name, weight in COMPOSITE.items()
    }
    return pd.DataFrame(parts).fillna(0.0).sum(axis=1, min_count=1)
