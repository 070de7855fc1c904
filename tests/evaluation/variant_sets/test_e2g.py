"""Enhancer-gene pairs: labels, genes that the annotation lacks, the share within 1 Mb."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from worlds import World, checked

from megabase.errors import InputError
from megabase.evaluation.variant_sets import e2g
from megabase.evaluation.variant_sets.table import Given


def pair(number: int, gene: str, regulated: str, distance: object, start: object = 100) -> list[object]:
    return ["chr1", start, 301, f"pair{number}", -0.25, gene, regulated, distance]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [
        pair(0, "ENSG01.5", "TRUE", 1_000_000),
        pair(1, "ENSG02", "FALSE", 5),
        pair(2, "ENSG03", "TRUE", -1_000_001),
    ]
    return World(tmp_path).file("pairs.tsv.gz", [list(e2g.NEEDED), *rows])


def test_pairs(table: Path, tmp_path: Path) -> None:
    genes = pd.DataFrame({"gene_id": ["ENSG01.7", "ENSG02.1"]})
    made = checked(e2g.build(Given({"table": table}, genes=genes)), tmp_path / "e2g.parquet")
    assert made.table["gene_id"].tolist() == ["ENSG01", "ENSG02"]
    assert made.table["label"].tolist() == [True, False]
    assert made.table["position"].tolist() == [201, 201] and set(made.table["group"]) == {"chr1:100-301"}
    assert made.counts["read"] == 3 and made.counts["dropped"] == {e2g.NOT_ANNOTATED: 1}
    assert set(made.table["split"]) == {"test"}


def test_the_share_within_a_distance(table: Path) -> None:
    assert e2g.within_reach(table) == e2g.Reach(2, 1, 1_000_000)
    assert e2g.within_reach(table, 1_000_001).share == 1.0
    assert e2g.within_reach(table, 4, regulated=False).share == 0.0


def test_bad_rows_are_named(tmp_path: Path) -> None:
    world = World(tmp_path)
    for bad, said in [
        (pair(0, "ENSG01", "MAYBE", 1), "line 3: Regulated is `MAYBE`"),
        (pair(0, "ENSG01", "TRUE", 1, start="x"), "line 3: chromStart is `x`"),
        (pair(0, "ENSG01", "TRUE", 1, start=900), "line 3: element 900-301"),
        (pair(0, "ENSG01", "TRUE", 1)[:-1], "line 3: 7 fields, 8 columns"),
    ]:
        path = world.file("bad.tsv", [list(e2g.NEEDED), pair(1, "ENSG02", "TRUE", 1), bad])
        with pytest.raises(InputError, match=said):
            e2g.build(Given({"table": path}))
    with pytest.raises(InputError, match="no column `Regulated`"):
        e2g.build(
            Given(
                {
                    "table": world.file(
                        "other.tsv",
                        [["chrom", "chromStart", "chromEnd", "name", "EffectSize", "measuredGeneEnsemblId"]],
                    )
                }
            )
        )
    with pytest.raises(InputError, match="table=FILE"):
        e2g.build(Given({}))
    with pytest.raises(InputError, match="no variant of `e2g` is left: 2"):
        path = world.file("good.tsv", [list(e2g.NEEDED), pair(1, "ENSG02", "TRUE", 1), pair(1, "ENSG02", "TRUE", 1)])
        e2g.build(Given({"table": path}, genes=pd.DataFrame({"gene_id": ["ENSG09"]})))


def test_the_published_pairs(shared: Path, tmp_path: Path) -> None:
    table = shared / "real" / "variants" / "CRISPRi_K562_training.GRCh38.tsv.gz"
    made = checked(e2g.build(Given({"table": table})), tmp_path / "e2g.parquet")
    assert (made.counts["read"], made.counts["kept"], made.counts["positives"]) == (10_356, 10_356, 471)
    # "99 % (465 of 471) of validated enhancer-gene pairs" are within 1 Mb.
    assert e2g.within_reach(table) == e2g.Reach(471, 465, 1_000_000)
