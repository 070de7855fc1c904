"""Expression of genes, and the truth of contact maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from megabase.evaluation.genes import FLOOR, ExpressedGenes
from megabase.evaluation.truth import Truth

EXONS = pd.DataFrame(
    [
        ("c", 10, 20, "+", "first"),
        ("c", 15, 30, "+", "first"),  # Another transcript: the union counts.
        ("c", 90, 130, "-", "across"),  # A quarter in the first window.
        ("c", 95, 105, "+", "half"),  # As much in either: the first window has it.
        ("d", 0, 10, "+", "elsewhere"),
    ],
    columns=["chrom", "start", "end", "strand", "gene_id"],
)
WINDOWS = pd.DataFrame([("c", 0, 100), ("c", 100, 200)], columns=["chrom", "start", "end"])
STRANDS = np.array(["+", "-", "."])


def test_a_gene_belongs_to_the_window_with_most_of_it() -> None:
    genes = ExpressedGenes(EXONS, WINDOWS)
    values = np.random.default_rng(0).random((100, 3))
    first, second = genes.levels(0, values), genes.levels(1, values)
    np.testing.assert_allclose(first, np.log([values[10:30].mean(axis=0) + FLOOR, values[95:100].mean(axis=0) + FLOOR]))
    np.testing.assert_allclose(second, np.log([values[0:30].mean(axis=0) + FLOOR]))
    assert genes.levels(5, values).shape == (0, 3)


def test_tracks_of_the_other_strand_and_masked_exons_are_left_out() -> None:
    genes = ExpressedGenes(EXONS, WINDOWS)
    usable = np.ones((100, 3), bool)
    usable[12, 2] = False
    np.testing.assert_array_equal(genes.usable(0, usable, STRANDS), [[True, False, False], [True, False, True]])
    np.testing.assert_array_equal(genes.usable(1, np.ones((100, 3), bool), STRANDS), [[False, True, True]])


def test_true_contacts_are_averaged_by_area(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    bins, offsets = 20, 6
    square = np.full((bins, bins), np.nan)
    band = np.full((bins, offsets), np.nan, np.float32)
    for i in range(bins):
        for d in range(min(offsets, bins - i)):
            band[i, d] = square[i, i + d] = square[i + d, i] = draw.normal()
    np.savez(tmp_path / "loops.npz", c=band, bin=1000)
    truth = Truth(tmp_path, ["loops"], 0)
    start = 3_500
    found = truth.contacts("c", start, start + 4096)
    for row in range(2):
        for column in range(2):
            bases = [np.arange(start + 2048 * k, start + 2048 * (k + 1)) // 1000 for k in (row, column)]
            shares = [np.bincount(one, minlength=bins) / 2048 for one in bases]
            expected = np.nansum(shares[0][:, None] * shares[1][None] * square)
            assert found[row, column, 0] == pytest.approx(expected, rel=1e-4)
    edge = truth.contacts("c", -1024, 3072)
    assert np.isnan(edge[0]).all(), "beyond the chromosome nothing is known"
    assert np.isfinite(edge[1, 1]).all()
