"""Rows of the comparison: values worked out again from the tables that they come from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from megabase.errors import InputError
from megabase.evaluation.benchmarks import controls, results, statistics
from megabase.evaluation.benchmarks.cases import case_table
from megabase.evaluation.benchmarks.enhancers import distance_fact, write_pairs
from megabase.evaluation.benchmarks.registry import benchmark
from megabase.evaluation.benchmarks.results import RESULT_COLUMNS, Inputs, evaluate_benchmarks
from megabase.evaluation.benchmarks.scores import model_scores
from megabase.evaluation.benchmarks.sets import planted_set, write_vcf
from megabase.evaluation.variant_sets.table import COLUMNS, read_variant_set
from megabase.metrics.ranking import average_precision

N = 60


class Reference:
    """Two genes on one chromosome of alternating composition."""

    @classmethod
    def open(cls, _: Path) -> Reference:
        return cls()

    def genes(self) -> pd.DataFrame:
        rows = [("chr3", 100, 900, "+", "G1.4", "one"), ("chr3", 2000, 2600, "-", "G2", "two")]
        return pd.DataFrame(rows, columns=["chrom", "start", "end", "strand", "gene_id", "gene_name"])

    def exons(self) -> pd.DataFrame:
        rows = [("chr3", 100, 200, "+", "G1.4"), ("chr3", 700, 900, "+", "G1.4")]
        return pd.DataFrame(rows, columns=["chrom", "start", "end", "strand", "gene_id"])

    def codes(self, chrom: str, start: int, end: int) -> np.ndarray:
        return (np.arange(start, end) // 100 % 2).astype(np.uint8)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    monkeypatch.setattr(results, "Reference", Reference)
    draw = np.random.default_rng(0)
    label = np.arange(N) % 3 == 0
    variants = pd.DataFrame({"variant_id": [f"v{i}" for i in range(N)], "chromosome": "chr3"})
    variants = variants.assign(position=draw.integers(100, 900, N), ref="A", alt="C", organism="human")
    variants = variants.assign(group=np.where(np.arange(N) % 2, "Brain_Cortex", "liver"), gene_id="G1.9")
    variants = variants.assign(label=label, effect=np.where(label, draw.normal(size=N), np.nan), split="test")
    variants.to_parquet(tmp_path / "set.parquet")
    effect = np.nan_to_num(variants["effect"].to_numpy(float))
    rows = []
    for gene, tissue, noise in (("G1.4", "brain cortex", 0.5), ("G1.4", "Liver", 0.5), ("G2", "Liver", 90)):
        for i in range(N - 1):  # The last variant has no score.
            score = effect[i] + noise * draw.normal()
            rows.append((f"v{i}", "RNA_SEQ", gene, "X:1", tissue, tissue, "", score, len(rows) % 3))
            rows.append((f"v{i}", "DNASE", None, "EFO:0002784", "GM12878", "GM12878", "", 2 * score, 0))
    names = [
        "variant_id",
        "scorer",
        "gene_id",
        "ontology_curie",
        "biosample",
        "track_name",
        "target",
        "raw_score",
        "track",
    ]
    pd.DataFrame(rows, columns=names).to_parquet(tmp_path / "scores.parquet")
    for name, fold in (("student", "all"), ("fold_1", 1)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"name": name, "fold": fold}))
    (tmp_path / "other.tsv").write_text("variant_id\tscore\n" + "".join(f"v{i}\t{int(label[i])}\n" for i in range(50)))
    measures = [("human", "CAGE", 32, "pearson", name, value, value - 0.1, value + 0.1, 4, "tracks") for name, value in
                (("model", 0.6), ("local_gc", 0.2), ("oracle", 0.9))]  # fmt: skip
    measures += [("human", "DNASE", 1, "profile_jsd", name, value, value, value, 9, "peaks") for name, value in
                 (("model", 0.4), ("local_gc", 0.5), ("oracle", 0.1))]  # fmt: skip
    measures += [("human", "SPLICE_SITES", 1, "auprc", name, value, value, value, 9, "sites") for name, value in
                 (("model", 0.8), ("gt_ag", 0.1), ("track_mean", 0.05))]  # fmt: skip
    columns = ["organism", "output_type", "resolution", "metric", "predictor", "value", "lower", "upper", "n", "unit"]
    pd.DataFrame(measures, columns=columns).to_csv(tmp_path / "measures.tsv", sep="\t", index=False)
    sets = dict.fromkeys(("eqtl", "caqtl_african"), tmp_path / "set.parquet")
    return Inputs(
        demo=False,
        models={name: tmp_path / f"{name}.json" for name in ("student", "fold_1")},
        measures={"fold_1": tmp_path / "measures.tsv"},
        student="student",
        references={"human": tmp_path},
        sets=sets,
        set_scores=dict.fromkeys(sets, tmp_path / "scores.parquet"),
        predictions={"caqtl_african": {"other": tmp_path / "other.tsv"}},
        resamples=20,
    )


def rows(folder: Path, inputs: Inputs, *names: str) -> pd.DataFrame:
    evaluate_benchmarks(names, inputs, folder / "table.tsv")
    table = pd.read_csv(folder / "table.tsv", sep="\t")
    assert list(table.columns) == RESULT_COLUMNS
    return table


def test_windows(given: Inputs, tmp_path: Path) -> None:
    table = rows(tmp_path, given, "cage_32bp", "splice_site_cls_rnaseq").set_index(["benchmark", "predictor"])
    own = table.loc["cage_32bp", "model"]
    assert (own["value"], own["lower"], own["against"], own["model"]) == (0.6, 0.5, "local_gc", "fold_1")
    assert own["relative"] == pytest.approx(100 * (0.6 - 0.2) / 0.2), "not against the oracle"
    assert own["published_relative"] == pytest.approx(100 * 0.03 / 0.71, abs=1e-4)
    assert own["data"] == "own windows" and own["command"] == "snakemake benchmark_cage_32bp"
    sites = table.loc["splice_site_cls_rnaseq", "model"]
    assert sites["random"] == 0.05 and sites["relative"] == pytest.approx(100 * 0.7 / 0.05)


def test_a_model_of_another_fold_is_not_judged(given: Inputs, tmp_path: Path) -> None:
    table = rows(tmp_path, given, "dnase_jsd")
    assert table["value"].isna().all() and "no model of that fold" in table["note"].iloc[0]
    (tmp_path / "fold_1.json").write_text(json.dumps({"name": "fold_1", "fold": 0}))
    own = rows(tmp_path, given, "dnase_jsd").set_index("predictor").loc["model"]
    assert own["relative"] == pytest.approx(20), "less is better"


def test_demo_rows_say_so(given: Inputs, tmp_path: Path) -> None:
    import dataclasses

    table = rows(tmp_path, dataclasses.replace(given, demo=True), "cage_32bp")
    assert set(table["data"]) == {"demo"} and (table["held_out"] == "test windows of the model's own fold").all()


def test_sets_of_variants(given: Inputs, tmp_path: Path) -> None:
    names = ("caqtl_african_variant_causality", "caqtl_african_variant_coefficient")
    table = rows(tmp_path, given, *names).set_index(["benchmark", "predictor"])
    variants, scores = pd.read_parquet(tmp_path / "set.parquet"), pd.read_parquet(tmp_path / "scores.parquet")
    dnase = scores[scores["scorer"] == "DNASE"].groupby("variant_id")["raw_score"].mean()
    score = variants["variant_id"].map(dnase).fillna(0)
    own = table.loc[names[0], "model"]
    assert own["value"] == pytest.approx(
        average_precision(variants["label"].to_numpy(), score.abs().to_numpy()), abs=1e-5
    )
    assert (own["n"], own["positives"], own["imputed"]) == (60, 20, 1) and own["random"] == pytest.approx(
        1 / 3, abs=1e-5
    )
    assert own["lower"] < own["value"] < own["upper"]
    other = table.loc[names[0], "other"]
    assert other["imputed"] == 10 and own["against"] == "other" and own["data"] == "set"
    positive = variants["label"].to_numpy()
    expected = np.corrcoef(score[positive], variants["effect"][positive])[0, 1]
    assert table.loc[names[1], "model"]["value"] == pytest.approx(expected, abs=1e-5)
    assert set(table.loc[names[1]].index) == {"model", "other"}, "controls say nothing of signs"
    assert {"near_splice_site", "near_start", "gc"} < set(table.loc[names[0]].index)


def test_eqtl_scores_are_of_the_own_gene_and_tissue(given: Inputs, tmp_path: Path) -> None:
    variants, scores = pd.read_parquet(tmp_path / "set.parquet"), pd.read_parquet(tmp_path / "scores.parquet")
    made = model_scores(variants, scores, benchmark("eqtl_variant_borzoi_coefficient_human"))
    rna = scores[(scores["scorer"] == "RNA_SEQ") & (scores["gene_id"] == "G1.4")].set_index(["variant_id", "biosample"])
    for i in (0, 1, 30, 31):
        tissue = "brain cortex" if i % 2 else "Liver"
        assert made[i] == pytest.approx(rna.loc[(f"v{i}", tissue), "raw_score"], rel=1e-6)
    assert np.isnan(made[N - 1])
    table = rows(tmp_path, given, "eqtl_variant_borzoi_coefficient_human", "eqtl_variant_borzoi_sign_human")
    values = table[table["predictor"] == "model"]["value"]
    assert len(values) == 2 and (values > 0.5).all()


def test_what_there_is_nothing_for_says_what_is_missing(given: Inputs, tmp_path: Path) -> None:
    table = rows(tmp_path, given, "unlisted_24", "clinvar_missense").set_index("benchmark")
    assert table["value"].isna().all()
    assert table.loc["unlisted_24", "note"].startswith("missing: everything")
    assert table.loc["clinvar_missense", "note"] == "no set: give benchmarks.sets.clinvar"
    assert table.loc["clinvar_missense", "published"] == 0.1792


def test_controls_are_distances_and_composition() -> None:
    variants = pd.DataFrame({"chromosome": ["chr3", "chr3", "chr9"], "position": [101, 751, 5]})
    made = controls.control_scores(variants, Reference())  # type: ignore[arg-type]
    assert made["near_splice_site"].tolist() == [1, pytest.approx(1 / 51), 0]
    assert made["near_start"].tolist() == [1, pytest.approx(1 / 651), 0]
    assert made["gc"].iloc[0] == pytest.approx(51 / 101)


def test_intervals_draw_whole_groups_of_matched_pairs() -> None:
    table = pd.DataFrame({"group": np.repeat(np.arange(20), 2), "label": [True, False] * 20})
    table = table.assign(score=np.where(table["group"] < 10, table["label"], ~table["label"]).astype(float))
    value, lower, upper = statistics.with_interval(statistics.matched_auprc, table, 30)
    assert lower < value < upper and statistics.chance("matched_auprc", table) == 0.5
    assert statistics.chance("auprc", table.assign(label=table["group"] == 0)) == 0.05


def test_sets_are_checked_and_written(given: Inputs, tmp_path: Path) -> None:
    write_vcf(tmp_path / "set.parquet", tmp_path / "set.vcf")
    lines = [line.split("\t") for line in (tmp_path / "set.vcf").read_text().splitlines() if line[0] != "#"]
    assert len(lines) == N and [int(line[1]) for line in lines] == sorted(int(line[1]) for line in lines)
    table = pd.read_parquet(tmp_path / "set.parquet")
    table.drop(columns="split").to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="no column `split`"):
        read_variant_set(tmp_path / "other.parquet")
    table.assign(alt=table["alt"].where(table.index != 4)).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="row 5: no place or no allele"):
        read_variant_set(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="no such variant set"):
        read_variant_set(tmp_path / "absent.parquet")


def test_planted_variants_are_a_set(tmp_path: Path) -> None:
    info = "ROLE=planted;MODALITY=splicing;EFFECT=1.5;GENE=G1", "ROLE=control;MODALITY=splicing;EFFECT=0;MATCH=p"
    (tmp_path / "v.vcf").write_text(f"chr1\t7\tp\tA\tC\t.\t.\t{info[0]}\nchr1\t9\tc\tG\tT\t.\t.\t{info[1]}\n")
    table = planted_set(tmp_path / "v.vcf", "human")
    assert set(COLUMNS) <= set(table.columns)
    assert table[["position", "alt", "group", "gene_id", "label", "effect"]].to_numpy().tolist() == [
        [7, "C", "p", "G1", True, 1.5], [9, "T", "p", "G1", False, 0.0],
    ]  # fmt: skip


def test_distance_of_enhancers(given: Inputs, tmp_path: Path) -> None:
    pairs = pd.DataFrame({"chromosome": ["chr3", "chr3", "chr3", "chr4"], "position": [20_101, 2600, 5, 101]})
    pairs = pairs.assign(gene_id=["G1", "two", "G1", "G1"], label=[True, True, False, True])
    table = distance_fact(pairs, Reference().genes()).set_index("within_bp")
    assert table.loc[10_000, ["pairs", "n"]].tolist() == [1, 2] and table.loc[1_000_000, "share"] == 1
    assert (table["unknown_genes"] == 1).all()


def test_a_case_is_seen_by_every_modality(given: Inputs, tmp_path: Path) -> None:
    case_table(tmp_path / "set.parquet", tmp_path / "scores.parquet", tmp_path / "case.tsv", "snakemake case_tal1")
    table = pd.read_csv(tmp_path / "case.tsv", sep="\t")
    assert set(table["scorer"]) == {"RNA_SEQ", "DNASE"}
    assert "G2" not in set(table["gene_id"]), "scores of other genes do not count"
    assert table[(table["scorer"] == "DNASE")]["variants"].sum() == N - 1


def test_links_of_elements_and_genes(given: Inputs, tmp_path: Path) -> None:
    import dataclasses

    own = pd.DataFrame({name: [None] * 4 for name in COLUMNS})
    own = own.assign(variant_id=[f"p{i}" for i in range(4)], chromosome="chr1", position=range(150, 550, 100))
    own = own.assign(ref="", alt="", organism="human", gene_id="G", label=[True, False, True, False], split="test")
    own["group"] = [f"chr1:{place - 50}-{place + 50}" for place in own["position"]]
    own.to_parquet(tmp_path / "e2g.parquet")
    write_pairs(tmp_path / "e2g.parquet", tmp_path / "pairs.tsv")
    pairs = pd.read_csv(tmp_path / "pairs.tsv", sep="\t")
    assert pairs.iloc[1].to_dict() == {"chrom": "chr1", "start": 200, "end": 300, "gene_id": "G", "variant_id": "p1"}
    pairs.assign(score=[3.0, 1.0, 2.0, None]).to_parquet(tmp_path / "links.parquet")
    inputs = dataclasses.replace(
        given, sets={"e2g": tmp_path / "e2g.parquet"}, set_scores={"e2g": tmp_path / "links.parquet"}, references={}
    )
    row = rows(tmp_path, inputs, "enhancer_gene_linking_e2g").iloc[0]
    assert (row["predictor"], row["value"], row["n"], row["positives"], row["imputed"]) == ("model", 1.0, 4, 2, 1)
    own.assign(group="somewhere").to_parquet(tmp_path / "wrong.parquet")
    with pytest.raises(InputError, match="row 1"):
        write_pairs(tmp_path / "wrong.parquet", tmp_path / "pairs.tsv")


def test_boosting_machines_are_others_business(given: Inputs, tmp_path: Path) -> None:
    import dataclasses

    names = {"splicing_outliers": tmp_path / "set.parquet"}
    inputs = dataclasses.replace(
        given, sets=names, set_scores={"splicing_outliers": tmp_path / "scores.parquet"}, references={}
    )
    row = rows(tmp_path, inputs, "splicing_outlier_supervised").iloc[0]
    assert pd.isna(row["value"]) and "give benchmarks.predictions.splicing_outliers" in row["note"]
    other = dataclasses.replace(inputs, predictions={"splicing_outliers": {"ours": tmp_path / "other.tsv"}})
    row = rows(tmp_path, other, "splicing_outlier_supervised").iloc[0]
    assert row["predictor"] == "ours" and 0 <= row["value"] <= 1
