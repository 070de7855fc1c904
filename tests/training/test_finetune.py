"""Models that begin with another's weights: heads alone, or everything, on the same tracks or on others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from lessons import TINY, config_of, model_of
from small_run import run

from megabase.commands.finetune import finetune
from megabase.errors import InputError
from megabase.model import ModelConfig
from megabase.model.network import AlphaGenome
from megabase.model.weights import arrays, export, load
from megabase.training.transfer import begun


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two organisms and two heads."""
    folder = tmp_path_factory.mktemp("origin")
    export(
        folder, model_of(config_of("CAGE", "CHIP_TF"), 1), {"organisms": {"a": 0, "b": 1}, "name": "base", "fold": 0}
    )
    return folder


def test_what_fits_is_taken_over(origin: Path) -> None:
    """The network below, by organism; a head only for the same tracks of the same organisms."""
    theirs = arrays(load(origin)[0])
    new = model_of(config_of("CAGE", "DNASE"), 2)
    own, known = begun(new, {"a": 0, "b": 1}, origin)
    made, fresh = arrays(own), arrays(new)
    for name, value in made.items():
        expected = fresh if name.startswith("heads.dnase") else theirs
        assert np.array_equal(value, expected[name]), name
    assert known["heads"] == ["cage"] and known["name"] == "base" and known["fold"] == 0
    turned = config_of("CAGE")
    own, known = begun(model_of(turned, 2), {"b": 0, "a": 1}, origin)
    assert known["heads"] == []
    assert np.array_equal(arrays(own)["organism.embeddings"], theirs["organism.embeddings"][::-1])
    assert np.array_equal(
        arrays(own)["heads.cage.outputs.1bp.linear.w"], arrays(model_of(turned, 2))["heads.cage.outputs.1bp.linear.w"]
    )
    wider = ModelConfig(TINY.__class__(**{**TINY.__dict__, "channels": 6}), turned.heads, 2)
    with pytest.raises(InputError, match=r"has shape \(.*\), not \(.*\); set `model` to the size"):
        begun(AlphaGenome(wider, rngs=nnx.Rngs(0)), {"a": 0, "b": 1}, origin)


def test_heads_alone_leave_the_network_below_as_it_was(shards: Path, unbroken: Path, tmp_path: Path) -> None:
    recipe = {"steps": 3, "warmup": 1, "batch": 1, "clip_norm": 1.0, "seed": 9}
    tuned = finetune(unbroken, [shards], tmp_path, heads_only=True, recipe=recipe)
    before, after = (arrays(load(folder)[0]) for folder in (unbroken, tuned))
    moved = {name.split(".")[0] for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"heads"}
    described = json.loads((tuned / "model.json").read_text())
    own = json.loads((unbroken / "model.json").read_text())
    assert described["start"]["weights_sha256"] == own["weights_sha256"]
    with pytest.raises(InputError, match=r"no windows here; make them first"):
        finetune(unbroken, [tmp_path / "fold_0"], tmp_path, heads_only=True, recipe=recipe)
    with pytest.raises(InputError, match=r"training\.trunk_heads: no head cages; choose from"):
        run(shards, tmp_path, {"trunk_heads": ["cages"]})
