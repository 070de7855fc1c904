"""Planted variants against controls: which rows of the table count, and what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from megabase.errors import InputError
from megabase.evaluation.config import EvaluationConfig
from megabase.evaluation.distillation import COLUMNS as STUDENT_COLUMNS
from megabase.evaluation.distillation import compare_student
from megabase.evaluation.planted import read_planted
from megabase.evaluation.summary import gather
from megabase.evaluation.variants import COLUMNS, evaluate_variants, variant_scores

CONFIG = EvaluationConfig(variant_bootstrap=50)
N = 12
EFFECTS = np.round(np.linspace(-2, 2.1, N), 3)


def write_vcf(folder: Path, modality: str, info: str, controls: str = "") -> Path:
    """N planted variants, as many controls and quiet ones; these name no place of their own unless `controls` does."""
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for number, effect in enumerate(EFFECTS):
        start = f"chr1\t{100 + number}"
        own = f"ROLE=planted;MODALITY={modality};EFFECT={effect:.3f};{info}"
        lines.append(f"{start}\tp{number}\tA\tC\t.\tPASS\t{own}")
        for role in ("control", "quiet"):
            other = f"ROLE={role};MODALITY={modality};EFFECT=0;MATCH=p{number}{controls}"
            lines.append(f"{start}\t{role[0]}{number}\tA\tC\t.\tPASS\t{other}")
    path = folder / "variants.vcf"
    path.write_text("\n".join(lines) + "\n")
    return path


def row(variant: str, scorer: str, score: float, curie: str = "A:1", target: str = "", gene: str | None = None) -> dict:
    return {
        "variant_id": variant,
        "scorer": scorer,
        "raw_score": score,
        "ontology_curie": curie,
        "target": target,
        "gene_id": gene,
    }


def write_scores(folder: Path, rows: list[dict], name: str = "scores") -> Path:
    path = folder / f"{name}.parquet"
    pd.DataFrame(rows).astype({"scorer": "category", "gene_id": "category"}).to_parquet(path)
    return path


def rows_of(scorer: str, planted: np.ndarray, control: np.ndarray, **where: str) -> list[dict]:
    made = [row(f"p{number}", scorer, float(score), **where) for number, score in enumerate(planted)]
    return made + [row(f"c{number}", scorer, float(score), **where) for number, score in enumerate(control)]


def evaluated(folder: Path, scores: Path, vcf: Path) -> pd.DataFrame:
    evaluate_variants(scores, vcf, folder / "out.tsv", CONFIG, model="student", organism="demo", command="again")
    table = pd.read_csv(folder / "out.tsv", sep="\t")
    assert list(table.columns) == COLUMNS
    return table


def value(table: pd.DataFrame, scorer: str, metric: str, column: str = "value") -> float:
    (found,) = table[(table["scorer"] == scorer) & (table["metric"] == metric)][column]
    return found


def test_signed_scores_are_judged_by_size_order_and_sign(tmp_path: Path) -> None:
    vcf = write_vcf(tmp_path, "accessibility", "CURIE=A:1")
    wrong = EFFECTS.copy()
    wrong[0] *= -1
    rows = rows_of("DNASE", wrong, 0.15 * EFFECTS)
    rows += rows_of("DNASE", 100 * np.ones(N), 100 * np.ones(N), curie="B:2")  # Another biosample.
    rows += rows_of("DNASE_ACTIVE", 10 + np.abs(EFFECTS), np.full(N, 20.0))
    rows += [row(f"q{number}", "DNASE_ACTIVE", 1.0) for number in range(N)]
    rows += rows_of("ATAC", EFFECTS, EFFECTS, curie="B:2")  # No track of the biosample.
    rows += rows_of("CAGE", EFFECTS, EFFECTS)  # Not of this modality.
    table = evaluated(tmp_path, write_scores(tmp_path, rows), vcf)
    assert set(table["scorer"]) == {"DNASE", "DNASE_ACTIVE"}
    assert value(table, "DNASE", "sign_accuracy") == pytest.approx(11 / 12, rel=1e-5)
    expected = np.mean([(a > b) + 0.5 * (a == b) for a in np.abs(wrong) for b in np.abs(0.15 * EFFECTS)])
    assert value(table, "DNASE", "auroc") == pytest.approx(expected, rel=1e-5)
    assert 0 < value(table, "DNASE", "spearman") < 1
    assert value(table, "DNASE", "auroc", "lower") < expected <= value(table, "DNASE", "auroc", "upper")
    assert value(table, "DNASE_ACTIVE", "spearman") == pytest.approx(1), "sizes are compared with sizes"
    assert value(table, "DNASE_ACTIVE", "auroc") == 1, "told from quiet places, not from controls"
    assert dict(zip(table["scorer"], table["against"], strict=True)) == {"DNASE": "control", "DNASE_ACTIVE": "quiet"}
    assert "sign_accuracy" not in set(table[table["scorer"] == "DNASE_ACTIVE"]["metric"])
    assert set(table["n_planted"]) == set(table["n_control"]) == {N}


def test_targets_and_genes_are_matched_and_the_strongest_row_counts(tmp_path: Path) -> None:
    vcf = write_vcf(tmp_path, "binding", "CURIE=A:1;TARGET=CTCF")
    rows = rows_of("CHIP_TF", EFFECTS, np.zeros(N), target="CTCF")
    rows += rows_of("CHIP_TF", 0.1 * EFFECTS, np.zeros(N), target="CTCF")
    rows += rows_of("CHIP_TF", 9 * np.ones(N), 9 * np.ones(N), target="GATA1")
    scores = variant_scores(write_scores(tmp_path, rows), vcf).set_index("variant_id")
    assert [scores["score"][f"p{i}"] for i in range(N)] == pytest.approx(list(EFFECTS))
    assert (scores["score"][[f"c{i}" for i in range(N)]] == 0).all()
    assert not scores["imputed"].any()

    vcf = write_vcf(tmp_path, "expression", "CURIE=A:1;GENE=g1", controls=";GENE=g2")
    rows = rows_of("RNA_SEQ", EFFECTS, np.full(N, 7.0), gene="g1") + rows_of("RNA_SEQ", 5 * EFFECTS, EFFECTS, gene="g3")
    table = variant_scores(write_scores(tmp_path, rows), vcf).set_index("variant_id")
    assert table["score"]["p0"] == EFFECTS[0]
    assert table["score"]["c0"] == 0, "a control's own gene counts, and it was not scored"
    assert table["imputed"].sum() == N


def test_the_composite_adds_the_largest_of_all_tissues(tmp_path: Path) -> None:
    vcf = write_vcf(tmp_path, "splicing", "CURIE=A:1;GENE=g")
    rows = rows_of("SPLICE_SITES", np.full(N, 0.25), np.zeros(N), curie="", gene="g")
    rows += rows_of("SPLICE_SITES", np.full(N, 0.5), np.zeros(N), curie="", gene="g")
    rows += rows_of("SPLICE_SITE_USAGE", np.full(N, 0.1), np.zeros(N), gene="g")
    rows += rows_of("SPLICE_SITE_USAGE", np.full(N, 0.3), np.zeros(N), curie="B:2", gene="g")
    rows += rows_of("SPLICE_JUNCTIONS", np.full(N, 2.0), np.zeros(N), gene="g")
    table = variant_scores(write_scores(tmp_path, rows), vcf)
    scores = table[table["variant_id"] == "p3"].set_index("scorer")["score"]
    assert scores["SPLICE_COMPOSITE"] == pytest.approx(0.5 + 0.3 + 2 / 5)
    assert scores["SPLICE_SITE_USAGE"] == pytest.approx(0.1)
    assert (evaluated(tmp_path, tmp_path / "scores.parquet", vcf).query("metric == 'auroc'")["value"] == 1).all()


def test_the_sign_of_usage_is_judged_in_the_gene_and_tissue_of_the_variant(tmp_path: Path) -> None:
    vcf = write_vcf(tmp_path, "splicing", "CURIE=A:1;GENE=g")
    wrong = EFFECTS.copy()
    wrong[:3] *= -1
    rows = rows_of("SPLICE_SITE_USAGE_SIGNED", wrong / 9, np.zeros(N), gene="g")
    rows += rows_of("SPLICE_SITE_USAGE_SIGNED", -9 * EFFECTS, np.ones(N), gene="other")
    rows += rows_of("SPLICE_SITE_USAGE_SIGNED", -9 * EFFECTS, np.ones(N), curie="B:2", gene="g")
    rows += rows_of("SPLICE_SITE_USAGE", np.abs(EFFECTS), np.zeros(N), gene="g")
    table = evaluated(tmp_path, write_scores(tmp_path, rows), vcf)
    assert value(table, "SPLICE_SITE_USAGE_SIGNED", "sign_accuracy") == pytest.approx(9 / 12)
    assert value(table, "SPLICE_SITE_USAGE_SIGNED", "auroc") == value(table, "SPLICE_SITE_USAGE", "auroc") == 1
    assert "sign_accuracy" not in set(table[table["scorer"] == "SPLICE_SITE_USAGE"]["metric"])


@pytest.mark.parametrize("scorer", ["RNA_SEQ", "CAGE", "PROCAP"])
def test_expression_has_signs(tmp_path: Path, scorer: str) -> None:
    vcf = write_vcf(tmp_path, "expression", "CURIE=A:1;GENE=g")
    where = {"gene": "g"} if scorer == "RNA_SEQ" else {}
    table = evaluated(tmp_path, write_scores(tmp_path, rows_of(scorer, EFFECTS, np.zeros(N), **where)), vcf)
    assert value(table, scorer, "sign_accuracy") == 1


def test_what_is_not_a_planted_variant_is_named(tmp_path: Path) -> None:
    vcf = write_vcf(tmp_path, "contacts", "CURIE=A:1")
    assert list(read_planted(vcf)["curie"]) == ["A:1"] * 3 * N, "controls are judged at the place of their variant"
    vcf.write_text("chr1\t5\tx\tA\tC\t.\tPASS\tROLE=planted;EFFECT=1\n")
    with pytest.raises(InputError, match=r"variants\.vcf line 1: not a planted variant: 'MODALITY'"):
        read_planted(vcf)


def test_a_student_is_compared_with_its_teachers_on_the_same_variants(tmp_path: Path) -> None:
    vcf = write_vcf(tmp_path, "accessibility", "CURIE=A:1")
    draw = np.random.default_rng(0)
    noise = draw.normal(size=(2, 2 * N))
    # Teachers whose errors cancel: their mean score is perfect, each of them is not.
    teachers = [
        write_scores(tmp_path, rows_of("DNASE", EFFECTS + sign * noise[0, :N], sign * noise[0, N:]), f"teacher{sign}")
        for sign in (-1, 1)
    ]
    student = write_scores(tmp_path, rows_of("DNASE", EFFECTS, np.zeros(N)))
    out = tmp_path / "distillation.tsv"
    compare_student([student], teachers, vcf, out, CONFIG, model="student", organism="demo", command="again")
    table = pd.read_csv(out, sep="\t")
    assert list(table.columns) == STUDENT_COLUMNS
    auroc = table[table["metric"] == "auroc"].set_index("against")
    assert auroc["difference"]["ensemble"] == 0
    assert auroc["lower"]["ensemble"] == auroc["upper"]["ensemble"] == 0, "equal scores differ in no resample"
    own = [evaluated(tmp_path, path, vcf) for path in teachers]
    mean = np.mean([value(one, "DNASE", "auroc") for one in own])
    assert auroc["teacher_value"]["mean"] == pytest.approx(mean, rel=1e-5)
    assert auroc["difference"]["mean"] == pytest.approx(1 - mean, rel=1e-4)
    assert auroc["lower"]["mean"] <= auroc["difference"]["mean"] <= auroc["upper"]["mean"]
    assert set(table["metric"]) == {"auroc", "sign_accuracy", "spearman"}
    assert (table["students"] == 1).all() and (table["least"] == table["difference"]).all()
    gather([out, out], tmp_path / "all.tsv")
    assert len(pd.read_csv(tmp_path / "all.tsv", sep="\t")) == 2 * len(table)


def test_several_students_are_compared_as_a_mean(tmp_path: Path) -> None:
    vcf = write_vcf(tmp_path, "accessibility", "CURIE=A:1")
    draw = np.random.default_rng(1)
    models = [
        write_scores(tmp_path, rows_of("DNASE", EFFECTS + level * noise[0], noise[1]), f"m{level}")
        for noise, level in zip(draw.normal(size=(4, 2, N)), (0.1, 1.0, 3.0, 2.0), strict=True)
    ]
    out = tmp_path / "distillation.tsv"
    compare_student(models[:3], models[3:], vcf, out, CONFIG, model="student", organism="demo")
    table = pd.read_csv(out, sep="\t").set_index(["metric", "against"])
    alone = []
    for model in models[:3]:
        compare_student([model], models[3:], vcf, out, CONFIG)
        alone.append(pd.read_csv(out, sep="\t").set_index(["metric", "against"])["difference"])
    together = pd.concat(alone, axis=1)
    assert (table["students"] == 3).all()
    assert np.allclose(table["difference"], together.mean(axis=1), atol=1e-5)
    assert np.allclose(table["least"], together.min(axis=1), atol=1e-5)
    assert np.allclose(table["most"], together.max(axis=1), atol=1e-5)
    assert (table["lower"] <= table["difference"]).all() and (table["difference"] <= table["upper"]).all()
