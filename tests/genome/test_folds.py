"""Sections give the paper's folds; polyadenylation sites are read as they stand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pydantic
import pytest

from megabase.errors import InputError
from megabase.genome.config import Organism, fold_name
from megabase.genome.polya import read_polya

SECTIONS = [[f"chr{number}"] for number in range(1, 9)]


def organism(**changed: object) -> Organism:
    given: dict = {
        "index": 0,
        "assembly": "made1",
        "fasta": "a.fa",
        "annotation": "a.gtf",
        "chromosomes": ["chr1"],
        "bundles": {"DNASE": 1},
        "sections": SECTIONS,
    }
    return Organism(**given | changed)


def test_sections_give_four_folds_that_share_no_held_out_region() -> None:
    own = organism()
    assert len(own.divisions) == 4
    held = [(fold.valid, fold.test) for fold in own.divisions]
    assert held == [(["chr1"], ["chr2"]), (["chr4"], ["chr5"]), (["chr3"], ["chr6"]), (["chr7"], ["chr8"])]
    for fold in own.divisions:
        assert sorted([*fold.train, *fold.valid, *fold.test]) == [f"chr{number}" for number in range(1, 9)]


def test_all_folds_train_on_everything() -> None:
    fold = organism().fold("all")
    assert sorted(fold.train) == [f"chr{number}" for number in range(1, 9)]
    assert fold_name("all") == "all_folds" and fold_name(2) == "fold_2"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"folds": [{"train": ["chr1"], "valid": [], "test": []}]}, "either `folds` or `sections`"),
        ({"sections": []}, "either `folds` or `sections`"),
        ({"sections": SECTIONS[:7]}, "7 sections"),
        ({"bundles": {"SPLICE_JUNCTIONS": 2, "SPLICE_SITES": 4, "SPLICE_SITE_USAGE": 3}}, "make 4 tracks"),
        ({"bundles": {"SPLICE_SITES": 4}}, "0 SPLICE_JUNCTIONS make 0 tracks of SPLICE_SITES"),
    ],
)
def test_what_contradicts_is_refused(changed: dict, says: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=says):
        organism(**changed)


def test_polyadenylation_sites_are_sorted_and_renamed(tmp_path: Path) -> None:
    table = tmp_path / "polya.tsv"
    table.write_text("chrom\tposition\tstrand\tgene_id\tpas_id\n1\t30\t-\tb\tb.1\n1\t10\t+\ta\ta.1\n2\t5\t+\tc\tc.1\n")
    sites = read_polya(table, {"chr1": 50}, {"1": "chr1"})
    assert sites.to_numpy().tolist() == [["chr1", 10, "+", "a", "a.1"], ["chr1", 30, "-", "b", "b.1"]]
    assert read_polya(None, {"chr1": 50}, {}).empty


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("chr\tpos\n", "not a table of sites"),
        ("chrom\tposition\tstrand\tgene_id\tpas_id\nchr1\tx\t+\ta\ta.1\n", "line 2: not a row of a site"),
        ("chrom\tposition\tstrand\tgene_id\tpas_id\nchr1\t50\t+\ta\ta.1\n", "position 50 is beyond chr1"),
    ],
)
def test_other_tables_of_sites_are_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "polya.tsv").write_text(text)
    with pytest.raises(InputError, match=says):
        read_polya(tmp_path / "polya.tsv", {"chr1": 50}, {})


def test_borzois_table_of_sites_is_read_by_its_own_columns(tmp_path: Path) -> None:
    """Genes stand there by name; sites elsewhere than at their ends or in introns are left out."""
    header = "pas_id\tgene\tchrom\tposition_hg38\tstrand\tsite_num\tnum_sites\tsite_type\tpas_type\ttotal_count\n"
    rows = [
        "a.1\tABC\tchr1\t30\t+\t1\t2\t3' most exon\tAATAAA\t9\n",
        "a.2\tABC\tchr1\t20\t+\t2\t2\tIntron\tAATAAA\t9\n",
        "a.3\tABC\tchr1\t25\t+\t2\t2\tInternal exon\tAATAAA\t9\n",
        "b.1\tNONE\tchr1\t26\t+\t1\t1\tIntron\tAATAAA\t9\n",
    ]
    (tmp_path / "polya.csv").write_text(header + "".join(rows))
    genes = pd.DataFrame({"gene_name": ["ABC"], "gene_id": ["ENSG1.2"]})
    sites = read_polya(tmp_path / "polya.csv", {"chr1": 50}, {}, genes)
    assert sites.to_numpy().tolist() == [["chr1", 20, "+", "ENSG1.2", "a.2"], ["chr1", 30, "+", "ENSG1.2", "a.1"]]


def test_intervals_stand_for_sections() -> None:
    own = organism(sections=[], intervals="sequences.bed.gz")
    assert (own.fold(1).valid, own.fold(1).test) == (["fold3"], ["fold4"])
    assert own.fold("all").train == ["fold2", "fold3", "fold4", "fold5", "fold6", "fold7", "fold0", "fold1"]
