"""How much better one value is than another, against what chance reaches."""

from __future__ import annotations


def relative_improvement(value: float, baseline: float, random: float = 0.0, *, less_is_better: bool = False) -> float:
    """100 (value - baseline) / (baseline - random), in percent (paper, Methods: relative improvement).

    `random` is 0 for correlations, the share of positives for average precision and 0.5 for auROC. Of a distance, where
    less is better, it is 100 (baseline - value) / baseline: the form that gives the paper's 6.4 % for its DNase row.
    NaN where the baseline is no better than chance, because then there is nothing to be better than.
    """
    margin = baseline - random
    if not margin > 0:
        return float("nan")
    return 100 * (baseline - value if less_is_better else value - baseline) / margin
