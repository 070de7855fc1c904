"""Families that add up windows, against the same numbers worked out over everything at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from megabase.evaluation.benchmarks.contact_maps import ContactMeasures
from megabase.evaluation.benchmarks.genes import GeneMeasures
from megabase.evaluation.benchmarks.measures import MEASURE_COLUMNS, Row, table
from megabase.evaluation.benchmarks.profiles import PeakProfiles
from megabase.evaluation.benchmarks.splice_sites import JunctionShares
from megabase.evaluation.benchmarks.windows import Coverage
from megabase.evaluation.genes import ExpressedGenes
from megabase.evaluation.observed import Observed
from megabase.evaluation.splicing import Pairs
from megabase.metrics.expression import expression_across_tracks
from megabase.metrics.polyadenylation import covr
from megabase.metrics.profiles import jensen_shannon_distance

WINDOWS, LENGTH = 5, 4096


@pytest.fixture
def draw() -> np.random.Generator:
    return np.random.default_rng(7)


def found(rows: list[Row], metric: str, predictor: str = "model") -> Row:
    (row,) = [row for row in rows if (row["metric"], row["predictor"]) == (metric, predictor)]
    return row


def test_coverage_at_32_bp(draw: np.random.Generator) -> None:
    observed = draw.poisson(1, (WINDOWS, LENGTH, 2)).astype(np.float32)
    predicted = (observed + draw.normal(size=observed.shape)).astype(np.float32)
    usable = np.ones(observed.shape, bool)
    usable[0, 40, 0] = False
    family = Coverage(WINDOWS, 30)
    for window in range(WINDOWS):
        family.add(window, "DNASE", Observed(observed[window], usable[window]), {"model": predicted[window]})
    row = found(list(family.rows()), "pearson")
    binned = [one.reshape(WINDOWS, -1, 32, 2).sum(axis=2).reshape(-1, 2) for one in (observed, predicted)]
    kept = np.arange(len(binned[0])) != 1  # The second bin holds a base that may not be used.
    expected = [
        scipy.stats.pearsonr(binned[0][kept, 0], binned[1][kept, 0]).statistic,
        scipy.stats.pearsonr(binned[0][:, 1], binned[1][:, 1]).statistic,
    ]
    assert row["value"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert (row["resolution"], row["n"]) == (32, 2) and row["lower"] < row["value"] < row["upper"]
    each = [scipy.stats.pearsonr(observed[i, :, 1], predicted[i, :, 1]).statistic for i in range(WINDOWS)]
    each += [
        scipy.stats.pearsonr(observed[i, usable[i, :, 0], 0], predicted[i, usable[i, :, 0], 0]).statistic
        for i in range(WINDOWS)
    ]
    assert found(list(family.rows()), "interval_pearson")["value"] == pytest.approx(np.mean(each), abs=1e-6)
    assert list(table(family.rows()).columns) == [name for name in MEASURE_COLUMNS if name not in
                                                  ("model", "organism", "split", "command")]  # fmt: skip


def test_chip_has_no_32_bp() -> None:
    family = Coverage(1, 0)
    family.add(0, "CHIP_TF", Observed(np.ones((32, 1)), np.ones((32, 1), bool)), {"model": np.ones((32, 1))})
    assert {row["metric"] for row in family.rows()} == {"interval_pearson"}


def test_profiles_of_peaks_alone(draw: np.random.Generator) -> None:
    observed = draw.poisson(0.01, (WINDOWS, LENGTH, 1)).astype(np.float32)
    shape = np.exp(-((np.arange(1024) - 500) ** 2) / 5000)[:, None]
    observed[:, 1024:2048] += draw.poisson(shape * draw.uniform(1, 3, (WINDOWS, 1, 1)))
    predicted = observed + draw.gamma(1, 0.2, observed.shape)
    usable = np.ones(observed.shape, bool)
    usable[2, 1500] = False  # A peak that may not be used whole.
    family = PeakProfiles(WINDOWS, 20, {"DNASE": np.array([4.0])})
    for window in range(WINDOWS):
        family.add(window, "DNASE", Observed(observed[window], usable[window]), {"model": predicted[window]})
        family.add(window, "CAGE", Observed(observed[window], usable[window]), {"model": predicted[window]})
    rows = list(family.rows())
    kept = [0, 1, 3, 4]
    peaks = observed[kept, 1024:2048, 0], predicted[kept, 1024:2048, 0]
    assert found(rows, "profile_jsd")["value"] == pytest.approx(np.median(jensen_shannon_distance(*peaks)), abs=1e-5)
    totals = [np.log1p(one.sum(axis=1, dtype=float)) for one in peaks]
    assert found(rows, "count_pearson")["value"] == pytest.approx(scipy.stats.pearsonr(*totals).statistic, abs=1e-5)
    assert {row["output_type"] for row in rows} == {"DNASE"} and found(rows, "profile_jsd")["n"] == 4


def test_genes_and_their_ends(draw: np.random.Generator) -> None:
    windows = pd.DataFrame(
        {"chrom": "chr1", "start": np.arange(WINDOWS) * LENGTH, "end": np.arange(1, WINDOWS + 1) * LENGTH}
    )
    strands = ["+", "-"] * 3
    tracks = pd.DataFrame({"track": ["a", "a", "b", "b", "c", "c"], "strand": strands})
    genes, sites = [], []
    for window in range(WINDOWS):
        for strand, start in (("+", 100), ("-", 2000)):
            name, first = f"g{window}{strand}", window * LENGTH + start
            genes.append(("chr1", first, first + 1500, strand, name, "t"))
            sites += [("chr1", first + at, strand, name, f"{name}{at}") for at in (600, 1200)]
    exons = pd.DataFrame(genes, columns=["chrom", "start", "end", "strand", "gene_id", "transcript_id"])
    polya = pd.DataFrame(sites, columns=["chrom", "position", "strand", "gene_id", "pas_id"])
    observed = draw.gamma(1, 1, (WINDOWS, 1, 6)) * draw.gamma(2, 1, (WINDOWS, LENGTH, 6))
    predicted = observed * draw.gamma(20, 0.05, (WINDOWS, LENGTH, 6))
    expressed = ExpressedGenes(exons, windows)
    family = GeneMeasures(expressed, polya, windows, tracks, 20)
    for window in range(WINDOWS):
        family.add(
            window, "RNA_SEQ", Observed(observed[window], np.ones((LENGTH, 6), bool)), {"model": predicted[window]}
        )
    rows = list(family.rows())
    levels: dict[str, list] = {"x": [], "y": []}
    ratios: dict[str, list] = {"x": [], "y": []}
    for window in range(WINDOWS):
        for strand, start in (("+", 100), ("-", 2000)):
            own = np.arange(6) % 2 == (strand == "-")
            for name, values in (("x", observed), ("y", predicted)):
                levels[name].append(np.log(values[window, start : start + 1500][:, own].mean(axis=0) + 1e-3))
                spans = [slice(start + at - 399, start + at + 1) for at in (600, 1200)]
                if strand == "-":
                    spans = [slice(start + at, start + at + 400) for at in (1200, 600)]
                ratios[name].append(covr(np.array([values[window, span][:, own].sum() for span in spans])))
    expected = expression_across_tracks(np.array(levels["x"]), np.array(levels["y"]))
    assert found(rows, "gene_across_tracks")["value"] == pytest.approx(expected, abs=1e-6)
    raw = [scipy.stats.pearsonr(np.array(levels["x"])[:, t], np.array(levels["y"])[:, t]).statistic for t in range(3)]
    assert found(rows, "gene_raw")["value"] == pytest.approx(np.mean(raw), abs=1e-6)
    rho = scipy.stats.spearmanr(ratios["x"], ratios["y"]).statistic
    assert found(rows, "covr_spearman")["value"] == pytest.approx(rho, abs=1e-6)
    assert found(rows, "covr_spearman")["n"] == 2 * WINDOWS


def test_contact_maps_and_their_difference(draw: np.random.Generator) -> None:
    observed = draw.normal(size=(WINDOWS, 60, 2))
    predicted = observed + draw.normal(size=observed.shape)
    usable = np.ones(observed.shape, bool)
    usable[1, :20, 1] = False  # A third of one map is missing.
    family = ContactMeasures(WINDOWS, 20)
    for window in range(WINDOWS):
        family.add(window, "CONTACT_MAPS", Observed(observed[window], usable[window]), {"model": predicted[window]})
    rows = list(family.rows())
    each = [
        [
            scipy.stats.pearsonr(observed[i, usable[i, :, t], t], predicted[i, usable[i, :, t], t]).statistic
            for t in (0, 1)
        ]
        for i in range(WINDOWS)
    ]
    assert found(rows, "contact_pearson")["value"] == pytest.approx(np.mean(each), abs=1e-6)
    kept = [0, 2, 3, 4]
    x, y = (np.ravel(one[kept, :, 1] - one[kept, :, 0]) for one in (observed, predicted))
    assert found(rows, "contact_difference")["value"] == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-6)


def test_shares_of_junctions() -> None:
    donor, acceptor = np.array([0, 0, 1, 1, 0, 0]), np.array([0, 1, 0, 1, 0, 1])
    strand = np.array([0, 0, 0, 0, 1, 1])
    pairs = Pairs(strand, donor, acceptor, np.zeros((6, 2), np.int32))  # type: ignore[arg-type]
    reads = np.array([[6.0], [2], [0], [4], [1], [3]])
    predicted = np.array([[5.0], [5], [9], [1], [1], [4]])
    family = JunctionShares(2, 10)
    family.add(0, pairs, reads, {"model": predicted})
    rows = list(family.rows())
    x, y = [0.75, 0.25, 1, 0.25, 0.75], [0.5, 0.5, 1, 0.2, 0.8]
    assert found(rows, "psi5_pearson")["value"] == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-6)
    x, y = [1, 2 / 6, 4 / 6, 1, 1], [1, 5 / 6, 1 / 6, 1, 1]
    assert found(rows, "psi3_pearson")["value"] == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-6)
    assert found(rows, "psi5_pearson")["n"] == 5, "a pair without reads is no junction"
