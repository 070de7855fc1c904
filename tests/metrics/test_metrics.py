"""Each metric against its definition, written out."""

from __future__ import annotations

import numpy as np
import pytest

from megabase.metrics.bootstrap import Pooled
from megabase.metrics.moments import mean_absolute_error, mean_squared_error, moments, pearson
from megabase.metrics.profiles import jensen_shannon_distance, jensen_shannon_divergence
from megabase.metrics.ranks import ranks, spearman


@pytest.fixture
def windows() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Five windows of three tracks: skewed counts, related predictions, masked positions that hold NaN."""
    draw = np.random.default_rng(0)
    made = []
    for _ in range(5):
        x = draw.gamma(0.3, 20, (1000, 3)).astype(np.float32)
        y = (x * draw.gamma(2, 1, x.shape) + 1000 * (draw.random(x.shape) < 0.01)).astype(np.float32)
        mask = draw.random(x.shape) < 0.8
        x[~mask] = np.nan
        made.append((x, y, mask))
    return made


def pooled(windows: list, track: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.concatenate([x[mask[:, track], track] for x, _, mask in windows]).astype(np.float64)
    y = np.concatenate([y[mask[:, track], track] for _, y, mask in windows]).astype(np.float64)
    return x, y


def test_sums_over_windows_give_the_pooled_metrics(windows: list) -> None:
    sums = np.sum([moments(*window) for window in windows], axis=0)
    for track in range(3):
        x, y = pooled(windows, track)
        assert sums[track, 0] == len(x)
        np.testing.assert_allclose(pearson(sums)[track], np.corrcoef(x, y)[0, 1], rtol=1e-10)
        np.testing.assert_allclose(mean_squared_error(sums)[track], np.mean((x - y) ** 2), rtol=1e-10)
        np.testing.assert_allclose(mean_absolute_error(sums)[track], np.mean(np.abs(x - y)), rtol=1e-10)


def test_slabs_do_not_change_the_sums() -> None:
    draw = np.random.default_rng(1)
    x, y = draw.random((2, 40_000, 2))
    x[-1] = 1000.0
    np.testing.assert_allclose(pearson(moments(x, y, np.ones(x.shape, bool)))[0], np.corrcoef(x[:, 0], y[:, 0])[0, 1])


@pytest.mark.parametrize("level", [0.1, 1 / 3, 12345.678])
def test_a_constant_correlates_with_nothing(level: float) -> None:
    x = np.random.default_rng(2).random((5000, 1))
    y, mask = np.full(x.shape, level), np.ones(x.shape, bool)
    assert pearson(moments(x, y, mask))[0] == 0
    assert pearson(moments(y, x, mask))[0] == 0


def test_a_small_variation_on_a_large_mean_is_not_constant() -> None:
    x = np.random.default_rng(2).random((5000, 1))
    assert pearson(moments(x, 1000 + x, np.ones(x.shape, bool)))[0] == pytest.approx(1, abs=1e-6)


def test_no_positions_have_no_value() -> None:
    sums = moments(np.ones((4, 1)), np.ones((4, 1)), np.zeros((4, 1), bool))
    assert all(np.isnan(metric(sums)[0]) for metric in (pearson, mean_squared_error, mean_absolute_error))


def test_spearman_is_the_correlation_of_ranks_with_ties() -> None:
    stats = pytest.importorskip("scipy.stats")
    x, y = np.random.default_rng(3).integers(0, 20, (2, 300)).astype(float)
    y += x
    np.testing.assert_array_equal(ranks(np.array([3.0, 1.0, 3.0, 2.0])), [3.5, 1, 3.5, 2])
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_jensen_shannon_says_which() -> None:
    distance = pytest.importorskip("scipy.spatial.distance")
    p, q = np.random.default_rng(4).integers(0, 4, (2, 10, 50)).astype(float)
    expected = distance.jensenshannon(p, q, axis=-1)
    np.testing.assert_allclose(jensen_shannon_distance(p, q), expected, rtol=1e-9)
    np.testing.assert_allclose(jensen_shannon_divergence(p, 7 * q), expected**2, rtol=1e-9)
    apart = jensen_shannon_divergence(np.array([1.0, 0]), np.array([0, 5.0]))
    assert apart == pytest.approx(np.log(2))
    assert np.isnan(jensen_shannon_divergence(np.zeros(3), np.ones(3)))


def test_bootstrap_equals_resampling_the_windows_themselves(windows: list) -> None:
    both = Pooled(len(windows), 50, seed=7)
    for i, window in enumerate(windows):
        both.add(i, moments(*window))
    draws = np.random.default_rng(7).multinomial(5, np.full(5, 0.2), size=50)
    for track in range(3):
        values = []
        for draw in draws:
            x, y = pooled([windows[i] for i in np.repeat(np.arange(5), draw)], track)
            values.append(np.corrcoef(x, y)[0, 1])
        lower, upper = both.interval(pearson)
        np.testing.assert_allclose(
            [lower[track], upper[track]], np.quantile(values, [0.025, 0.975]), rtol=1e-9, err_msg="interval"
        )
        assert lower[track] < pearson(both.sums)[track] < upper[track]


def test_without_resamples_there_is_no_interval(windows: list) -> None:
    none = Pooled(len(windows), 0)
    none.add(0, moments(*windows[0]))
    assert np.isnan(none.interval(pearson)[0]).all()
    np.testing.assert_array_equal(none.sums, moments(*windows[0]))
