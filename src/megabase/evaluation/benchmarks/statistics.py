"""The metrics of sets of variants, each a function of a table with label, effect, group and score; and its interval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from megabase.metrics.bootstrap import percentiles
from megabase.metrics.grouped import matched_precisions, weighted_mean
from megabase.metrics.moments import moments, pearson
from megabase.metrics.ranking import average_precision, roc_auc
from megabase.metrics.ranks import spearman


def auprc(table: pd.DataFrame) -> float:
    """Average precision of |score|."""
    return average_precision(_label(table), _size(table))


def pearson_of_effects(table: pd.DataFrame) -> float:
    """Correlation of score and effect over the positives: signs count."""
    own = table[_label(table)].dropna(subset=["effect"])
    x, y = (own[name].to_numpy(float)[:, None] for name in ("effect", "score"))
    return float(pearson(moments(x, y, np.ones(x.shape, bool)))[0])


def tissue_auprc(table: pd.DataFrame) -> float:
    """Average precision of |score| in each tissue, weighted by its variants."""
    return weighted_mean(
        lambda x, y: average_precision(x > 0, y), table["group"].to_numpy(), _label(table), _size(table)
    )


def tissue_auroc(table: pd.DataFrame) -> float:
    """auROC of |score|, likewise."""
    return weighted_mean(
        lambda x, y: float(roc_auc(x > 0, y)[0]), table["group"].to_numpy(), _label(table), _size(table)
    )


def tissue_spearman(table: pd.DataFrame) -> float:
    """Rank correlation of score and effect over the positives of each tissue, likewise."""
    own = table[_label(table)]
    return weighted_mean(spearman, own["group"].to_numpy(), own["effect"].to_numpy(float), own["score"].to_numpy(float))


def tissue_sign_auroc(table: pd.DataFrame) -> float:
    """auROC of the score for effects above 0, over the positives of each tissue, likewise."""
    own = table[_label(table) & table["effect"].notna().to_numpy()]
    above = (own["effect"] > 0).to_numpy(float)
    scores = own["score"].to_numpy(float)
    return weighted_mean(lambda x, y: float(roc_auc(x > 0, y)[0]), own["group"].to_numpy(), above, scores)


def matched_auprc(table: pd.DataFrame) -> float:
    """Mean average precision of 100 draws of one positive and one negative from each matched group."""
    return float(np.mean(matched_precisions(_label(table), _size(table), table["group"].to_numpy())))


Metric = Callable[[pd.DataFrame], float]
METRICS: dict[str, Metric] = {
    "auprc": auprc,
    "ebm_auprc": auprc,
    "pearson": pearson_of_effects,
    "tissue_auprc": tissue_auprc,
    "tissue_auroc": tissue_auroc,
    "tissue_spearman": tissue_spearman,
    "tissue_sign_auroc": tissue_sign_auroc,
    "matched_auprc": matched_auprc,
}
OF_POSITIVES = ("pearson", "tissue_spearman", "tissue_sign_auroc")
"""Metrics that look at positives alone."""


def with_interval(metric: Metric, table: pd.DataFrame, resamples: int, seed: int = 0) -> tuple[float, float, float]:
    """The metric and its 95 % interval.

    Variants are drawn with replacement, positives and negatives each among themselves; of matched pairs, whole groups
    are drawn, and each draw is a group of its own.
    """
    draw = np.random.default_rng(seed)
    value = metric(table)
    values = np.array([metric(_resample(metric, table, draw)) for _ in range(resamples)])
    lower, upper = percentiles(values[:, None])
    return value, float(lower[0]), float(upper[0])


def chance(metric: str, table: pd.DataFrame) -> float:
    """What chance reaches on this table: the share of positives (of matched pairs a half), 0.5 for auROC, else 0."""
    if metric.endswith("auprc"):
        return 0.5 if metric == "matched_auprc" else float(np.mean(_label(table))) if len(table) else float("nan")
    return 0.5 if metric.endswith("auroc") else 0.0


def _resample(metric: Metric, table: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    if metric is matched_auprc:
        places = list(table.groupby("group", sort=False).indices.values())
        chosen = [places[number] for number in draw.integers(0, len(places), len(places))]
        own = table.iloc[np.concatenate(chosen)]
        return own.assign(group=np.repeat(np.arange(len(chosen)), [len(one) for one in chosen]))
    label = _label(table)
    kinds = [np.flatnonzero(label), np.flatnonzero(~label)]
    return table.iloc[np.concatenate([draw.choice(own, len(own)) for own in kinds if len(own)])]


def _label(table: pd.DataFrame) -> np.ndarray:
    return table["label"].fillna(False).to_numpy(bool)


def _size(table: pd.DataFrame) -> np.ndarray:
    return table["score"].abs().to_numpy(float)
