"""Ranking metrics against their definitions, item by item, with ties."""

from __future__ import annotations

import numpy as np
import pytest

from megabase.metrics.bootstrap import item_counts, percentiles, window_counts
from megabase.metrics.ranking import RankedCounts, average_precision, roc_auc, sign_accuracy
from megabase.metrics.ranks import resampled_spearman, spearman


@pytest.fixture
def items() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    positive = draw.random(400) < 0.1
    return positive, np.round(draw.normal(size=400) + positive, 1)  # About 60 distinct scores: many ties.


def slow_average_precision(positive: np.ndarray, scores: np.ndarray) -> float:
    value, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = scores >= threshold
        recall = positive[taken].sum() / positive.sum()
        value += (recall - before) * positive[taken].mean()
        before = recall
    return value


def slow_auc(positive: np.ndarray, scores: np.ndarray) -> float:
    pairs = [(a, b) for a in scores[positive] for b in scores[~positive]]
    return float(np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs]))


def test_average_precision_with_ties(items: tuple[np.ndarray, np.ndarray]) -> None:
    positive, scores = items
    assert average_precision(positive, scores) == pytest.approx(slow_average_precision(positive, scores), rel=1e-12)
    order = np.random.default_rng(1).permutation(400)
    assert average_precision(positive[order], scores[order]) == pytest.approx(average_precision(positive, scores))
    assert average_precision(positive, np.zeros(400)) == pytest.approx(positive.mean()), "a constant finds the share"
    assert average_precision(positive, positive.astype(float)) == 1
    assert average_precision(np.array([True, False]), np.array([0.0, 1.0])) == 0.5
    assert np.isnan(average_precision(np.zeros(4, bool), np.arange(4.0)))


def test_auc_counts_a_tie_as_half(items: tuple[np.ndarray, np.ndarray]) -> None:
    positive, scores = items
    assert roc_auc(positive, scores)[0] == pytest.approx(slow_auc(positive, scores), rel=1e-12)
    assert roc_auc(positive, np.zeros(400))[0] == 0.5
    assert np.isnan(roc_auc(np.ones(3, bool), np.arange(3.0))[0])


def test_weights_are_repetitions(items: tuple[np.ndarray, np.ndarray]) -> None:
    positive, scores = items
    weights = item_counts(positive, 5, seed=3)
    assert (weights[0] == 1).all()
    assert (weights[:, positive].sum(axis=1) == positive.sum()).all()
    assert (weights.sum(axis=1) == 400).all()
    aucs, rhos = roc_auc(positive, scores, weights), resampled_spearman(scores, scores**2 + positive, weights)
    effect = np.where(positive, scores, 0)
    signs = sign_accuracy(effect, scores - 0.5, weights)
    for row, auc, rho, sign in zip(weights, aucs, rhos, signs, strict=True):
        taken = np.repeat(np.arange(400), row)
        assert auc == pytest.approx(slow_auc(positive[taken], scores[taken]), rel=1e-12)
        assert rho == pytest.approx(spearman(scores[taken], (scores**2 + positive)[taken]), rel=1e-12)
        here = taken[effect[taken] != 0]
        moved = scores[here] - 0.5
        right = np.where(moved == 0, 0.5, np.sign(moved) == np.sign(effect[here]))
        assert sign == pytest.approx(right.mean(), rel=1e-12)


def test_signs() -> None:
    observed = np.array([1.0, -2, 3, 0, -1])
    assert sign_accuracy(observed, np.array([1.0, -1, -1, 5, 0]))[0] == pytest.approx(2.5 / 4)
    assert sign_accuracy(observed, np.full(5, np.nan))[0] == 0
    assert np.isnan(sign_accuracy(np.zeros(2), np.ones(2))[0])


def test_resampled_windows_are_those_windows() -> None:
    draw = np.random.default_rng(4)
    windows = [(draw.random(50) < 0.2, np.round(draw.normal(size=50), 1)) for _ in range(6)]
    ranked = RankedCounts(6, 30, seed=2)
    for number, (positive, scores) in enumerate(windows):
        ranked.add(number, positive[:20], scores[:20])
        ranked.add(number, positive[20:], scores[20:])

    def joined(counts: np.ndarray) -> float:
        taken = [windows[i] for i in np.repeat(np.arange(6), counts)]
        return slow_average_precision(*(np.concatenate(parts) for parts in zip(*taken, strict=True)))

    counts = window_counts(6, 30, 2)
    assert ranked.value == pytest.approx(joined(counts[0]), rel=1e-12)
    expected = np.quantile([joined(row) for row in counts[1:]], [0.025, 0.975])
    np.testing.assert_allclose(ranked.interval(), expected, rtol=1e-12)
    assert ranked.positives == sum(int(positive.sum()) for positive, _ in windows)


def test_a_paired_difference_is_narrower_than_its_parts() -> None:
    draw = np.random.default_rng(5)
    positive = np.arange(200) < 100
    first = draw.normal(size=200) + positive
    second = first + 0.05 * draw.normal(size=200)
    weights = item_counts(positive, 300)
    a, b = roc_auc(positive, first, weights), roc_auc(positive, second, weights)
    lower, upper = percentiles((a - b)[1:, None])
    low, high = percentiles(a[1:, None])
    assert (upper - lower)[0] < (high - low)[0] / 4
    assert np.isnan(percentiles(np.zeros((0, 2)))[0]).all()
