"""Low-rank adapters: they alone change what lies below the heads, and the exported weights have them inside."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from lessons import batch_of, config_of, model_of
from pydantic import ValidationError

from megabase.commands.finetune import finetune
from megabase.errors import InputError
from megabase.model.weights import arrays, load
from megabase.training.adapters import ADAPTERS, merged, with_adapters
from megabase.training.config import TrainingConfig
from megabase.training.step import Trainer, make_mesh, plain

RECIPE = TrainingConfig(
    batch=1, multinomial_window=1024, learning_rate=0.01, warmup=0, adapter_rank=2, dropout=0.3, weight_decay=0.1
)
MATRICES = ("attention.q.w", "attention.k.w", "attention.v.w", "attention.out.w", "mlp.up.w", "mlp.down.w")


def test_training_begins_with_the_model_as_it_was_and_changes_adapted_arrays_alone() -> None:
    config = config_of("CAGE", "CHIP_TF")
    model, batch = model_of(config, dropout=0.3), batch_of(config)
    trainer = Trainer(model, RECIPE, make_mesh())
    # Copies: training takes the arrays themselves.
    before = {name: np.array(value) for name, value in arrays(model).items()}
    begun = arrays(trainer.model(trainer.initial))
    assert before.keys() == begun.keys() and all(np.array_equal(before[name], begun[name]) for name in before)
    adapters = trainer.initial.parameters[ADAPTERS]
    assert set(adapters) == {f"tower.blocks.0.{name}" for name in MATRICES}
    moments = jax.tree.leaves(trainer.initial.optimizer)
    trained = sum(x.size for x in jax.tree.leaves((adapters, trainer.initial.parameters["heads"])))
    assert sum(x.size for x in moments if x.ndim) == 2 * trained, "no moments of what stays"
    state = trainer.initial
    losses = []
    for step in range(6):
        state, metrics = trainer.update(state, batch, step)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < losses[0] and np.isfinite(losses).all()
    after = arrays(trainer.model(state))
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert {name for name in moved if not name.startswith("heads.")} == set(adapters)
    for name in adapters:
        change = np.asarray(after[name]) - np.asarray(before[name])
        assert np.linalg.matrix_rank(change, tol=1e-6 * np.abs(change).max() * max(change.shape)) <= 2, name
    # What is exported predicts what was trained.
    exported: Any = trainer.model(state)
    again = Trainer(exported, dataclasses.replace(RECIPE, adapter_rank=0), make_mesh())
    ours, theirs = trainer.validate(state, batch), again.validate(again.initial, batch)
    assert np.isclose(ours["loss"], theirs["loss"], rtol=1e-5)
    assert ADAPTERS not in again.initial.parameters


def test_products_are_scaled_by_alpha_over_rank() -> None:
    parameters = plain(model_of(config_of("CAGE")))[1]
    recipe = TrainingConfig(adapter_rank=2, adapter_alpha=6, adapter_arrays=["tower.blocks.0.mlp.up.w"])
    made = with_adapters(parameters, recipe)
    own = made[ADAPTERS]["tower.blocks.0.mlp.up.w"]
    own["up"] = np.ones_like(own["up"])
    weights = merged(made, recipe)["tower"]["blocks"][0]["mlp"]["up"]["w"]
    expected = np.asarray(parameters["tower"]["blocks"][0]["mlp"]["up"]["w"]) + 3 * np.asarray(own["down"]) @ own["up"]
    assert np.allclose(weights, expected, atol=1e-6)


def test_patterns_name_matrices_below_the_heads() -> None:
    parameters = plain(model_of(config_of("CAGE")))[1]
    for pattern, said in (
        ("tower.blocks.*.mpl.w", r"no array tower\.blocks"),
        ("heads.cage.*", "no array heads"),
        ("encoder.stem.conv.w", r"encoder\.stem\.conv\.w has shape \(15, 4, 4\), and adapters are for matrices"),
    ):
        with pytest.raises(InputError, match=said):
            with_adapters(parameters, TrainingConfig(adapter_rank=1, adapter_arrays=[pattern]))
    with pytest.raises(ValidationError, match="adapters change the network below the heads"):
        TrainingConfig(adapter_rank=1, trunk_heads=[])


def test_the_command_trains_adapters_at_another_resolution(shards: Path, unbroken: Path, tmp_path: Path) -> None:
    recipe = {"steps": 3, "warmup": 0, "batch": 1, "learning_rate": 0.01, "adapter_rank": 1, "seed": 9}
    tuned = finetune(unbroken, [shards], tmp_path, recipe=recipe, resolution=32)
    model, described = load(tuned)
    assert {spec.head: spec.resolutions for spec in model.config.heads if spec.settings.kind == "signal"} == {
        "cage": (32,),
        "dnase": (32,),
        "chip_tf": (32,),
    }
    assert described["training"]["adapter_rank"] == 1
    assert described["start"]["heads"] == ["contact_maps"], "others predict other bins, and began anew"
    before, after = arrays(load(unbroken)[0]), arrays(model)
    same = [name for name in before if name in after and not name.startswith("heads.")]
    moved = {name for name in same if not np.array_equal(before[name], after[name])}
    assert moved and all(name.endswith(MATRICES) for name in moved)
    with pytest.raises(InputError, match="finetune: Value error, adapters change the network"):
        finetune(unbroken, [shards], tmp_path, recipe=recipe, heads_only=True)


def test_a_preset_has_its_bins_and_windows(shards: Path, unbroken: Path, tmp_path: Path) -> None:
    small = {"steps": 2, "warmup": 0, "batch": 1, "pieces": 2, "window": 2048, "multinomial_window": 1024}
    with pytest.raises(InputError, match=r"training\.central: the middle 196,608 bp of windows of 2,048 bp"):
        finetune(unbroken, [shards], tmp_path, recipe=small, preset="borzoi_32bp")
    tuned = finetune(unbroken, [shards], tmp_path, recipe=small | {"central": 2048}, preset="borzoi_32bp")
    described = json.loads((tuned / "model.json").read_text())
    assert described["window_length"] == 2048 and described["resolutions"]["chip_tf"] == [32]
    assert described["training"]["clip_norm"] == 0.5 and described["training"]["head_weights"]["contact_maps"] == 0
