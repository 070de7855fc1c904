"""caQTL, dsQTL and bQTL: thresholds, alleles that are turned, tables in hg19, borrowed controls."""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import World, checked

from megabase.errors import InputError
from megabase.evaluation.variant_sets import accessibility, alleles
from megabase.evaluation.variant_sets.alleles import Genome
from megabase.evaluation.variant_sets.table import Given

COLUMNS = ["var.chr", "var.pos_hg38", "var.allele1", "var.allele2", "var.isused", "obs.pval", "obs.beta"]


def row(
    world: World, position: int, p: object, beta: object = 0.5, used: object = True, swap: bool = False
) -> list[object]:
    pair = [world.ref("chr1", position), world.alt("chr1", position)]
    return ["chr1", position, *(pair[::-1] if swap else pair), used, p, beta]


def test_thresholds_and_turned_alleles(tmp_path: Path) -> None:
    world = World(tmp_path)
    rows = [row(world, 10, 1e-6), row(world, 11, 1e-6, swap=True), row(world, 12, 0.5), row(world, 13, 1e-3)]
    rows += [row(world, 14, 1e-9, used=False), row(world, 15, "NA")]
    neither = sorted(set("ACGT") - {world.ref("chr1", 16)})
    rows.append(["chr1", 16, *neither[:2], True, 0.4, 1.0])
    given = Given({"table": world.file("afr.tsv.gz", [COLUMNS, *rows])}, genome=Genome(world.fasta))
    made = checked(accessibility.build(given, "caqtl_african"), tmp_path / "set.parquet")
    assert made.table["label"].tolist() == [True, True, False]
    assert made.table["effect"].tolist()[:2] == [0.5, -0.5] and made.table["effect"].isna().tolist()[2]
    assert made.table["ref"].tolist() == [world.ref("chr1", position) for position in (10, 11, 12)]
    assert made.counts["swapped"] == 1 and made.counts["read"] == 7
    assert made.counts["dropped"][accessibility.BETWEEN] == 2 and made.counts["dropped"][accessibility.NOT_USED] == 1
    assert made.counts["dropped"][alleles.NOT_THERE] == 1


def test_labels_of_the_source_and_hg19(tmp_path: Path) -> None:
    pytest.importorskip("liftover", reason="needs the package liftover")
    world = World(tmp_path)
    columns = ["var.chr", "var.pos_hg19", "var.allele1", "var.allele2", "var.isused", "obs.label", "obs.estimate"]
    rows = [
        ["chr1", position - 50, world.ref("chr1", position), world.alt("chr1", position), "True", label, 0.1]
        for position, label in ((160, 1), (161, -1), (162, 0))
    ]
    table = world.file("ds.tsv", [columns, *rows, ["chr1", 20, "A", "C", "True", 1, 0.1]])
    with pytest.raises(InputError, match="is in hg19; give chain="):
        accessibility.build(Given({"table": table}), "dsqtl_yoruba")
    chain = world.file("old.chain", ["chain 10 chr1 800 + 100 400 chr1 900 + 150 450 1", "300", ""])
    given = Given({"table": table, "chain": chain}, genome=Genome(world.fasta))
    made = checked(accessibility.build(given, "dsqtl_yoruba"), tmp_path / "set.parquet")
    assert made.table["position"].tolist() == [160, 161, 162] and made.table["label"].tolist() == [True, False, False]
    assert made.counts["lifted"] == 3 and made.counts["dropped"] == {alleles.UNMAPPED: 1}


def test_spi1_borrows_its_controls(tmp_path: Path) -> None:
    world = World(tmp_path)
    columns = ["var.chr", "var.pos_hg38", "var.POSTallele", "var.ALTallele", "var.isused", "obs.pval"]
    columns.append("obs.chiplogratio")
    own = [row(world, 10, 1e-6, -2.0), row(world, 11, 0.9, 1.0)]
    controls = [row(world, 10, 0.5), row(world, 20, 0.5), row(world, 21, 0.05), row(world, 22, 1e-9)]
    files = {"table": world.file("spi1.tsv", [columns, *own]), "controls": world.file("afr.tsv", [COLUMNS, *controls])}
    made = checked(accessibility.build(Given(files, genome=Genome(world.fasta)), "bqtl_spi1"), tmp_path / "set.parquet")
    assert made.table["position"].tolist() == [10, 20] and made.table["label"].tolist() == [True, False]
    assert made.table["effect"].tolist()[0] == -2.0


def test_bad_rows_are_named(tmp_path: Path) -> None:
    world = World(tmp_path)
    good = row(world, 10, 1e-6)
    faults = [(1, "?", r"line 3: var.pos_hg38 is `\?`"), (4, "?", "var.isused"), (5, "low", "obs.pval")]
    for place, value, said in faults:
        bad = [*good]
        bad[place] = value
        with pytest.raises(InputError, match=said):
            table = world.file("bad.tsv", [COLUMNS, good, bad])
            accessibility.build(Given({"table": table}), "caqtl_african")
    for dropped, said in [("var.isused", "no column `var.isused`"), ("obs.beta", "no column of effects")]:
        at = COLUMNS.index(dropped)
        table = world.file("bad.tsv", [COLUMNS[:at] + COLUMNS[at + 1 :], good[:at] + good[at + 1 :]])
        with pytest.raises(InputError, match=said):
            accessibility.build(Given({"table": table}), "caqtl_african")
