"""The forward pass at full size against the released model, on parameters that a rule makes (no weights needed)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from parity import rules

from megabase.errors import InputError
from megabase.model import ModelConfig
from megabase.model.network import AlphaGenome
from megabase.model.official import from_official, to_official
from megabase.model.weights import arrays, shapes_of


@pytest.fixture(scope="module")
def tree(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "parity" / "param_tree.json").read_text())


@pytest.fixture(scope="module")
def config(shared: Path) -> ModelConfig:
    return ModelConfig.paper(shared / "reference" / "tracks", dtype="float32", remat="nothing", junction_sites=64)


def test_the_released_model_has_these_arrays(config: ModelConfig, tree: dict[str, Any]) -> None:
    model = shapes_of(config)
    sizes = {kind: sum(x.size for x in jax.tree.leaves(nnx.state(model, kind))) for kind in (nnx.Param, nnx.BatchStat)}
    assert sizes == {nnx.Param: 450_452_613, nnx.BatchStat: 100_608}
    assert len(arrays(model)) == len(tree["params"]) + len(tree["state"])


@pytest.mark.long
def test_full_size_forward_pass(shared: Path, config: ModelConfig, tree: dict[str, Any]) -> None:
    fill = rules(shared, "fill")
    released = {
        kind: {path: fill.fill(path, array["shape"]) for path, array in tree[kind].items()}
        for kind in ("params", "state")
    }
    model = from_official(released["params"], released["state"], config)
    for ours, theirs in zip(to_official(model), released.values(), strict=True):
        assert ours.keys() == theirs.keys()
        assert [path for path in theirs if not np.array_equal(ours[path], theirs[path])] == []
    released.clear()

    @nnx.jit
    def forward(model: AlphaGenome, dna: jax.Array, positions: jax.Array) -> Any:
        embeddings = model.embed(dna, jnp.zeros(1, jnp.int32))
        likely = model.read(embeddings, jnp.zeros(1, jnp.int32))
        fixed = model.read(embeddings, jnp.zeros(1, jnp.int32), splice_site_positions=positions)
        return likely, fixed["splice_sites_junction"], embeddings

    dna = jnp.asarray(fill.one_hot(fill.dna(4096)))[None]
    positions = jnp.asarray(fill.splice_positions(4096, 64))[None]
    likely, fixed, embeddings = forward(model, dna, positions)
    tensors = {f"{head}/{name}": values for head, outputs in likely.items() for name, values in outputs.items()}
    tensors |= {f"emb/{name}": values for name, values in embeddings._asdict().items()}
    tensors |= {f"splice_sites_junction@fixed/{name}": values for name, values in fixed.items()}
    errors = {}
    with np.load(shared / "parity" / "expected.npz") as expected:
        keys = {key.removeprefix("model/f32full/4096/human/").split("|")[0] for key in expected if "f32full" in key}
        wanted_names = {key for key in keys if not key.startswith("tap/") and key.count("/") == 1}
        skipped = {"splice_sites_junction/topk_gap", "splice_sites_junction/kth_value"}
        assert wanted_names - skipped == set(tensors)
        for name, values in tensors.items():
            wanted = expected[f"model/f32full/4096/human/{name}|values"].astype(np.float64)
            found = np.asarray(values[0], np.float64)
            if name.endswith("splice_site_positions"):
                found = found[:, : wanted.shape[1]]
                assert np.array_equal(found, wanted), name
                continue
            found = found.reshape(-1)[fill.probe(name, values[0].shape)]
            assert np.isfinite(found).all(), name
            known = np.isfinite(wanted)  # padded tracks of the release predict NaN
            errors[name] = float(np.linalg.norm((found - wanted)[known]) / np.linalg.norm(wanted[known]))
    print("largest relative error", max(errors.items(), key=lambda item: item[1]))
    assert max(errors.values()) < 1e-4, errors


def test_arrays_that_do_not_fit_are_named() -> None:
    demo = ModelConfig.demo()
    network = dataclasses.replace(demo.network, channels=8, channel_step=0, blocks=2)
    config = dataclasses.replace(demo, network=network)
    model = AlphaGenome(config, rngs=nnx.Rngs(0))
    params, state = to_official(model)
    again = from_official(params, state, config)
    for name, array in arrays(model).items():
        assert np.array_equal(array, arrays(again)[name])
    place = "alphagenome/transformer_tower/mha_block_1/q_layer/w"
    with pytest.raises(InputError, match=f"{place}: the array is missing"):
        from_official({path: array for path, array in params.items() if path != place}, state, config)
    with pytest.raises(InputError, match=rf"{place}: the array has shape \(3, 3\), the model \(8, 64\)"):
        from_official(params | {place: np.zeros((3, 3), np.float32)}, state, config)
    with pytest.raises(InputError, match="alphagenome/surplus: the array has no place"):
        from_official(params | {"alphagenome/surplus": np.zeros(3, np.float32)}, state, config)
