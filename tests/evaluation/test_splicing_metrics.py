"""Held-out splicing on windows whose sites, use and junctions are written out here."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from megabase.errors import InputError
from megabase.evaluation.config import EvaluationConfig
from megabase.evaluation.splicing import JUNCTIONS, SITES, USAGE, SplicingScores, candidate_pairs, gt_ag
from megabase.evaluation.truth import SplicingTruth

LENGTH, SLOTS = 2048, 8
CURIES = ["A:1", "B:2"]
TRACKS = {
    SITES: pd.DataFrame({"track": ["donor", "acceptor"] * 2, "strand": list("++--")}),
    USAGE: pd.DataFrame({"track": ["a", "b"] * 2, "strand": list("++--")}),
    JUNCTIONS: pd.DataFrame({"track": ["a", "b"], "strand": [".", "."]}),
}
INTRONS = [
    ("+", 300, 500, (4.0, 0.0)),
    ("+", 600, 900, (2.0, 6.0)),
    ("-", 1200, 1500, (0.0, 3.0)),
    ("-", 1600, 1700, (9.0, 1.0)),
]
"""strand, start, end, reads by tissue."""


@dataclasses.dataclass
class Example:
    sequence: np.ndarray
    targets: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]
    splice_site_positions: np.ndarray


def sites(strand: str, start: int, end: int) -> tuple[int, int]:
    """Exonic donor and acceptor of an intron."""
    return (start - 1, end) if strand == "+" else (end, start - 1)


def example(scale: float = 1.0, moved: int = 0) -> Example:
    draw = np.random.default_rng(moved)
    classes = np.zeros((LENGTH, 5), bool)
    usage = np.zeros((LENGTH, 4), np.float32)
    for number, (strand, start, end, reads) in enumerate(INTRONS):
        for kind, at in enumerate(sites(strand, start + moved, end + moved)):
            classes[at, 2 * (strand == "-") + kind] = True
            usage[at, 2 * (strand == "-") :][:2] = [
                0.3 * number + 0.1 * kind,
                reads[1] / 8 + 0.05 * number + 0.1 * kind,
            ]
    positions = np.full((4, SLOTS), -1, np.int32)
    for kind in range(4):
        found = np.flatnonzero(classes[:, kind])
        positions[kind, : len(found)] = found
    classes[:, 4] = ~classes.any(axis=1)
    joined = np.zeros((SLOTS, SLOTS, 4), np.float32)
    for strand, start, end, reads in INTRONS:
        half = 2 * (strand == "-")
        donor, acceptor = sites(strand, start + moved, end + moved)
        row, column = (list(positions[half + kind]).index(at) for kind, at in enumerate((donor, acceptor)))
        joined[row, column, half : half + 2] = np.array(reads) * scale
    names = ("splice_sites_classification", "splice_sites_usage", "splice_sites_junction")
    masks = dict(
        zip(names, (np.ones((LENGTH, 1), bool), np.ones((LENGTH, 1), bool), np.ones((1, 1, 1), bool)), strict=True)
    )
    codes = draw.integers(0, 4, LENGTH).astype(np.uint8)
    return Example(codes, dict(zip(names, (classes, usage, joined), strict=True)), masks, positions)


def place(start: int = 0) -> pd.Series:
    return pd.Series({"chrom": "c", "start": start, "end": start + LENGTH})


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Twice the reads that were observed, at the same places, in windows that begin at 10,000."""
    rows = {"SPLICE_SITES": [], "SPLICE_SITE_USAGE": [], "SPLICE_JUNCTIONS": []}
    usage = example().targets["splice_sites_usage"]
    for strand, start, end, reads in INTRONS:
        for kind, at in zip(("donor", "acceptor"), sites(strand, start, end), strict=True):
            rows["SPLICE_SITES"].append(("c", at + 10_000, strand, kind, sum(reads)))
            for column, curie in enumerate(CURIES):
                share = usage[at, 2 * (strand == "-") + column]
                rows["SPLICE_SITE_USAGE"].append(("c", at + 10_000, strand, kind, curie, share))
        for curie, count in zip([*CURIES, "C:3"], [*reads, 99.0], strict=True):
            rows["SPLICE_JUNCTIONS"].append(("c", start + 10_000, end + 10_000, strand, curie, 2 * count))
    columns = {
        "SPLICE_SITES": "chrom position strand kind score",
        "SPLICE_SITE_USAGE": "chrom position strand kind curie value",
        "SPLICE_JUNCTIONS": "chrom start end strand curie value",
    }
    for name, values in rows.items():
        pd.DataFrame(values, columns=columns[name].split()).to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def perfect(own: Example) -> dict[str, np.ndarray]:
    return {
        SITES: own.targets["splice_sites_classification"][:, :4] * 0.9 + 0.01,
        USAGE: own.targets["splice_sites_usage"].copy(),
        JUNCTIONS: own.targets["splice_sites_junction"].copy(),
    }


def scored(predict=perfect, truth: SplicingTruth | None = None) -> pd.DataFrame:
    scores = SplicingScores(TRACKS, 2, EvaluationConfig(bootstrap=10))
    for moved in (0, 7, 40):
        scores.fit(example(moved=moved), None if moved else truth, place(10_000))
    scores.finish_fit()
    for window in range(2):
        own = example()
        scores.add(window, own, predict(own), truth, place(10_000))
    return scores.table()


def values(table: pd.DataFrame, bundle: str, predictor: str, metric: str) -> np.ndarray:
    rows = table[(table["output_type"] == bundle) & (table["predictor"] == predictor) & (table["metric"] == metric)]
    return rows["value"].to_numpy()


def test_a_perfect_model_is_perfect_and_the_baselines_are_not() -> None:
    table = scored()
    np.testing.assert_allclose(values(table, SITES, "model", "auprc"), 1)
    np.testing.assert_allclose(values(table, USAGE, "model", "pearson"), 1, atol=1e-6)
    np.testing.assert_allclose(values(table, JUNCTIONS, "model", "auprc"), 1)
    assert values(table, JUNCTIONS, "model", "log1p_pearson")[0] == pytest.approx(1)
    np.testing.assert_allclose(values(table, SITES, "track_mean", "auprc"), [2 / LENGTH] * 4)
    assert (values(table, SITES, "local_gc", "auprc") < 0.2).all()
    assert (values(table, USAGE, "track_mean", "pearson") == 0).all()
    # Donors at 299, 599; acceptors at 500, 900: three of four pairs lie in reading direction, on the minus strand too.
    np.testing.assert_allclose(values(table, JUNCTIONS, "track_mean", "auprc"), [3 / 6, 3 / 6])
    rows = table[(table["output_type"] == JUNCTIONS) & (table["metric"] == "auprc") & (table["predictor"] == "model")]
    assert list(rows["n"]) == [6, 6], "three junctions of each tissue in either window"
    rows = table[(table["output_type"] == USAGE) & (table["predictor"] == "model")]
    assert list(rows["n"]) == [8, 8, 8, 8], "sites of the track's own strand"


def test_swapped_strands_drop_every_number() -> None:
    def swapped(own: Example) -> dict[str, np.ndarray]:
        right = perfect(own)
        return {
            SITES: right[SITES][:, [2, 3, 0, 1]],
            USAGE: right[USAGE][:, [2, 3, 0, 1]],
            JUNCTIONS: right[JUNCTIONS][..., [2, 3, 0, 1]],
        }

    table = scored(swapped)
    assert (values(table, SITES, "model", "auprc") < 0.01).all()
    assert (values(table, USAGE, "model", "pearson") == 0).all()
    assert (values(table, JUNCTIONS, "model", "auprc") < 0.75).all(), "the right strand has 1"


def test_the_oracle_reads_the_truth_at_the_window(truth: Path) -> None:
    table = scored(truth=SplicingTruth(truth, CURIES))
    np.testing.assert_allclose(values(table, SITES, "oracle", "auprc"), 1)
    np.testing.assert_allclose(values(table, USAGE, "oracle", "pearson"), 1, atol=1e-6)
    np.testing.assert_allclose(values(table, JUNCTIONS, "oracle", "auprc"), 1)
    rows = table[(table["predictor"] == "oracle") & (table["metric"] == "log1p_pearson")]
    assert list(rows["value"]) == pytest.approx([1, 1], abs=1e-6), "twice the reads are as good"
    own = example()
    known = SplicingTruth(truth, CURIES)
    np.testing.assert_allclose(
        known.junctions("c", 10_000, own.splice_site_positions), 2 * own.targets["splice_sites_junction"]
    )
    assert not known.junctions("other", 10_000, own.splice_site_positions).any()
    assert not known.sites("c", 0, LENGTH).any()
    (truth / "SPLICE_SITES.parquet").unlink()
    with pytest.raises(InputError, match=r"SPLICE_SITES\.parquet: no true splicing"):
        SplicingTruth(truth, CURIES)


def test_pairs_go_in_reading_direction() -> None:
    pairs = candidate_pairs(np.array([[10, 50, -1], [30, 70, -1], [20, 90, -1], [5, 40, -1]], np.int32))
    found = {(int(side), *map(int, ends)) for side, ends in zip(pairs.strand, pairs.places, strict=True)}
    assert found == {(0, 10, 30), (0, 10, 70), (0, 50, 70), (1, 20, 5), (1, 90, 5), (1, 90, 40)}
    marked = np.arange(3 * 3 * 4).reshape(3, 3, 4)
    row = list(map(tuple, pairs.places.tolist())).index((90, 40))
    np.testing.assert_array_equal(pairs.of(marked)[row], marked[1, 1, 2:])


def test_dinucleotides_are_beside_the_exonic_base() -> None:
    text = "CCAGTCCTTAGCCCTCCACC"
    codes = np.array(["ACGT".index(base) for base in text], np.uint8)
    found = gt_ag(codes)
    assert list(np.flatnonzero(found[:, 0])) == [i - 1 for i in range(len(text)) if text.startswith("GT", i)]
    assert list(np.flatnonzero(found[:, 1])) == [i + 2 for i in range(len(text)) if text.startswith("AG", i)]
    assert list(np.flatnonzero(found[:, 2])) == [i + 2 for i in range(len(text)) if text.startswith("AC", i)]
    assert list(np.flatnonzero(found[:, 3])) == [i - 1 for i in range(len(text)) if text.startswith("CT", i)]
