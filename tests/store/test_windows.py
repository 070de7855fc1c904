"""Where windows lie, and that no base of a held-out one is trained on."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from megabase.errors import InputError
from megabase.genome.config import Fold
from megabase.genome.regions import Region
from megabase.store.config import ShardsConfig
from megabase.store.windows import split_windows

SIZES = {"a": 100_000, "b": 50_000, "short": 3000}
CONFIG = ShardsConfig(window=8192, stride=4096, max_shift=500, max_unknown=0.5)


def split(train, valid, test, config=CONFIG, unknown=lambda window: 0.0):
    return split_windows(Fold(train=train, valid=valid, test=test), SIZES, config, unknown, "here")


def starts(table) -> list[int]:
    return table["start"].tolist()


def test_training_windows_end_flush_and_held_out_ones_do_not_overlap() -> None:
    tables, _, _ = split(["a:1000-30001"], ["b:0-20000"], ["b:20000-50000"])
    assert starts(tables["train"]) == [1000, 5096, 9192, 13288, 17384, 21480, 21809]
    assert starts(tables["valid"]) == [0, 8192] and starts(tables["test"]) == [20000, 28192, 36384]
    assert all((table["end"] - table["start"] == 8192).all() for table in tables.values())


def test_a_short_region_gives_one_window_around_it() -> None:
    tables, _, _ = split(["short", "a:20000-24000"], ["b:0-20000"], ["b:20000-50000"])
    assert starts(tables["train"]) == [-2596, 17904]


def test_touching_regions_lose_the_held_out_windows_in_reach() -> None:
    tables, report, _ = split(["a:0-40960"], ["a:40960-80000"], ["b"])
    assert starts(tables["valid"]) == [49152, 57344, 65536]
    assert report["valid"] == {"kept": 3, "dropped_unknown": 0, "dropped_overlap": 1, "overlap_bp_with_train": 0}
    tables, report, _ = split(["a:0-40960"], ["a:41460-80000"], ["b"])
    assert starts(tables["valid"])[0] == 41460 and report["valid"]["dropped_overlap"] == 0
    tables, report, _ = split(["a:0-40960"], ["a:41459-80000"], ["b"])
    assert report["valid"]["dropped_overlap"] == 1


def test_no_base_of_a_kept_window_can_be_trained_on() -> None:
    """Random regions, base by base."""
    draw = np.random.default_rng(0)
    checked = 0
    for _ in range(60):
        cuts = np.sort(draw.choice(SIZES["a"] // 10, 5, replace=False)) * 10
        pieces = [f"a:{first}-{last}" for first, last in itertools.pairwise(cuts)]
        try:
            tables, report, _ = split([pieces[0], pieces[3]], [pieces[1]], [pieces[2]])
        except InputError:
            continue
        seen = np.zeros(SIZES["a"] + 40_000, bool)
        for start, end in tables["train"][["start", "end"]].to_numpy():
            seen[start + 20_000 - 500 : end + 20_000 + 500] = True
        for name in ("valid", "test"):
            held = [
                seen[start + 20_000 : end + 20_000].sum() for start, end in tables[name][["start", "end"]].to_numpy()
            ]
            assert sum(held) == 0 == report[name]["overlap_bp_with_train"]
            checked += len(held)
    assert checked > 30


def test_unknown_windows_are_dropped_and_counted() -> None:
    def unknown(window: Region) -> float:
        return {0: 0.51, 8192: 0.5}.get(window.start, 0.0) if window.chrom == "b" else 0.0

    tables, report, _ = split(["a"], ["b:0-20000"], ["b:20000-50000"], unknown=unknown)
    assert starts(tables["valid"]) == [8192] and report["valid"]["dropped_unknown"] == 1


def test_regions_of_two_splits_that_overlap() -> None:
    with pytest.raises(InputError, match=r"here: test region b:19999-50000 overlaps valid region b:0-20000; take"):
        split(["a"], ["b:0-20000"], ["b:19999-50000"])


def test_a_split_without_windows() -> None:
    with pytest.raises(InputError, match="no window of 8192 bp in the valid split: 1 were laid, 1 of them known"):
        split(["a:0-40960"], ["a:40960-50000"], ["b"])


def test_the_hash_names_windows_and_reach() -> None:
    first = split(["a"], ["b:0-20000"], ["b:20000-50000"])
    assert first[1]["split_hash"] == first[2] == split(["a"], ["b:0-20000"], ["b:20000-50000"])[2]
    assert split(["a:0-90000"], ["b:0-20000"], ["b:20000-50000"])[2] != first[2]
    assert (
        split(["a"], ["b:0-20000"], ["b:20000-50000"], ShardsConfig(**{**CONFIG.__dict__, "max_shift": 1}))[2]
        != first[2]
    )


def test_a_genome_takes_seconds() -> None:
    sizes = {f"c{i}": 150_000_000 for i in range(20)}
    regions = {"train": [f"c{i}" for i in range(16)], "valid": ["c16", "c17"], "test": ["c18", "c19"]}
    began = time.monotonic()
    _, report, _ = split_windows(Fold(**regions), sizes, ShardsConfig(), lambda window: 0.0, "here")
    assert report["train"]["kept"] > 35_000 and time.monotonic() - began < 5
