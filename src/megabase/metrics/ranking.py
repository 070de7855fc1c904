"""How well scores tell positives from negatives, and signs from each other; ties count as ties.

Evaluation reference, metric definitions: auPRC is average precision (a step function, not trapezoids), auROC counts a
tie as half. Equal scores are one threshold, so that the order of items never matters.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

from megabase.metrics.bootstrap import percentiles, window_counts
from megabase.metrics.ranks import ranks

Weights = Int[np.ndarray, "resamples n"]
"""How often each item counts, a row per resample."""


def average_precision(positive: Bool[np.ndarray, " n"], scores: Float[np.ndarray, " n"]) -> float:
    """Σ (recall step x precision) over thresholds, from the highest score down; NaN without positives.

    A score of NaN has no place in the order, and makes the value NaN: impute it, or leave the item out.
    """
    if np.isnan(scores).any():
        return float("nan")
    ranked = RankedCounts(1, 0)
    ranked.add(0, positive, scores)
    return ranked.value


def roc_auc(
    positive: Bool[np.ndarray, " n"], scores: Float[np.ndarray, " n"], weights: Weights | None = None
) -> Float64[np.ndarray, " resamples"]:
    """Chance that a positive scores above a negative, per row of `weights`; NaN where either kind is missing.

    Without weights a score of NaN makes the value NaN.
    """
    if weights is None:
        return np.array([_auc_by_ranks(positive, scores)])
    above, below = scores[positive, None], scores[None, ~positive]
    wins = (above > below) + 0.5 * (above == below)
    of_positive, of_negative = weights[:, positive].astype(float), weights[:, ~positive].astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return ((of_positive @ wins) * of_negative).sum(axis=1) / (of_positive.sum(axis=1) * of_negative.sum(axis=1))


def _auc_by_ranks(positive: Bool[np.ndarray, " n"], scores: Float[np.ndarray, " n"]) -> float:
    """Of the Mann-Whitney statistic: what every pair says, without a table of all pairs."""
    of_positive, of_negative = int(positive.sum()), int((~positive).sum())
    if not of_positive or not of_negative or np.isnan(scores).any():
        return float("nan")
    wins = ranks(scores)[positive].sum() - of_positive * (of_positive + 1) / 2
    return float(wins / (of_positive * of_negative))


def sign_accuracy(
    observed: Float[np.ndarray, " n"], predicted: Float[np.ndarray, " n"], weights: Weights | None = None
) -> Float64[np.ndarray, " resamples"]:
    """Share of items whose predicted sign is the observed one; a prediction of 0 is half right, one of NaN wrong.

    Items with an observed value of 0 have no sign and are left out; NaN where none is left.
    """
    weights = np.ones((1, len(observed)), np.int64) if weights is None else weights
    right = np.where(predicted == 0, 0.5, np.sign(predicted) == np.sign(observed))
    counted = weights * (observed != 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (counted @ right) / counted.sum(axis=1)


class RankedCounts:
    """Average precision of items that come window by window, with intervals from resampled windows.

    Of a window only the number of items and positives at each distinct score is kept. Precision is needed only at the
    scores of positives, so a resample costs one matrix product.
    """

    def __init__(self, windows: int, resamples: int, seed: int = 0) -> None:
        self._counts = window_counts(windows, resamples, seed)
        self._windows: list[Int64[np.ndarray, " scores"]] = []
        self._scores: list[Float[np.ndarray, " scores"]] = []
        self._items: list[Int64[np.ndarray, "scores 2"]] = []

    def add(self, window: int, positive: Bool[np.ndarray, " n"], scores: Float[np.ndarray, " n"]) -> None:
        """Adds items of one window; a window may come several times."""
        distinct, group = np.unique(scores, return_inverse=True)
        both = [np.bincount(group.ravel(), weights=weight, minlength=len(distinct)) for weight in (None, positive)]
        self._windows.append(np.full(len(distinct), window))
        self._scores.append(distinct)
        self._items.append(np.stack(both, axis=1).astype(np.int64))

    @property
    def positives(self) -> int:
        """Positives of all windows."""
        return int(sum(items[:, 1].sum() for items in self._items))

    @property
    def value(self) -> float:
        """Average precision over all windows; NaN without positives."""
        return float(self.values()[0])

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The percentile interval over resampled windows; NaN without resamples."""
        lower, upper = percentiles(self.values()[1:, None], level)
        return float(lower[0]), float(upper[0])

    def values(self) -> Float64[np.ndarray, " resamples+1"]:
        """Average precision over all windows, then over each resample."""
        windows, scores, items = (np.concatenate(parts) for parts in (self._windows, self._scores, self._items))
        thresholds = np.unique(scores[items[:, 1] > 0])
        if not len(thresholds):
            return np.full(len(self._counts), np.nan)
        # Column t: what scores at threshold t or above, highest threshold first; anything lower is never looked at.
        place = np.searchsorted(thresholds, scores, side="right") - 1
        reached = place >= 0
        table = np.zeros((2, self._counts.shape[1], len(thresholds)))
        for kind in range(2):
            np.add.at(table[kind], (windows[reached], place[reached]), items[reached, kind])
        taken, found = np.cumsum(self._counts @ table[:, :, ::-1], axis=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.where(taken > 0, found / np.maximum(taken, 1), 0)
            return (np.diff(found, axis=1, prepend=0) * precision).sum(axis=1) / found[:, -1]
