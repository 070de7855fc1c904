"""The paper's filters (sections 1.4 and 1.5), one rule at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from megabase.errors import InputError
from megabase.portals.config import Query
from megabase.portals.filters import best_files, frip, priority, read_audits, rejected, treated

AUDITS = {"ERROR": {"*"}, "NOT_COMPLIANT": {"severe bottlenecking"}}
FILE: dict[str, Any] = {
    "accession": "ENCFF000AAA",
    "status": "released",
    "date_created": "2021-05-20T00:00:00",
    "mapped_read_length": 76,
    "quality_metrics": [{"frip": 0.3}],
    "output_type": "alignments",
    "biological_replicates": [1],
    "technical_replicates": ["1_1"],
}
EXPERIMENT: dict[str, Any] = {"status": "released", "simple_biosample_summary": "", "perturbed": False}


def audits(level: str, *categories: str) -> dict[str, Any]:
    return {"audit": {level: [{"category": category} for category in categories]}}


def biosample(**changed: Any) -> dict[str, Any]:
    return {"replicates": [{"library": {"biosample": changed}}]}


def why(bundle: str, file: dict[str, Any], experiment: dict[str, Any], **query: Any) -> str:
    asked = Query(portal="encode", bundle=bundle, **query)
    return rejected(FILE | file, EXPERIMENT | experiment, asked, AUDITS)


@pytest.mark.parametrize("bundle", ["DNASE", "ATAC", "RNA_SEQ", "CHIP_TF", "CHIP_HISTONE", "PROCAP"])
def test_what_the_paper_keeps_is_kept(bundle: str) -> None:
    assert why(bundle, {}, {}) == ""
    assert why(bundle, {}, audits("WARNING", "severe bottlenecking")) == ""
    assert why(bundle, {}, audits("NOT_COMPLIANT", "mild bottlenecking")) == ""
    assert why(bundle, {}, {"simple_biosample_summary": "untreated male adult (53 years)"}) == ""


@pytest.mark.parametrize(
    ("bundle", "file", "experiment", "says"),
    [
        ("DNASE", {"status": "revoked"}, {}, "status revoked"),
        ("DNASE", {}, {"status": "archived"}, "status archived"),
        ("RNA_SEQ", {"date_created": "2019-12-31T23:59:59"}, {}, "processed too long ago"),
        ("RNA_SEQ", {}, {"simple_biosample_summary": "treated with 1 μM dexamethasone"}, "treated"),
        ("RNA_SEQ", {}, {"perturbed": True}, "treated"),
        ("RNA_SEQ", {}, biosample(treatments=[{"treatment_term_name": "hemin"}]), "treated"),
        ("RNA_SEQ", {}, biosample(phase="G1"), "arrested in the cell cycle"),
        ("RNA_SEQ", {}, {"simple_biosample_summary": "arrested in G2 phase"}, "arrested in the cell cycle"),
        ("CHIP_HISTONE", {}, biosample(genetic_modifications=["x"]), "genetically modified"),
        ("CHIP_TF", {}, biosample(genetic_modifications=["x"]), ""),
        ("DNASE", {"mapped_read_length": 35}, {}, "reads shorter than 36 bp"),
        ("DNASE", {"mapped_read_length": 36}, {}, ""),
        ("ATAC", {"mapped_read_length": 44}, {}, "reads shorter than 45 bp"),
        ("RNA_SEQ", {"mapped_read_length": 49}, {}, "reads shorter than 50 bp"),
        ("DNASE", {"quality_metrics": [{"frip": 0.1}]}, {}, "FRiP not above 0.1"),
        ("DNASE", {"quality_metrics": []}, {}, ""),
        ("RNA_SEQ", {}, audits("ERROR", "anything"), "critical audit"),
        ("RNA_SEQ", {}, audits("NOT_COMPLIANT", "severe bottlenecking"), "critical audit"),
        # ChIP: audit passed, or enough reads in peaks.
        ("CHIP_TF", {"quality_metrics": [{"frip": 0.02}]}, audits("ERROR", "anything"), ""),
        ("CHIP_TF", {"quality_metrics": [{"frip": 0.01}]}, audits("ERROR", "anything"), "critical audit"),
        ("CHIP_TF", {"quality_metrics": []}, audits("ERROR", "anything"), "critical audit"),
        ("CHIP_TF", {"quality_metrics": [{"frip": 0.001}]}, {}, ""),
        ("CHIP_HISTONE", {"quality_metrics": [{"frip": 0.05}]}, audits("ERROR", "x"), "critical audit"),
    ],
)
def test_what_the_paper_leaves_out(bundle: str, file: dict, experiment: dict, says: str) -> None:
    assert why(bundle, file, experiment) == says


def test_thresholds_come_from_the_query_where_it_has_them() -> None:
    assert why("DNASE", {"mapped_read_length": 20}, {}, min_read_length=20) == ""
    assert why("DNASE", {}, {}, min_frip=0.3) == "FRiP not above 0.3"
    assert why("DNASE", {"quality_metrics": []}, {}, keep_unknown_frip=False) == "FRiP not above 0.1"
    assert why("RNA_SEQ", {"date_created": "2010-01-01"}, {}, processed_since=None) == ""
    assert why("RNA_SEQ", {}, audits("ERROR", "x"), audited=False) == ""
    assert why("RNA_SEQ", {}, {"perturbed": True}, baseline=False) == ""


def test_one_file_of_the_most_complete_set_then_the_latest() -> None:
    def file(accession: str, replicates: list[int], day: str) -> dict[str, Any]:
        names = [f"{number}_1" for number in replicates]
        return FILE | {
            "accession": accession,
            "biological_replicates": replicates,
            "technical_replicates": names,
            "date_created": day,
        }

    files = [file("a", [1, 2], "2021"), file("b", [1, 2], "2022"), file("c", [1], "2024"), file("d", [2], "2023")]
    assert [one["accession"] for one in best_files(files, per_replicate=False)] == ["b"]
    assert [one["accession"] for one in best_files(files, per_replicate=True)] == ["b", "c", "d"]
    assert best_files(files[::-1], per_replicate=False) == best_files(files, per_replicate=False)


def test_the_order_of_experiments() -> None:
    """Non-modified, audit, paired ends, kind of sample, life stage, whole cells (paper section 1.4)."""
    ontology = {"biosample_ontology": {"classification": "tissue"}, "life_stage_age": "adult 53 years"}
    first = EXPERIMENT | ontology
    paired = FILE | {"mapped_run_type": "paired-ended"}
    best = priority(first, paired)
    worse = [
        (first | biosample(subcellular_fraction_term_name="nucleus"), paired),
        (first | {"life_stage_age": "child 3 years"}, paired),
        (first | {"biosample_ontology": {"classification": "organoid"}}, paired),
        (first, FILE | {"mapped_run_type": "single-ended"}),
        (first | audits("WARNING", "x"), paired),
        (first | audits("NOT_COMPLIANT", "x"), paired),
        (first | biosample(genetic_modifications=["x"]), paired),
    ]
    ranks = [best, *(priority(*pair) for pair in worse)]
    assert ranks == sorted(ranks) and len(set(ranks)) == len(ranks)


def test_fractions_of_reads_in_peaks_are_found_by_any_spelling() -> None:
    assert frip({"quality_metrics": [{"FRiP": 0.1}, {"frip": 0.2}, {"other": 1}, "/metrics/1/"]}) == 0.2
    assert frip({}) is None


@pytest.mark.parametrize("text", ["treated with hemin, 24hr", "stimulated with LPS", "after infected"])
def test_treatments_in_words(text: str) -> None:
    assert treated(text) and not treated("untreated") and not treated("not treated with anything")


def test_the_table_of_audits(tmp_path: Path) -> None:
    table = read_audits()
    assert table["ERROR"] == {"*"} and "severe bottlenecking" in table["NOT_COMPLIANT"]
    with pytest.raises(InputError, match=r"correct portals\.audits"):
        read_audits(tmp_path / "none.tsv")
