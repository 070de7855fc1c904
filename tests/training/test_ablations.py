"""Overlays that add models to whatever config they lie on, each like one of it but for what is studied."""

from __future__ import annotations

from pathlib import Path

import pytest

from megabase.bundles import BUNDLES
from megabase.config import load
from megabase.errors import InputError


def settings(root: Path, *names: str, base: str = "demo"):
    layers = ["config/default.yaml", f"config/{base}.yaml", *(f"config/ablations/{name}.yaml" for name in names)]
    return load([root / layer for layer in layers])


@pytest.mark.parametrize("base", ["demo", "paper"])
def test_an_ablation_changes_one_thing(repo_root: Path, base: str) -> None:
    made = settings(repo_root, "no_mutation", "teachers", "modalities", base=base)
    student, plain = made.recipe("student"), made.recipe("student_unmutated")
    assert (plain.mutation_rate, plain.structural_variants) == (0, 0)
    changed = {key for key in student.__dict__ if getattr(student, key) != getattr(plain, key)}
    assert changed == {"mutation_rate", "structural_variants"}
    assert made.teachers("student_unmutated") == made.teachers("student")
    assert made.teachers("student_of_1") == made.teachers("student")[:1]
    heads = {bundle.head for bundle in BUNDLES.values()}
    for group in ("accessibility", "expression", "splicing", "histone"):
        recipe = made.recipe(f"fold_0_{group}")
        assert recipe.trunk_heads and set(recipe.trunk_heads) < heads
        changed = {key for key in recipe.__dict__ if getattr(recipe, key) != getattr(made.recipe("fold_0"), key)}
        assert changed == {"trunk_heads"} and f"fold_0_{group}" in made.evaluated


def test_a_model_like_no_other_is_refused(repo_root: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("models: {other: {like: nobody, organisms: [human], fold: 0}}\n")
    with pytest.raises(InputError, match=r"own\.yaml: models\.other\.like: no model `nobody`; choose from fold_0"):
        load([repo_root / "config/default.yaml", repo_root / "config/demo.yaml", own])


@pytest.mark.parametrize("start", ["student", "teacher", "tuned"])
def test_a_model_begins_with_one_that_held_out_the_same(repo_root: Path, tmp_path: Path, start: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(f"models: {{tuned: {{like: fold_0, start: {start}}}}}\n")
    with pytest.raises(InputError, match=f"own.yaml: models.tuned.start: `tuned` cannot begin with `{start}`"):
        load([repo_root / "config/default.yaml", repo_root / "config/demo.yaml", own])
    own.write_text("models: {tuned: {like: fold_0, start: fold_0}}\n")
    assert (
        load([repo_root / "config/default.yaml", repo_root / "config/demo.yaml", own]).trained["tuned"].start
        == "fold_0"
    )


def test_target_resolution_and_sequence_length_change_one_thing(repo_root: Path) -> None:
    for base in ("demo", "paper"):
        made = settings(repo_root, "resolution", "sequence_length", base=base)
        fold = made.trained["fold_0"]
        for bins in (2, 8, 32, 128):
            own = made.trained[f"fold_0_{bins}bp"]
            assert made.recipe(f"fold_0_{bins}bp") == made.recipe("fold_0") and own.fold == fold.fold
            assert {min(chosen) for chosen in own.resolutions.values()} == {bins}
            assert set(own.resolutions) == {bundle.head for bundle in BUNDLES.values() if bundle.store_bin == 1}
        for name, pieces in (("fold_0_half", 2), ("fold_0_eighth", 8)):
            recipe = made.recipe(name)
            changed = {key for key in recipe.__dict__ if getattr(recipe, key) != getattr(made.recipe("fold_0"), key)}
            assert changed == {"pieces"} and recipe.rows == pieces * made.training.batch
        assert made.bases["fold_0_eighth_in_8"] == "fold_0_eighth" and made.bases["fold_0_in_8"] == "fold_0"
        assert made.bases["fold_0_eighth"] == "fold_0" and "fold_0" not in made.bases
    short = settings(repo_root, "sequence_length_short", base="paper")
    assert [short.shards.window // short.recipe(f"fold_0_{name}").pieces for name in ("32nd", "128th")] == [
        32_768,
        8192,
    ]


def test_presets_lie_under_what_a_model_says_and_over_what_it_is_like(repo_root: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "models:\n"
        "  fold_1: {training: {steps: 7, dropout: 0.2}}\n"
        "  tuned: {like: fold_1, start: fold_1, preset: borzoi_32bp, training: {dropout: 0.05}}\n"
    )
    made = load([repo_root / "config/default.yaml", repo_root / "config/paper.yaml", own])
    recipe, model = made.recipe("tuned"), made.trained["tuned"]
    assert (recipe.steps, recipe.dropout, recipe.pieces, recipe.central) == (5000, 0.05, 2, 196_608)
    assert model.resolutions["chip_tf"] == [32] and model.organisms == ["human", "mouse"] and model.fold == 1
    assert made.shards.window // recipe.pieces == 524_288
    enformer = settings(repo_root, "../presets/enformer_128bp", base="paper").recipe("fold_0_enformer_128bp")
    assert enformer.window == 196_608 and enformer.window * enformer.pieces <= made.shards.window
    assert enformer.window % enformer.multinomial_window == 0
    own.write_text("models: {tuned: {like: fold_1, preset: basenji}}\n")
    with pytest.raises(InputError, match=r"own\.yaml: models\.tuned\.preset: 'basenji' is not allowed"):
        load([repo_root / "config/default.yaml", repo_root / "config/demo.yaml", own])


@pytest.mark.parametrize(
    ("said", "models"),
    [
        ("`tuned` names biosamples both ways", "models: {tuned: {like: fold_0, only: [a], without: [b]}}"),
        ("no model `student` with held-out windows; choose from fold_0, fold_1", "pieces: {student: [2]}"),
        (
            r"own\.yaml: models\.fold_0\.resolutions\.cage: \[3\] bp cannot be predicted; choose some of 1, 2",
            "models: {fold_0: {resolutions: {cage: [3]}}}",
        ),
        ("`teacher` cannot teach `held`", "models: {held: {like: student, fold: 0}}"),
        (
            "adapters change the network below",
            "models: {t: {like: fold_0, training: {adapter_rank: 2, trunk_heads: []}}}",
        ),
    ],
)
def test_what_contradicts_is_refused(repo_root: Path, tmp_path: Path, said: str, models: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(models + "\n")
    with pytest.raises(InputError, match=said):
        load([repo_root / "config/default.yaml", repo_root / "config/demo.yaml", own])
