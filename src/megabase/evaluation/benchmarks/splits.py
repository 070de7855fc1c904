"""What each benchmark demands of a model: which part of the genome it must not have been trained on.

Two conventions number the folds, and are easily swapped (evaluation reference, section 0 and trap 1). AlphaGenome's
FOLD_1 validates on section 3 and tests on section 4. Borzoi's released replicates f0 to f3 are four trainings of one
split that tests on section 3 and validates on section 4: f0 to f3 are not folds 0 to 3. Neither was trained on either
section, so the union is held out for both, but what one of them tests on, the other chose its checkpoint by.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

from megabase.errors import InputError
from megabase.evaluation.benchmarks.registry import Benchmark

if TYPE_CHECKING:
    import pandas as pd

Convention = Literal["alphagenome", "borzoi"]
SECTIONS: dict[Convention, dict[str, dict[str, int]]] = {
    "alphagenome": {
        "FOLD_0": {"valid": 0, "test": 1},
        "FOLD_1": {"valid": 3, "test": 4},
        "FOLD_2": {"valid": 2, "test": 5},
        "FOLD_3": {"valid": 6, "test": 7},
    },
    "borzoi": {replicate: {"valid": 4, "test": 3} for replicate in ("f0", "f1", "f2", "f3")},
}
"""Sections (of `sequences_human.bed.gz`, fold0 to fold7) by convention and model."""

TEST_CHROMOSOMES = ("chr3", "chr6", "chr9", "chr12", "chr16", "chr18", "chr19", "chr21")
"""Paper: variants on these are reported; scorers and tracks were chosen on the others."""
TRAIN_CHROMOSOMES = ("chr1", "chr4", "chr7", "chr8", "chr10", "chr13", "chr15")
"""Paper: supervised protocols learn from variants on these."""
ANY = "any fold"


@dataclasses.dataclass(frozen=True)
class Split:
    """One split by name."""

    fold: str
    """The model of this fold held its test windows out; `any fold` where the model's own test windows are taken."""
    says: str
    """What is held out, for the table."""
    chromosomes: tuple[str, ...] = ()
    """Where the judged variants or windows lie; everywhere if empty."""


_BORZOI = "sections 3 and 4, which neither FOLD_1 nor Borzoi's f0 to f3 were trained on; they swap test and validation"
SPLITS: dict[str, Split] = {
    "borzoi_fold_1": Split("FOLD_1", _BORZOI),
    "enformer": Split(ANY, "a model trained on Enformer's own intervals; else the test windows of its fold"),
    "chrombpnet_fold_0": Split("FOLD_0", "ChromBPNet's fold-0 test peaks that no training window of FOLD_0 overlaps"),
    "chr1,3,5,7,9 within fold 1": Split(
        "FOLD_1", "test windows of FOLD_1 on chr1,3,5,7,9, as SpliceAI's", ("chr1", "chr3", "chr5", "chr7", "chr9")
    ),
    "chr9,10 within fold 0": Split("FOLD_0", "test windows of FOLD_0 on chr9 and chr10, as Orca's", ("chr9", "chr10")),
    "test chromosomes": Split("all", "variants on chr3,6,9,12,16,18,19,21, untrained", TEST_CHROMOSOMES),
    "all chromosomes": Split("all", "no variant was trained on; the reference around it was"),
    "train and test chromosomes": Split("all", "learnt on chr1,4,7,8,10,13,15, judged on chr3,6,9,12,16,18,19,21"),
    "CAGI5 train and test": Split("all", "learnt on the challenge's training variants, judged on its test variants"),
}


def held_out_for_both(first: tuple[Convention, str], second: tuple[Convention, str]) -> dict[str, list[int]]:
    """Sections that two models both kept from training: `test` of both, and `swapped` between test and validation.

    FOLD_1 and Borzoi's f0 share sections 3 and 4, all swapped; FOLD_0 and f0 share none.
    """
    own, other = (SECTIONS[convention][name] for convention, name in (first, second))
    shared = {section for section in own.values() if section in other.values()}
    both = {section for section in shared if section == own["test"] == other["test"]}
    return {"test": sorted(both), "swapped": sorted(shared - both)}


def fold_name(description: Mapping[str, Any]) -> str:
    """`FOLD_1` of a model by its `model.json`; `all` for one of the whole genome."""
    fold = description.get("fold")
    return "all" if str(fold) in ("all", "all_folds") else f"FOLD_{fold}"


def check_model(benchmark: Benchmark, description: Mapping[str, Any]) -> str:
    """What is held out from the model, in words.

    Raises InputError for a model of the whole genome where windows are judged, for another fold's model where the
    benchmark names one, and for a model of one fold where variants are judged by the student.
    """
    own, name = fold_name(description), description.get("name", "model")
    where = f"benchmark {benchmark.id}, {name}"
    wanted = SPLITS[benchmark.split].fold if benchmark.split else ANY
    if benchmark.model == "fold" and own == "all":
        raise InputError(
            "trained on the whole genome", where=where, remedy="judge windows by the models of single folds"
        )
    if benchmark.model == "student" and own != "all":
        raise InputError(
            f"trained on {own}, but this is judged by the distilled model of all folds",
            where=where,
            remedy="score the variants with the student",
        )
    if wanted not in (ANY, own):
        sections = SECTIONS["alphagenome"].get(wanted, {})
        raise InputError(
            f"trained on {own}, but split `{benchmark.split}` is of {wanted} (AlphaGenome's: validation section "
            f"{sections.get('valid')}, test section {sections.get('test')}; Borzoi's f0 to f3 have 4 and 3)",
            where=where,
            remedy=f"evaluate the model of {wanted}",
        )
    return SPLITS[benchmark.split].says if benchmark.split else "the test windows of its own fold"


def check_variants(benchmark: Benchmark, variants: pd.DataFrame, where: object) -> pd.DataFrame:
    """The variants that are judged: rows of `split` test, or all where the benchmark takes all chromosomes.

    Raises InputError for a test variant on a chromosome that scorers were chosen on or supervised protocols learn
    from, and where none is left.
    """
    chromosomes = SPLITS[benchmark.split].chromosomes
    supervised = benchmark.split == "train and test chromosomes"
    if not chromosomes and not supervised:
        return variants
    allowed: Collection[str] = chromosomes or TEST_CHROMOSOMES
    test = variants["split"] == "test"
    wrong = variants[test & ~variants["chromosome"].isin(allowed)]
    if len(wrong):
        row = wrong.iloc[0]
        raise InputError(
            f"{row['variant_id']} on {row['chromosome']} is said to be of the test split ({len(wrong)} like it)",
            where=where,
            remedy=f"test variants lie on {', '.join(allowed)}",
        )
    taught = variants[(variants["split"] == "train") & variants["chromosome"].isin(TEST_CHROMOSOMES)]
    if len(taught):
        row = taught.iloc[0]
        raise InputError(
            f"{row['variant_id']} on {row['chromosome']} would be learnt from and judged ({len(taught)} like it)",
            where=where,
            remedy="mark it test, or leave it out",
        )
    kept = variants if supervised else variants[test]
    if kept.empty:
        raise InputError("no variant is of the test split", where=where, remedy="build the set again")
    return kept
