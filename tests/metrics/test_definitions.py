"""Every metric of the evaluations against scikit-learn, scipy or its formula written out, to 1e-6."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats

from megabase.metrics import contacts, expression, intervals, polyadenylation, profiles, splicing
from megabase.metrics.comparison import relative_improvement
from megabase.metrics.grouped import matched_precisions, weighted_mean
from megabase.metrics.moments import moments
from megabase.metrics.ranking import average_precision, roc_auc
from megabase.metrics.ranks import spearman

CLOSE = {"abs": 1e-6}


@pytest.fixture
def draw() -> np.random.Generator:
    return np.random.default_rng(5)


def auroc(positive: np.ndarray, scores: np.ndarray) -> float:
    return float(roc_auc(positive.astype(bool), scores)[0])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_ranking_is_what_scikit_learn_says(draw: np.random.Generator, ties: bool, share: float) -> None:
    learn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    positive = draw.random(3000) < share
    scores = draw.normal(size=3000) + positive
    scores = np.round(scores, 1) if ties else scores
    assert average_precision(positive, scores) == pytest.approx(
        learn.average_precision_score(positive, scores), **CLOSE
    )
    assert auroc(positive, scores) == pytest.approx(learn.roc_auc_score(positive, scores), **CLOSE)
    # Scores imputed with zero are one large tie.
    mostly = np.where(draw.random(3000) < 0.9, 0.0, scores)
    assert average_precision(positive, mostly) == pytest.approx(
        learn.average_precision_score(positive, mostly), **CLOSE
    )
    assert auroc(positive, mostly) == pytest.approx(learn.roc_auc_score(positive, mostly), **CLOSE)


def test_auroc_is_the_statistic_of_mann_and_whitney(draw: np.random.Generator) -> None:
    positive, scores = draw.random(500) < 0.3, np.round(draw.normal(size=500), 1)
    wins = scipy.stats.mannwhitneyu(scores[positive], scores[~positive]).statistic
    assert auroc(positive, scores) == pytest.approx(wins / (positive.sum() * (~positive).sum()), **CLOSE)
    weighted = roc_auc(positive, scores, np.ones((1, 500), int))[0]
    assert auroc(positive, scores) == pytest.approx(weighted, abs=1e-12)


def test_ranking_of_degenerate_input() -> None:
    none, one = np.zeros(0, bool), np.array([True])
    assert np.isnan(average_precision(none, np.zeros(0)))
    assert np.isnan(auroc(none, np.zeros(0)))
    assert np.isnan(auroc(one, np.ones(1)))
    assert average_precision(one, np.ones(1)) == 1
    unknown = np.array([1.0, np.nan, 0.0])
    assert np.isnan(average_precision(np.array([True, False, True]), unknown)), "NaN must not rank first"
    assert np.isnan(auroc(np.array([True, False, True]), unknown))
    assert np.isnan(spearman(np.array([1.0, 2.0, 3.0]), unknown))
    assert np.isnan(spearman(np.zeros(0), np.zeros(0)))


def test_spearman_is_what_scipy_says(draw: np.random.Generator) -> None:
    x = np.round(draw.normal(size=800), 1)
    y = np.round(x + draw.normal(size=800), 1)
    assert spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic, **CLOSE)
    assert spearman(x, np.ones(800)) == 0


def test_pearson_pooled_and_by_interval(draw: np.random.Generator) -> None:
    observed = draw.gamma(1, 2, (6, 50, 3))
    predicted = observed + draw.normal(size=observed.shape) * np.arange(1, 4)
    mask = draw.random(observed.shape) < 0.9
    mask[2, :, 0] = False  # An interval without a usable position of the first track.
    predicted[3, :, 1] = 7  # One where the second track is predicted to be constant.
    sums = np.stack([moments(x, y, m) for x, y, m in zip(observed, predicted, mask, strict=True)])
    pooled, each = intervals.pooled_pearson(sums), intervals.interval_pearson(sums)
    for track in range(3):
        m = mask[..., track]
        x, y = observed[..., track], predicted[..., track]
        assert pooled[track] == pytest.approx(scipy.stats.pearsonr(x[m], y[m]).statistic, **CLOSE)
        values = [
            scipy.stats.pearsonr(x[i][m[i]], y[i][m[i]]).statistic if np.ptp(y[i]) else 0.0
            for i in range(6)
            if m[i].any()
        ]
        assert each[track] == pytest.approx(np.mean(values), **CLOSE)
    assert not np.allclose(pooled, each), "they are different quantities"
    assert np.isnan(intervals.interval_pearson(np.zeros((2, 1, 7)))).all()


def test_counts_and_profiles(draw: np.random.Generator) -> None:
    observed = draw.poisson(3, (40, 100)).astype(float)
    predicted = observed + draw.gamma(1, 1, observed.shape)
    observed[0] = 0
    totals = observed.sum(axis=1), predicted.sum(axis=1)
    expected = scipy.stats.pearsonr(np.log1p(totals[0]), np.log1p(totals[1])).statistic
    assert intervals.count_pearson(*totals) == pytest.approx(expected, **CLOSE)
    unknown = totals[1].copy()
    unknown[3] = np.nan
    kept = np.arange(40) != 3
    expected = scipy.stats.pearsonr(np.log1p(totals[0][kept]), np.log1p(totals[1][kept])).statistic
    assert intervals.count_pearson(totals[0], unknown) == pytest.approx(expected, **CLOSE)
    assert np.isnan(intervals.count_pearson(np.zeros(0), np.zeros(0)))
    # ChromBPNet's own form: counts over 0.001 + their sum against probabilities; the region without counts is left out.
    distances = [
        scipy.spatial.distance.jensenshannon(x / (0.001 + x.sum()), y / y.sum())
        for x, y in zip(observed[1:], predicted[1:], strict=True)
    ]
    assert profiles.median_profile_distance(observed, predicted) == pytest.approx(np.median(distances), **CLOSE)
    assert np.isnan(profiles.median_profile_distance(np.zeros((2, 5)), np.ones((2, 5))))


def test_tissue_weighted_mean(draw: np.random.Generator) -> None:
    groups = np.repeat(["liver", "blood", "alone", "constant", "none"], [30, 50, 1, 10, 4])
    targets = draw.integers(0, 2, len(groups)).astype(float)
    scores = draw.normal(size=len(groups)) + targets
    targets[groups == "constant"] = 1
    scores[groups == "none"] = np.nan
    scores[5] = np.nan
    known = np.isfinite(scores)
    parts = []
    for name in ("liver", "blood"):
        own = (groups == name) & known
        parts.append((own.sum(), auroc(targets[own], scores[own])))
    expected = sum(n * value for n, value in parts) / sum(n for n, _ in parts)
    assert [n for n, _ in parts] == [29, 50]
    assert weighted_mean(auroc, groups, targets, scores) == pytest.approx(expected, **CLOSE)
    assert np.isnan(weighted_mean(auroc, groups[:1], targets[:1], scores[:1]))
    assert np.isnan(weighted_mean(auroc, groups[:0], targets[:0], scores[:0]))


def test_matched_draws_take_one_of_each_kind_from_every_set(draw: np.random.Generator) -> None:
    pairs = np.array([1, 1, 1, 2, 2, 3, 4, 4, 4, 4])
    positive = np.array([1, 0, 0, 1, 0, 1, 1, 1, 0, 0], bool)
    scores = draw.normal(size=10)
    possible = set()
    for a in (1, 2):  # By hand: set 3 has no negative; sets 1, 2 and 4 give 2, 1 and 4 choices.
        for b in (6, 7):
            for c in (8, 9):
                chosen = [0, 3, b, a, 4, c]
                possible.add(round(average_precision(positive[chosen], scores[chosen]), 9))
    values = matched_precisions(positive, scores, pairs, draws=60)
    assert {round(value, 9) for value in values} == possible
    np.testing.assert_array_equal(values[10:20], matched_precisions(positive, scores, pairs, draws=10, seed=10))
    shuffled = draw.permutation(10)
    assert {
        round(v, 9) for v in matched_precisions(positive[shuffled], scores[shuffled], pairs[shuffled], 60)
    } == possible
    assert np.isnan(matched_precisions(np.ones(3, bool), np.arange(3.0), np.array([1, 2, 3]))).all()
    assert matched_precisions(np.array([True, False]), np.zeros(2), np.zeros(2), 3).tolist() == [0.5] * 3


def test_expression_three_ways(draw: np.random.Generator) -> None:
    gene, place = draw.normal(0, 3, (200, 1)), draw.normal(size=(200, 5))
    observed = gene + place + np.arange(5)
    predicted = gene + 0.5 * place + draw.normal(size=(200, 5)) * 0.5
    raw = [scipy.stats.pearsonr(observed[:, t], predicted[:, t]).statistic for t in range(5)]
    np.testing.assert_allclose(expression.raw_expression(observed, predicted), raw, atol=1e-6)

    def by_hand(levels: np.ndarray) -> np.ndarray:
        common = np.sort(levels, axis=0).mean(axis=1)
        same = np.empty_like(levels)
        for track in range(5):
            same[np.argsort(levels[:, track]), track] = common
        return same - same.mean(axis=1, keepdims=True)

    x, y = by_hand(observed), by_hand(predicted)
    genes = [scipy.stats.pearsonr(x[:, t], y[:, t]).statistic for t in range(5)]
    np.testing.assert_allclose(expression.expression_across_genes(observed, predicted), genes, atol=1e-6)
    tracks = np.mean([scipy.stats.pearsonr(a, b).statistic for a, b in zip(x, y, strict=True)])
    assert expression.expression_across_tracks(observed, predicted) == pytest.approx(tracks, **CLOSE)
    assert np.mean(raw) > np.mean(genes) + 0.1, "what genes have in common must be gone"
    unknown = observed.copy()
    unknown[3, 2] = np.nan
    kept = np.arange(200) != 3
    assert np.isnan(expression.quantile_normalised(unknown)[3]).all()
    np.testing.assert_allclose(
        expression.quantile_normalised(unknown)[kept], expression.quantile_normalised(observed[kept]), atol=1e-12
    )
    tied = expression.quantile_normalised(np.array([[1.0, 0.0], [1.0, 4.0], [5.0, 9.0]]))
    np.testing.assert_allclose(tied[0, 0], tied[1, 0])
    assert np.isnan(expression.expression_across_tracks(np.zeros((0, 3)), np.zeros((0, 3))))


def test_usage_and_shares_of_junctions() -> None:
    np.testing.assert_allclose(splicing.splice_site_usage([8, 0, 0], [2, 5, 0]), [0.8, 0, np.nan])
    counts, donors, acceptors = np.array([6, 2, 0, 0, 4]), np.array([1, 1, 1, 2, 3]), np.array([7, 8, 9, 9, 7])
    np.testing.assert_allclose(splicing.psi5(counts, donors), [0.75, 0.25, 0, np.nan, 1])
    np.testing.assert_allclose(splicing.psi3(counts, acceptors), [0.6, 1, np.nan, np.nan, 0.4])
    assert splicing.psi5(np.zeros(0), np.zeros(0, int)).shape == (0,)
    observed, predicted = np.array([0, 3, 10, 50, 0]), np.array([9.0, 2, 30, 20, np.nan])
    expected = scipy.stats.pearsonr(np.log1p([3, 10, 50]), np.log1p([2, 30, 20])).statistic
    assert splicing.junction_pearson(observed, predicted) == pytest.approx(expected, **CLOSE)
    assert np.isnan(splicing.junction_pearson(np.zeros(3), np.ones(3)))
    x, y = np.array([0.1, 0.5, np.nan, 0.9]), np.array([0.2, 0.4, 0.5, 0.7])
    expected = scipy.stats.pearsonr(x[[0, 1, 3]], y[[0, 1, 3]]).statistic
    assert splicing.share_pearson(x, y) == pytest.approx(expected, **CLOSE)


def test_contact_maps_by_window_and_pooled(draw: np.random.Generator) -> None:
    observed = draw.normal(size=(4, 10, 10)) + np.arange(4)[:, None, None]
    predicted = observed + draw.normal(size=observed.shape)
    observed[1, :2] = np.nan  # A fifth is missing: this window counts; the next does not.
    observed[2, :3] = np.nan

    def r(windows: list[int], x: np.ndarray, y: np.ndarray) -> float:
        known = np.isfinite(x[windows])
        return scipy.stats.pearsonr(x[windows][known], y[windows][known]).statistic

    each = np.mean([r([window], observed, predicted) for window in range(4)])
    assert contacts.contact_pearson(observed, predicted) == pytest.approx(each, **CLOSE)
    pooled = contacts.pooled_contact_pearson(observed, predicted)
    assert pooled == pytest.approx(r([0, 1, 3], observed, predicted), **CLOSE)
    assert pooled > each + 0.05, "levels of windows count when pooled"
    other, other_predicted = observed[::-1] * 0.5, predicted[::-1] * 0.4
    value = contacts.pooled_difference_pearson((observed, other), (predicted, other_predicted))
    assert value == pytest.approx(r([0, 3], other - observed, other_predicted - predicted), **CLOSE)
    assert np.isnan(contacts.pooled_contact_pearson(np.full((1, 2, 2), np.nan), np.zeros((1, 2, 2))))


def test_covr_is_the_largest_balanced_ratio() -> None:
    assert polyadenylation.covr(np.array([4.0, 16.0])) == pytest.approx(2)
    sites = np.array([8.0, 1.0, 3.0])
    splits = [np.log2((1 + 3) / 2 / 8), np.log2(3 / ((8 + 1) / 2))]
    assert polyadenylation.covr(sites) == pytest.approx(max(splits))
    both = polyadenylation.covr(np.stack([sites, np.array([0.0, 0.0, 5.0])], axis=1))
    np.testing.assert_allclose(both, [max(splits), 0], err_msg="no coverage before a site says nothing")
    with pytest.raises(ValueError, match="1 polyadenylation site"):
        polyadenylation.covr(np.ones(1))


@pytest.mark.parametrize(
    ("value", "baseline", "random", "less", "expected"),
    [(0.8, 0.7, 0.5, False, 50), (0.51, 0.545, 0, True, 6.42), (0.5, 0.54, 0.038, False, -7.97)],
)
def test_relative_improvement(value: float, baseline: float, random: float, less: bool, expected: float) -> None:
    assert relative_improvement(value, baseline, random, less_is_better=less) == pytest.approx(expected, abs=0.01)


def test_no_improvement_on_chance() -> None:
    assert np.isnan(relative_improvement(0.8, 0.5, 0.5))
    assert np.isnan(relative_improvement(0.8, float("nan")))
