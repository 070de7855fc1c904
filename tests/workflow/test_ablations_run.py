"""Ablations, several students and fine-tuning at their smallest: what they study is trained, compared and reported."""

from __future__ import annotations

import copy
import csv
from pathlib import Path

import pytest
from workspace import Workspace, tiny

UNSEEN = "EFO:0002784"


def studied() -> dict:
    """The smallest demo with a model of every kind that is like another."""
    settings = copy.deepcopy(tiny())
    models = settings["models"]
    bins = {head: [32, 128] for head in ("dnase", "cage", "rna_seq")}
    models["fold_0_32bp"] = {"like": "fold_0", "resolutions": bins | {"splice_sites_classification": [32]}}
    models["fold_0_half"] = {"like": "fold_0", "training": {"pieces": 2}}
    settings["pieces"] = {"fold_0": [2], "fold_0_half": [2]}
    models["student"]["copies"] = 2
    models["student_unmutated"] = {"like": "student", "training": {"mutation_rate": 0.0, "structural_variants": 0.0}}
    models["known"] = {"organisms": ["human"], "fold": 0, "without": [UNSEEN]}
    models["scratch"] = {"organisms": ["human"], "fold": 0, "only": [UNSEEN]}
    models["tuned"] = {"like": "scratch", "start": "known", "training": {"adapter_rank": 2}}
    return settings


def rows(path: Path) -> list[dict[str, str]]:
    with open(path) as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.long
def test_everything_that_is_like_another_is_compared_with_it(tmp_path: Path) -> None:
    work = Workspace(tmp_path, studied())
    work.run("ablations")
    results = tmp_path / "results/tiny"
    compared = rows(results / "evaluation/compared.tsv")
    pairs = {(row["model"], row["base"]) for row in compared}
    assert pairs == {
        ("fold_0_32bp", "fold_0"),
        ("fold_0_half", "fold_0"),
        ("fold_0_in_2", "fold_0"),
        ("fold_0_half_in_2", "fold_0_half"),
        ("tuned", "scratch"),
    }
    types = {row["output_type"] for row in compared if row["model"] == "tuned"}
    assert {"DNASE", "ATAC", "RNA_SEQ", "CAGE"} <= types and "PROCAP" not in types and "SPLICE_SITES" not in types
    assert {row["resolution"] for row in rows(results / "evaluation/fold_0_32bp/tracks.tsv")} >= {"1", "32", "128"}
    for name in ("student", "student_unmutated"):
        for organism in ("human", "mouse"):
            table = rows(results / f"evaluation/{name}/{organism}.distillation.tsv")
            assert {row["students"] for row in table} == {"2"} and {row["student"] for row in table} == {name}
    work.run()
    page = (results / "report/index.html").read_text()
    assert 'id="ablations"' in page and "tuned, like scratch" in page and "student_unmutated" in page
