"""No benchmark is computed on what its model was trained on, and the two ways to number folds are not mixed up."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from megabase.errors import InputError
from megabase.evaluation.benchmarks.registry import SPLITS as NAMES
from megabase.evaluation.benchmarks.registry import benchmark
from megabase.evaluation.benchmarks.splits import SPLITS, check_model, check_variants, held_out_for_both
from megabase.genome.config import HELD_OUT_SECTIONS

FOLD_1, WHOLE = {"fold": 1, "name": "fold_1"}, {"fold": "all", "name": "student"}


def test_every_split_of_the_registry_is_known() -> None:
    assert set(NAMES) == set(SPLITS)


def test_sections_are_those_that_models_are_trained_without() -> None:
    from megabase.evaluation.benchmarks.splits import SECTIONS

    own = [
        (SECTIONS["alphagenome"][f"FOLD_{fold}"]["valid"], SECTIONS["alphagenome"][f"FOLD_{fold}"]["test"])
        for fold in range(4)
    ]
    assert [tuple(one) for one in HELD_OUT_SECTIONS] == own


def test_borzoi_swaps_test_and_validation_of_fold_1() -> None:
    assert held_out_for_both(("alphagenome", "FOLD_1"), ("borzoi", "f0")) == {"test": [], "swapped": [3, 4]}
    assert held_out_for_both(("alphagenome", "FOLD_0"), ("borzoi", "f0")) == {"test": [], "swapped": []}
    assert held_out_for_both(("borzoi", "f1"), ("borzoi", "f3"))["test"] == [3]


def test_windows_are_judged_by_the_fold_that_held_them_out() -> None:
    assert "Borzoi's f0 to f3" in check_model(benchmark("cage_32bp"), FOLD_1)
    with pytest.raises(
        InputError, match=r"trained on FOLD_0, but split `borzoi_fold_1` is of FOLD_1.*f0 to f3 have 4 and 3"
    ):
        check_model(benchmark("cage_32bp"), {"fold": 0, "name": "fold_0"})
    with pytest.raises(InputError, match="trained on the whole genome"):
        check_model(benchmark("cage_128bp"), WHOLE)
    assert check_model(benchmark("cage_128bp"), {"fold": 3}), "any fold's own windows"


def test_variants_are_judged_by_the_student() -> None:
    assert "untrained" in check_model(benchmark("clinvar_missense"), WHOLE)
    with pytest.raises(InputError, match="trained on FOLD_1, but this is judged by the distilled model"):
        check_model(benchmark("clinvar_missense"), FOLD_1)


def variants(*rows: tuple[str, str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["chromosome", "split"])
    return table.assign(variant_id=[f"v{i}" for i in range(len(rows))])


def test_only_variants_of_test_chromosomes_are_judged() -> None:
    own = benchmark("clinvar_missense")
    kept = check_variants(own, variants(("chr3", "test"), ("chr1", "train"), ("chr2", "valid")), Path("set"))
    assert list(kept["variant_id"]) == ["v0"]
    with pytest.raises(InputError, match="v1 on chr1 is said to be of the test split"):
        check_variants(own, variants(("chr3", "test"), ("chr1", "test")), Path("set"))
    with pytest.raises(InputError, match="v0 on chr21 would be learnt from and judged"):
        check_variants(own, variants(("chr21", "train"), ("chr3", "test")), Path("set"))
    with pytest.raises(InputError, match="no variant is of the test split"):
        check_variants(own, variants(("chr1", "train")), Path("set"))
    everything = variants(("chr1", "train"), ("chr3", "test"))
    assert len(check_variants(benchmark("mfass_splicing"), everything, Path("set"))) == 2
    assert len(check_variants(benchmark("eqtl_causality_supervised"), everything, Path("set"))) == 2
