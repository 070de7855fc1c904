"""Checkpoints of the released model: its arrays into ours and ours into its, by name.

The released arrays are named by their module's path and their own name, such as
`alphagenome/transformer_tower/mha_block_3/q_layer/w` (architecture reference, `parity/param_tree.json`). Norms have
leading axes of length 1 there; all else has the same shape here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import numpy as np
from jaxtyping import Float32

from megabase.errors import InputError
from megabase.model.network import AlphaGenome
from megabase.model.spec import ModelConfig
from megabase.model.weights import arrays, filled, shapes_of

Arrays = Mapping[str, Float32[np.ndarray, "*shape"]]
"""Arrays by released path."""

STATE = "var_ema"
"""Name of the arrays that are state, not parameters: running mean squares."""
_ROOT = "alphagenome"
_NORMS = {"norm": "rms_batch_norm", "norm_out": "rms_batch_norm_1"}
_BLOCKS = {
    "attention": ("mha_block", {"q": "q_layer", "k": "k_layer", "v": "v_layer", "out": "linear_embedding"} | _NORMS),
    "mlp": ("mlp_block", {"up": "linear", "down": "linear_1"} | _NORMS),
    "bias": ("attention_bias_block", _NORMS),
}
_PAIRS = {
    "sequence_to_pair": ("sequence_to_pair_block", {"norm": "norm_seq2pair", "positions": "linear_pos_features"}),
    "row_attention": ("row_attention_block", {"norm": "layer_norm"}),
    "mlp": ("pair_mlp_block", {"norm": "layer_norm", "up": "linear", "down": "linear_1"}),
}
_STAGES = {"conv_in": "conv_in", "conv_out": "conv_out", "skip": "pointwise_conv_unet_skip"}
_EMBEDDERS = {"128bp": "output_embedder", "1bp": "output_embedder_1", "pair": "output_pair"}


def from_official(params: Arrays, state: Arrays, config: ModelConfig) -> AlphaGenome:
    """The model of `config` with the released arrays, ready for inference.

    Raises InputError that names an array which is missing, misshaped, or has no place in the model.
    """
    shapes = shapes_of(config)
    given = dict(params) | dict(state)
    values = {}
    for name, wanted in arrays(shapes).items():
        path = official_path(name)
        if path not in given:
            raise InputError(
                "the array is missing", where=path, remedy="give all arrays of the release, or other heads"
            )
        array = np.asarray(given.pop(path), np.float32)
        if _squeezed(array.shape) != _squeezed(wanted.shape):
            what = f"the array has shape {array.shape}, the model {wanted.shape}"
            raise InputError(what, where=path, remedy="build the model from the release's own track tables")
        values[name] = array.reshape(wanted.shape)
    if given:
        raise InputError(
            f"the array has no place in the model, nor have {len(given) - 1} others",
            where=min(given),
            remedy="build the model with all heads of the release",
        )
    return filled(shapes, values)


def to_official(model: AlphaGenome) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The model's parameters and state by released path, in released shapes: the inverse of `from_official`."""
    params: dict[str, np.ndarray] = {}
    state: dict[str, np.ndarray] = {}
    for name, array in arrays(model).items():
        path = official_path(name)
        value = np.asarray(jax.device_get(array), np.float32)
        into = state if path.endswith(f"/{STATE}") else params
        into[path] = value.reshape(_official_shape(path, value.shape))
    return params, state


def official_path(name: str) -> str:
    """The released path of one of our arrays."""
    place, *rest = name.split(".")
    match place:
        case "organism":
            return f"{_ROOT}/embed/embeddings"
        case "encoder" if rest[0] == "stem":
            inner = f"conv1_d/{rest[-1]}" if rest[1] == "conv" else f"conv_block/{_convolution(rest[2:])}"
            return f"{_ROOT}/sequence_encoder/dna_embedder/{inner}"
        case "encoder":
            block = {"first": "conv_block", "second": "conv_block_1"}[rest[2]]
            return f"{_ROOT}/sequence_encoder/downres_block_{rest[1]}/{block}/{_convolution(rest[3:])}"
        case "decoder":
            stage = f"{_ROOT}/sequence_decoder/{_numbered('up_res_block', int(rest[1]))}"
            if rest[2] == "residual_scale":
                return f"{stage}/residual_scale"
            linear = rest[2] == "skip" and rest[3] == "conv"
            return f"{stage}/{_STAGES[rest[2]]}/{f'linear/{rest[-1]}' if linear else _convolution(rest[3:])}"
        case "tower" if rest[2] == "pair_update":
            block, names = _PAIRS[rest[3]]
            update = f"{_ROOT}/transformer_tower/{_numbered('pair_update_block', int(rest[1]) // 2)}/{block}"
            if len(rest) == 5:
                return f"{update}/{rest[4]}"
            return f"{update}/{names.get(rest[4], f'linear_{rest[4]}')}/{rest[5]}"
        case "tower":
            block, names = _BLOCKS[rest[2]]
            return f"{_ROOT}/transformer_tower/{_numbered(block, int(rest[1]))}/{names.get(rest[3], rest[3])}/{rest[4]}"
        case "heads":
            return f"{_ROOT}/head/{rest[0]}/{_head(rest[1:])}"
    embedder = _EMBEDDERS[place.removeprefix("embedder_")]
    norm = "layer_norm" if place == "embedder_pair" else "rms_batch_norm"
    inner = {"norm": norm, "organism": "embed", "linear": "linear", "coarse": "linear_1"}[rest[0]]
    return f"{_ROOT}/{embedder}/{inner}/{rest[-1]}"


def _numbered(name: str, i: int) -> str:
    return name if i == 0 else f"{name}_{i}"


def _convolution(parts: list[str]) -> str:
    """`norm.scale`, `conv.w`, `conv.b` within a convolution block."""
    kind = "linear" if parts[-1] == "b" else "standardized_conv1_d"
    return f"{'rms_batch_norm' if parts[0] == 'norm' else kind}/{parts[-1]}"


def _head(parts: list[str]) -> str:
    """`linear.w`, `outputs.128bp.linear.w`, `outputs.1bp.learnt_scale` or `embeddings.pos_donor` within a head."""
    if parts[0] == "embeddings":
        return f"{parts[1]}_logits/embeddings"
    output = f"resolution_{parts[1].removesuffix('bp')}/" if parts[0] == "outputs" else ""
    return output + (parts[-1] if parts[-1] == "learnt_scale" else f"multi_organism_linear/{parts[-1]}")


def _official_shape(path: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Scales and offsets of norms have the rank of what they normalise, so have a standardised kernel's scale
    and the biases of relative positions."""
    module, name = path.split("/")[-2:]
    if name in ("q_r_bias", "k_r_bias"):
        return (1, 1, *shape)
    if name not in ("scale", "offset", STATE) or module == "layer_norm" or module.startswith("norm_"):
        return shape
    rank = 4 if "attention_bias_block" in path else 3
    return (1,) * (rank - 1) + shape


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1) or (math.prod(shape),)
