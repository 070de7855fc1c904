"""Splicing outliers, TraitGym, TAL1, and the reader of published predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from worlds import World, checked

from megabase.errors import InputError
from megabase.evaluation.variant_sets import alleles, outliers, published, tal1, traitgym
from megabase.evaluation.variant_sets.alleles import Genome
from megabase.evaluation.variant_sets.matching import at_most_per_positive, balanced, drawn_like
from megabase.evaluation.variant_sets.table import Given, read_variant_set


def rare(
    world: World, position: int, tissue: str, outlier: object, af: object = 1e-5, carriers: object = 1, far: object = 9
) -> list[object]:
    change = [world.ref("chr1", position), world.alt("chr1", position)]
    return ["chr1", position, *change, "ENSG1.4", tissue, outlier, af, carriers, far if outlier == "TRUE" else ""]


def test_outliers(tmp_path: Path) -> None:
    world = World(tmp_path)
    rows = [
        rare(world, 10, "Lung", "TRUE"),
        rare(world, 10, "Liver", "FALSE"),
        rare(world, 11, "Lung", "TRUE", far=-250),
    ]
    rows += [rare(world, 20 + at, tissue, "FALSE", af="NA") for at in range(8) for tissue in ("Lung", "Heart")]
    rows += [rare(world, 40, "Lung", "TRUE", af=0.001), rare(world, 41, "Lung", "FALSE", carriers=3)]
    rows.append(rare(world, 42, "Lung", "TRUE", far=251))
    given = Given({"table": world.file("rare.tsv", [list(outliers.NEEDED), *rows])}, genome=Genome(world.fasta), seed=2)
    made = checked(outliers.build(given), tmp_path / "o.parquet")
    assert made.counts["positives"] == 2 and made.counts["negatives"] == 8 and made.counts["linked_variants"] == 2
    # Controls have tissues of positives only, and a linked variant is no control elsewhere.
    assert set(made.table["group"]) == {"Lung"} and 10 not in made.table["position"][~made.table["label"]].tolist()
    assert made.counts["read"] == made.counts["kept"] + sum(made.counts["dropped"].values())
    assert outliers.build(given).table.equals(made.table)
    for bad, said in [
        (rare(world, 10, "Lung", "perhaps"), "line 3: outlier is `perhaps`"),
        (rare(world, 10, "Lung", "TRUE", carriers="two"), "line 3: carriers is `two`"),
        (rare(world, 10, "Lung", "FALSE"), "no outlier"),
    ]:
        table = world.file("bad.tsv", [list(outliers.NEEDED), rare(world, 20, "Lung", "FALSE"), bad])
        with pytest.raises(InputError, match=said):
            outliers.build(Given({"table": table}))


def test_traitgym(tmp_path: Path) -> None:
    world = World(tmp_path)
    rows = [("1", at, world.ref("chr1", at), world.alt("chr1", at), at == 10, at // 20) for at in (10, 11, 30, 31)]
    rows.append(("1", 50, world.alt("chr1", 50), world.ref("chr1", 50), False, 9))
    table = pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt", "label", "match_group"])
    table.to_parquet(tmp_path / "test.parquet")
    given = Given({"table": tmp_path / "test.parquet"}, genome=Genome(world.fasta))
    made = checked(traitgym.build(given, "traitgym_mendelian"), tmp_path / "t.parquet")
    assert made.table["label"].tolist() == [True, False, False, False] and set(made.table["split"]) == {"test"}
    assert made.table["group"].tolist() == ["0", "0", "1", "1"]
    assert made.counts["dropped"] == {alleles.NOT_THERE: 1}
    table.drop(columns="label").to_parquet(tmp_path / "test.parquet")
    with pytest.raises(InputError, match="no column `label`"):
        traitgym.build(given, "traitgym_mendelian")
    table.assign(label=[True, None, False, False, False]).to_parquet(tmp_path / "test.parquet")
    with pytest.raises(InputError, match=r"test\.parquet row 2: no label"):
        traitgym.build(given, "traitgym_mendelian")
    (tmp_path / "test.parquet").write_text("no table")
    with pytest.raises(InputError, match="cannot be read"):
        traitgym.build(given, "traitgym_mendelian")


def test_tal1(tmp_path: Path) -> None:
    made = checked(tal1.build(Given({}, seed=4)), tmp_path / "tal1.parquet")
    true = made.table[made.table["label"]]
    assert true["variant_id"].tolist() == ["Jurkat", "MOLT-3", "Patient_1", "Patient_2", "Patient_3-5"]
    assert made.table["variant_id"].is_unique and set(made.table["gene_id"]) == {tal1.GENE}
    for group, own in made.table.groupby("group"):
        assert len(set(own["ref"])) == 1 and len(set(own["alt"].str.len())) == 1
        assert own["alt"].is_unique and own["label"].sum() >= 1, group
        assert len(own) - own["label"].sum() == (100 if len(own["alt"].iloc[0]) > 3 else 4**3 - 2)
    assert tal1.build(Given({}, seed=4)).table.equals(made.table)
    assert not tal1.build(Given({}, seed=5)).table.equals(made.table)
    world = World(tmp_path)
    mine = world.file("mine.tsv", [list(tal1.NEEDED), ["a", "chr1", 5, world.ref("chr1", 5), "GATTACA", "mine"]])
    given = Given({"table": mine}, genome=Genome(world.fasta))
    assert tal1.build(given).counts["positives"] == 1
    with pytest.raises(InputError, match="no variant of `tal1` is left: 5"):
        tal1.build(Given({}, genome=Genome(world.fasta)))


def test_published_predictions(tmp_path: Path) -> None:
    table = pd.DataFrame({"prediction": [0.5, np.nan], "target": [True, False], "tissue": ["a", "b"], "more": [1, 2]})
    table.to_feather(tmp_path / "x_predictions.feather")
    found = published.read_published(tmp_path / "x_predictions.feather")
    assert found["target"].tolist() == [1.0, 0.0] and found["group"].tolist() == ["a", "b"] and len(found.columns) == 3
    table.drop(columns="target").to_feather(tmp_path / "y.feather")
    with pytest.raises(InputError, match="no column `target`"):
        published.read_published(tmp_path / "y.feather")
    with pytest.raises(InputError, match="no such file"):
        published.read_published(tmp_path / "z.feather")
    (tmp_path / "z.feather").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        published.read_published(tmp_path / "z.feather")
    table.assign(target=["high", "low"]).to_feather(tmp_path / "z.feather")
    with pytest.raises(InputError, match="not numbers"):
        published.read_published(tmp_path / "z.feather")


def test_a_set_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such variant set"):
        read_variant_set(tmp_path / "a.parquet")
    pd.DataFrame({"variant_id": ["a"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="not a variant set"):
        read_variant_set(tmp_path / "a.parquet")


def test_drawing() -> None:
    negatives = {"a": list(range(50)), "b": list(range(100, 103)), "c": [200]}
    chosen = at_most_per_positive({"a": 2, "b": 1}, negatives, 5, seed=0)
    assert sum(key < 50 for key in chosen) == 10 and {100, 101, 102} <= chosen and 200 not in chosen
    assert chosen == at_most_per_positive(
        {"b": 1, "a": 2}, {"c": [200], "b": [102, 101, 100], "a": list(range(50))[::-1]}, 5, 0
    )
    assert chosen != at_most_per_positive({"a": 2, "b": 1}, negatives, 5, seed=1)
    label = np.array([True, True, True, False, False, True])
    picked = balanced(label, np.array([0.0, 0.1, 0.2, 0.1, 10.0, 9.9]), 10, seed=0)
    assert {3, 4, 5} <= set(picked.tolist()) and len(picked) == 4
    assert len(balanced(label[:0], np.zeros(0), 10, 0)) == 0
    assert set(drawn_like(["x", "x", "y"], 100, 0)) == {"x", "y"} and drawn_like(["x"], 0, 0) == []
