"""Weights that describe themselves: the same bytes, the same predictions, and a plain word when they are wrong."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from megabase.errors import InputError
from megabase.model.config import NetworkConfig
from megabase.model.network import AlphaGenome
from megabase.model.spec import HeadSpec, ModelConfig
from megabase.model.weights import DESCRIPTION, WEIGHTS, export, load

SPEC = HeadSpec("DNASE", 2, ((0.5, 1.0),), ((True, False),))
EXAMPLE = "encoder.stem.conv.w"


@pytest.fixture(scope="module")
def model() -> AlphaGenome:
    config = NetworkConfig(
        channels=4, channel_step=2, blocks=1, heads=2, key_channels=4, value_channels=4, pair_channels=4, pair_heads=2,
        pair_position_features=4, junction_channels=4, dtype="float32", remat="nothing",
    )  # fmt: skip
    model = AlphaGenome(ModelConfig(config, (SPEC,), 1), dropout=0.3, rngs=nnx.Rngs(3))
    model.encoder.stem.block.norm.var_ema.set_value(jnp.arange(4.0))
    return model


@pytest.fixture
def exported(model: AlphaGenome, tmp_path: Path) -> Path:
    export(tmp_path / "model", model, {"licence": "CC0", "organisms": {"demo": 0}})
    return tmp_path / "model"


def test_a_reloaded_model_is_the_same(model: AlphaGenome, exported: Path, tmp_path: Path) -> None:
    again, description = load(exported)
    assert description["licence"] == "CC0"
    assert again.config == model.config
    for one, two in zip(jax.tree.leaves(nnx.state(model)), jax.tree.leaves(nnx.state(again)), strict=True):
        np.testing.assert_array_equal(one, two)
    x = jnp.asarray(np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (1, 2048))])
    call = nnx.jit(lambda model, x: model(x, jnp.zeros(1, jnp.int32))[0]["dnase"]["predictions_1bp"])
    np.testing.assert_array_equal(call(model, x), call(again, x))
    export(tmp_path / "again", again, description)
    for name in (WEIGHTS, DESCRIPTION):
        assert (exported / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert (exported / WEIGHTS).stat().st_mode == (exported / DESCRIPTION).stat().st_mode


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop(EXAMPLE), f"the array {EXAMPLE} is missing"),
        (lambda arrays: arrays.update(surplus=np.zeros(1)), "the array surplus is not part of the model"),
        (lambda arrays: arrays.update({EXAMPLE: np.zeros(5, np.float32)}), rf"the array {EXAMPLE} has shape \(5,\)"),
        (lambda arrays: arrays.update({EXAMPLE: arrays[EXAMPLE] + 1}), "not the weights that model.json describes"),
    ],
)
def test_other_arrays_are_refused(exported: Path, change, message: str) -> None:
    arrays = load_file(str(exported / WEIGHTS))
    change(arrays)
    save_file(arrays, str(exported / WEIGHTS))
    with pytest.raises(InputError, match=message):
        load(exported)


def test_unreadable_weights_are_refused(exported: Path) -> None:
    weights = exported / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot be read"):
        load(exported)
    weights.unlink()
    with pytest.raises(InputError, match="no model here"):
        load(exported)


def test_a_description_that_lost_its_model_is_refused(exported: Path) -> None:
    (exported / DESCRIPTION).write_text("{}\n")
    with pytest.raises(InputError, match=r"model\.json: the key `network` is missing"):
        load(exported)
