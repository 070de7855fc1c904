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
