"""Windows around published places (paper section 2): one for every row, and none held out that is trained on."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.genome.intervals import read_intervals
from megabase.store.config import ShardsConfig
from megabase.store.windows import split_windows

SIZES = {"chr1": 2_000_000, "chr2": 1_000_000}
CONFIG = ShardsConfig(window=65_536, max_shift=0, max_unknown=1.0)
ROWS = [
    ("chr1", 0, 20_000, "fold0"),
    ("chr1", 100_000, 120_000, "fold2"),
    ("chr1", 150_000, 170_000, "fold0"),
    ("chr1", 500_000, 520_001, "fold0"),
    ("chr2", 10, 20_010, "fold1"),
    ("chr2", 500_000, 520_000, "fold3"),
]
ORGANISM = Organism(
    index=0, assembly="made1", fasta="x", annotation="x", chromosomes=["chr1"], bundles={"DNASE": 1}, intervals="x.bed"
)


def split(fold: int | str, rows: list[tuple[str, int, int, str]] = ROWS, config: ShardsConfig = CONFIG):  # type: ignore[no-untyped-def]
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "section"])
    unknown = lambda window: 0.0  # noqa: E731
    return split_windows(ORGANISM.fold(fold), SIZES, config, unknown, "here", held_out=fold != "all", intervals=table)


def test_every_row_is_one_window_around_its_middle() -> None:
    rows = [*ROWS, *(("chr2", 900_000, 920_000, f"fold{number}") for number in (4, 5, 6, 7))]
    tables, report, _ = split(0, rows)
    assert tables["train"].to_numpy().tolist()[:2] == [["chr1", 77_232, 142_768], ["chr2", 477_232, 542_768]]
    # The first begins before its chromosome; the second overlaps a training window; the middle is rounded down.
    assert tables["valid"].to_numpy().tolist() == [["chr1", -22_768, 42_768], ["chr1", 477_232, 542_768]]
    assert report["valid"] == {"kept": 2, "dropped_unknown": 0, "dropped_overlap": 1, "overlap_bp_with_train": 0}
    assert tables["test"].to_numpy().tolist() == [["chr2", -22_758, 42_778]]


def test_all_folds_train_on_every_row() -> None:
    rows = [*ROWS, *(("chr2", 900_000, 920_000, f"fold{number}") for number in (4, 5, 6, 7))]
    tables, report, _ = split("all", rows)
    assert len(tables["train"]) == len(rows) and len(tables["valid"]) == 3 and not report["held_out"]


def test_a_section_without_rows_is_named() -> None:
    with pytest.raises(InputError, match=r"no intervals of section fold4, .*; choose from fold0, fold1"):
        split(0)


def test_as_many_rows_as_are_published_take_seconds() -> None:
    random = np.random.default_rng(0)
    sizes = {f"chr{number}": 150_000_000 for number in range(20)}
    rows = []
    for chrom in sizes:
        # Pieces of several Mb belong to one section, as they are published.
        sections = random.integers(0, 8, 40)
        starts = np.sort(random.integers(0, 149_800_000, 2_750))
        rows += [(chrom, int(s), int(s) + 196_608, f"fold{sections[int(s) // 3_750_000]}") for s in starts]
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "section"])
    began = time.process_time()
    config = ShardsConfig(max_unknown=1.0)
    tables, report, _ = split_windows(ORGANISM.fold(0), sizes, config, lambda window: 0.0, "here", intervals=table)
    assert time.process_time() - began < 10
    assert report["test"]["dropped_overlap"] > 0 and report["test"]["overlap_bp_with_train"] == 0
    assert len(tables["train"]) == int(table["section"].isin([f"fold{number}" for number in range(2, 8)]).sum())


def test_the_table_is_read_as_published(tmp_path: Path) -> None:
    table = tmp_path / "sequences.bed"
    table.write_text("1\t10\t20\tfold3\nchrUn\t1\t2\tfold0\nchr2\t5\t9\tfold7\n")
    read = read_intervals(table, SIZES, {"1": "chr1"})
    assert read.to_numpy().tolist() == [["chr1", 10, 20, "fold3"], ["chr2", 5, 9, "fold7"]]
    for text, says in (
        ("chr1\t10\t20\n", "line 1: not a row of a place"),
        ("chr1\t10\t3000000\tfold0\n", "chr1:10-3000000 is not within 0-2000000"),
        ("other\t1\t2\tfold0\n", "no place on the chromosomes used"),
    ):
        table.write_text(text)
        with pytest.raises(InputError, match=says):
            read_intervals(table, SIZES, {})
