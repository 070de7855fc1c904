"""Baselines against their definitions, worked out the slow way."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from megabase.evaluation.baselines import ContactBaselines, NormalEquations, composition, gc_columns
from megabase.evaluation.leakage import overlapping
from megabase.evaluation.loci import pick_loci
from megabase.evaluation.observed import Observed, pair_rows


def test_composition_counts_what_is_there() -> None:
    codes = np.random.default_rng(0).choice(5, 1024, p=[0.2, 0.3, 0.2, 0.2, 0.1]).astype(np.uint8)
    codes[:256] = 4
    features = composition(codes, [128, 512])
    for bin_number in range(8):
        expected = []
        for width in (128, 512):
            centre = 128 * bin_number + 64
            piece = codes[max(centre - width // 2, 0) : centre + width // 2]
            known = piece[piece < 4]
            expected.append(np.isin(known, (1, 2)).mean() if len(known) else 0)
            pairs = [(a, b) for a, b in itertools.pairwise(piece) if a < 4 and b < 4]
            expected += [sum(pair == (a, b) for pair in pairs) / max(len(pairs), 1) for a in range(4) for b in range(4)]
        np.testing.assert_allclose(features[bin_number], expected, rtol=1e-5)
    np.testing.assert_array_equal(gc_columns([128, 512]), [0, 17])


@pytest.mark.parametrize("columns", [slice(None), np.array([0, 2])])
def test_ridge_is_ridge_with_each_tracks_own_mask(columns: slice | np.ndarray) -> None:
    draw = np.random.default_rng(1)
    x = draw.random((300, 4))
    x[:, 3] = 0.5  # A constant column must not matter.
    y = (x @ draw.normal(size=(4, 3)) + draw.normal(size=(300, 3))).astype(np.float32)
    usable = draw.random(y.shape) < 0.7
    usable[:, 1] = usable[:, 0]
    y[~usable] = np.nan
    equations = NormalEquations(4, 3)
    for part in (slice(0, 100), slice(100, 300)):
        equations.add(x[part], Observed(y[part], usable[part]))
    fitted = equations.ridge(columns, 2.0)
    for track in range(3):
        a, b = x[usable[:, track]][:, columns], y[usable[:, track], track].astype(float)
        spread = a.std(axis=0)
        z = (a - a.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
        slopes = np.linalg.solve(z.T @ z + 2.0 * np.eye(z.shape[1]), z.T @ (b - b.mean()))
        expected = b.mean() + z @ slopes
        np.testing.assert_allclose(a @ fitted[1:][columns, track] + fitted[0, track], expected, rtol=1e-5)
        assert equations.mean[track] == pytest.approx(b.mean(), rel=1e-6)


def test_a_track_without_training_data_is_predicted_as_zero() -> None:
    equations = NormalEquations(2, 1)
    equations.add(np.ones((5, 2)), Observed(np.full((5, 1), np.nan, np.float32), np.zeros((5, 1), bool)))
    assert (equations.ridge(slice(None), 1.0) == 0).all()
    assert equations.mean[0] == 0


def test_contacts_are_averaged_at_each_distance() -> None:
    draw = np.random.default_rng(2)
    codes = draw.integers(0, 4, (4, 640)).astype(np.uint8)
    maps = draw.normal(size=(4, 5, 5, 1)).astype(np.float32)
    maps[:, 0, 4] = np.nan
    maps[0, 1, 2] = np.nan
    maps[:, range(5), range(5)] = 1000  # The diagonal must not matter.
    baselines = ContactBaselines(5, 1, 1.0)
    for square, sequence in zip(maps, codes, strict=True):
        rows = pair_rows(square)
        baselines.add(sequence, Observed(rows, np.isfinite(rows)))
    upper = np.concatenate([square[np.triu_indices(5, 1)] for square in maps])
    predicted = baselines.predict(codes[0])
    near = np.nanmean([square[i, i + 1] for square in maps for i in range(4)])
    assert predicted["distance"][0, 0] == pytest.approx(near, rel=1e-5)
    assert predicted["distance"][3, 0] == pytest.approx(np.nanmean(upper), rel=1e-5), "a distance never seen"
    assert predicted["track_mean"][0, 0] == pytest.approx(np.nanmean(upper), rel=1e-5)


def test_contacts_follow_the_composition_of_both_bins() -> None:
    draw = np.random.default_rng(3)
    baselines, shown = ContactBaselines(8, 1, 1e-3), []
    for _ in range(20):
        codes = np.concatenate(
            [draw.choice(4, 128, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]) for gc in draw.random(8)]
        )
        gc = np.isin(codes, (1, 2)).reshape(8, 128).mean(axis=1)
        apart = np.abs(np.subtract.outer(range(8), range(8)))
        square = gc[:, None] + gc[None] - np.log(np.maximum(apart, 1))
        rows = pair_rows(square[..., None].astype(np.float32))
        baselines.add(codes.astype(np.uint8), Observed(rows, np.isfinite(rows)))
        shown.append((codes.astype(np.uint8), rows))
    codes, rows = shown[-1]
    np.testing.assert_allclose(baselines.predict(codes)["local_gc"], rows, atol=0.01)
    assert not np.allclose(baselines.predict(codes)["distance"], rows, atol=0.1)


def test_overlaps_are_found_behind_a_long_window() -> None:
    train = pd.DataFrame([("a", 0, 900), ("a", 100, 200), ("b", 0, 900)], columns=["chrom", "start", "end"])
    windows = [("a", 900, 1000), ("c", 0, 900), ("a", 899, 1000), ("b", -50, 0), ("b", -50, 1)]
    test = pd.DataFrame(windows, columns=["chrom", "start", "end"])
    assert list(overlapping(train, test)) == [False, False, True, False, True]


def test_loci_are_rich_in_everything_and_spread_out() -> None:
    windows = pd.DataFrame([("a", 100 * i, 100 * i + 100) for i in range(10)], columns=["chrom", "start", "end"])
    totals = np.stack([np.arange(10.0), np.arange(10.0) * 1000, np.arange(10.0) / 7], axis=1)
    totals[0] = [100, 0, 0]  # Much of one bundle, nothing of the other.
    assert pick_loci(windows, totals, 3) == [9, 7, 5]
    assert pick_loci(windows, totals, 10) == [9, 7, 5, 0, 3, 8, 6, 4, 2, 1]
