"""The forward pass at full size against the released model, on parameters that a rule makes (no weights needed)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from flax import nnx

from megabase.model.config import ModelConfig
from megabase.model.network import AlphaGenome
from megabase.model.spec import head_specs
from megabase.model.weights import array_name

BUNDLES = ("ATAC", "CAGE", "DNASE", "RNA_SEQ", "PROCAP", "CHIP_HISTONE", "CHIP_TF", "CONTACT_MAPS")
ROOT = "alphagenome"
LEAVES = {"norm": "rms_batch_norm", "norm_out": "rms_batch_norm_1"}
BLOCKS = {
    "attention": ("mha_block", {"q": "q_layer", "k": "k_layer", "v": "v_layer", "out": "linear_embedding"} | LEAVES),
    "mlp": ("mlp_block", {"up": "linear", "down": "linear_1"} | LEAVES),
    "bias": ("attention_bias_block", LEAVES),
}
PAIRS = {
    "sequence_to_pair": ("sequence_to_pair_block", {"norm": "norm_seq2pair", "positions": "linear_pos_features"}),
    "row_attention": ("row_attention_block", {"norm": "layer_norm"}),
    "mlp": ("pair_mlp_block", {"norm": "layer_norm", "up": "linear", "down": "linear_1"}),
}
STAGES = {"conv_in": "conv_in", "conv_out": "conv_out", "skip": "pointwise_conv_unet_skip"}
EMBEDDERS = {"128bp": "output_embedder", "1bp": "output_embedder_1", "pair": "output_pair"}


def numbered(name: str, i: int) -> str:
    return name if i == 0 else f"{name}_{i}"


def convolution(parts: list[str]) -> str:
    """`norm.scale`, `conv.w`, `conv.b` within a convolution block."""
    kind = "linear" if parts[-1] == "b" or parts[0] == "linear" else "standardized_conv1_d"
    return f"{'rms_batch_norm' if parts[0] == 'norm' else kind}/{parts[-1]}"


def official(name: str) -> str:
    """The released path of one of our arrays."""
    place, *rest = name.split(".")
    match place:
        case "organism":
            return f"{ROOT}/embed/embeddings"
        case "encoder" if rest[0] == "stem":
            inner = f"conv1_d/{rest[-1]}" if rest[1] == "conv" else f"conv_block/{convolution(rest[2:])}"
            return f"{ROOT}/sequence_encoder/dna_embedder/{inner}"
        case "encoder":
            block = {"first": "conv_block", "second": "conv_block_1"}[rest[2]]
            return f"{ROOT}/sequence_encoder/downres_block_{rest[1]}/{block}/{convolution(rest[3:])}"
        case "decoder":
            stage = f"{ROOT}/sequence_decoder/{numbered('up_res_block', int(rest[1]))}"
            if rest[2] == "residual_scale":
                return f"{stage}/residual_scale"
            linear = rest[2] == "skip" and rest[3] == "conv"
            return f"{stage}/{STAGES[rest[2]]}/{f'linear/{rest[-1]}' if linear else convolution(rest[3:])}"
        case "tower" if rest[2] == "pair_update":
            block, names = PAIRS[rest[3]]
            update = f"{ROOT}/transformer_tower/{numbered('pair_update_block', int(rest[1]) // 2)}/{block}"
            if len(rest) == 5:
                return f"{update}/{rest[4]}"
            return f"{update}/{names.get(rest[4], f'linear_{rest[4]}')}/{rest[5]}"
        case "tower":
            block, names = BLOCKS[rest[2]]
            return f"{ROOT}/transformer_tower/{numbered(block, int(rest[1]))}/{names.get(rest[3], rest[3])}/{rest[4]}"
        case "heads":
            output = f"/resolution_{rest[2].removesuffix('bp')}" if rest[1] == "outputs" else ""
            linear = "" if rest[-1] == "learnt_scale" else "/multi_organism_linear"
            return f"{ROOT}/head/{rest[0]}{output}{linear}/{rest[-1]}"
    embedder = EMBEDDERS[place.removeprefix("embedder_")]
    norm = "layer_norm" if place == "embedder_pair" else "rms_batch_norm"
    inner = {"norm": norm, "organism": "embed", "linear": "linear", "coarse": "linear_1"}[rest[0]]
    return f"{ROOT}/{embedder}/{inner}/{rest[-1]}"


@pytest.mark.long
def test_full_size_forward_pass(shared: Path) -> None:
    sys.path.insert(0, str(shared / "parity"))
    try:
        import fill
    finally:
        sys.path.pop(0)
    tree = json.loads((shared / "parity" / "param_tree.json").read_text())
    released = tree["params"] | tree["state"]
    tables = {}
    for organism in ("human", "mouse"):
        table = pd.read_csv(shared / "reference" / "tracks" / f"{organism}.tsv", sep="\t")
        table = table.rename(columns={"name": "track"})
        tables[organism] = {bundle: table[table["output_type"] == bundle] for bundle in BUNDLES}
    specs = head_specs(tables, {"human": 0, "mouse": 1})

    full = {name: getattr(ModelConfig.paper(), name) for name in ModelConfig.__dataclass_fields__}  # type: ignore[attr-defined]
    config = ModelConfig(**(full | {"dtype": "float32", "remat": False}))
    shapes = nnx.eval_shape(lambda: AlphaGenome(config, specs, 2, rngs=nnx.Rngs(0)))
    graph, state = nnx.split(shapes)
    taken = set()

    def filled(place: tuple[Any, ...], leaf: Any) -> jax.Array:
        path = official(array_name(place))
        taken.add(path)
        return jnp.asarray(fill.fill(path, released[path]["shape"]).reshape(leaf.shape))

    model = nnx.merge(graph, jax.tree_util.tree_map_with_path(filled, state))
    # Splicing heads are the only arrays of the release that are not here.
    assert {path for path in released if path not in taken} == {path for path in released if "/head/splice" in path}

    dna = jnp.asarray(fill.one_hot(fill.dna(4096)))[None]
    predictions, embeddings = nnx.jit(lambda model, dna: model(dna, jnp.zeros(1, jnp.int32)))(model, dna)
    tensors = {f"{head}/{name}": values for head, outputs in predictions.items() for name, values in outputs.items()}
    tensors |= {f"emb/embeddings_{name}": values for name, values in embeddings.items()}
    errors = {}
    with np.load(shared / "parity" / "expected.npz") as expected:
        for name, values in tensors.items():
            wanted = expected[f"model/f32full/4096/human/{name}|values"].astype(np.float64)
            found = np.asarray(values[0], np.float64).reshape(-1)[fill.probe(name, values[0].shape)]
            assert np.isfinite(found).all(), name
            known = np.isfinite(wanted)  # padded tracks of the release predict NaN
            errors[name] = float(np.linalg.norm((found - wanted)[known]) / np.linalg.norm(wanted[known]))
    print("largest relative error", max(errors.items(), key=lambda item: item[1]))
    assert max(errors.values()) < 1e-4, errors
