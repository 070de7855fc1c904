"""Metrics of items that come in groups: tissues, matched pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped

from megabase.metrics.ranking import average_precision

Metric = Callable[[np.ndarray, np.ndarray], float]
"""Of targets and scores."""

LEAST = 2
"""Rows below which a group has no metric (evaluation reference, section 3)."""


def weighted_mean(
    metric: Metric,
    groups: Shaped[np.ndarray, " n"],
    targets: Float[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
) -> float:
    """The tissue-weighted mean: the metric of each group, weighted by its rows.

    Rows without a target or score do not count. Groups with fewer than `LEAST` rows, with one class (all targets the
    same), or without a finite metric are left out. NaN where no group is left.
    """
    table = pd.DataFrame({"group": groups, "target": np.asarray(targets, float), "score": np.asarray(scores, float)})
    total, weight = 0.0, 0
    for _, own in table.dropna().groupby("group", sort=True):
        if len(own) < LEAST or own["target"].nunique() < 2:
            continue
        value = metric(own["target"].to_numpy(), own["score"].to_numpy())
        if np.isfinite(value):
            total, weight = total + len(own) * value, weight + len(own)
    return total / weight if weight else float("nan")


def matched_precisions(
    positive: Bool[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    pairs: Shaped[np.ndarray, " n"],
    draws: int = 100,
    seed: int = 0,
) -> Float[np.ndarray, " draws"]:
    """Average precision of balanced draws: from every matched set, one positive and one of its negatives.

    `pairs` names the set of each item; sets that lack either kind do not count. The paper's paQTL value is the mean of
    100 draws (evaluation reference, section 3). Draw i is seeded with seed + i. NaN where no set is whole.
    """
    _, group = np.unique(pairs, return_inverse=True)
    group = group.ravel()
    sides = [np.bincount(group, weights=kind).astype(int) for kind in (positive, ~positive)]
    whole = np.flatnonzero((sides[0] > 0) & (sides[1] > 0))
    if not len(whole):
        return np.full(draws, np.nan)
    # Items by set, positives first: a set's members of one kind stand in a row.
    order = np.lexsort((~positive, group))
    first = np.concatenate([[0], np.cumsum(sides[0] + sides[1])])[whole]
    labels = np.repeat([True, False], len(whole))
    values = np.empty(draws)
    for draw in range(draws):
        random = np.random.default_rng(seed + draw)
        of_positive = first + random.integers(0, sides[0][whole])
        of_negative = first + sides[0][whole] + random.integers(0, sides[1][whole])
        chosen = order[np.concatenate([of_positive, of_negative])]
        values[draw] = average_precision(labels, scores[chosen])
    return values
