"""Weights that describe themselves: the arrays as safetensors, and beside them everything needed to use them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pydantic
from flax import nnx

import megabase
from megabase.artifacts import atomic_path, file_sha256, write_json
from megabase.errors import InputError
from megabase.model.config import NetworkConfig
from megabase.model.network import AlphaGenome
from megabase.model.spec import HeadSpec, ModelConfig

WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"


def export(directory: Path, model: AlphaGenome, description: Mapping[str, Any]) -> None:
    """Writes the parameters and batch statistics, float32, and `description` with what rebuilds the model.

    The same values give the same bytes. The description is written last: without it there is no model.
    """
    from safetensors.numpy import save_file

    with atomic_path(directory / WEIGHTS) as partial:
        # safetensors writes for the owner alone; others read what they may read of any new file.
        partial.touch()
        usual = partial.stat().st_mode
        save_file({name: np.array(value, order="C") for name, value in arrays(model).items()}, str(partial))
        partial.chmod(usual)
    made = dict(description) | {
        "megabase": megabase.__version__,
        "network": dataclasses.asdict(model.config.network),
        "heads": [dataclasses.asdict(spec) for spec in model.config.heads],
        "rows": model.config.organisms,
        "weights_sha256": file_sha256(directory / WEIGHTS),
    }
    write_json(directory / DESCRIPTION, made)


def load(directory: str | Path) -> tuple[AlphaGenome, dict[str, Any]]:
    """The model in a folder, ready for inference, and its description.

    Raises InputError where the folder holds no model, its weights are not those described, or an array is missing,
    extra or misshaped.
    """
    from safetensors.numpy import load_file

    directory = Path(directory)
    path = directory / WEIGHTS
    try:
        description = json.loads((directory / DESCRIPTION).read_text())
        stored = load_file(str(path))
    except FileNotFoundError as error:
        raise InputError("no model here", where=error.filename or path, remedy="give the folder of a model") from None
    except Exception as error:  # safetensors raises its own type
        raise InputError(f"cannot be read: {error}", where=path, remedy="export the model again") from None
    for key in ("network", "heads", "rows", "weights_sha256"):
        if key not in description:
            remedy = "export the model again"
            raise InputError(f"the key `{key}` is missing", where=directory / DESCRIPTION, remedy=remedy)
    network = pydantic.TypeAdapter(NetworkConfig).validate_python(description["network"])
    specs = tuple(_head_spec(spec) for spec in description["heads"])
    shapes = shapes_of(ModelConfig(network, specs, description["rows"]))
    expected = arrays(shapes)
    for name in sorted(expected.keys() | stored.keys()):
        if name not in stored or name not in expected:
            what = f"the array {name} is {'missing' if name not in stored else 'not part of the model'}"
            raise InputError(what, where=path, remedy="export the model again")
        if stored[name].shape != expected[name].shape:
            what = f"the array {name} has shape {stored[name].shape}, the model {expected[name].shape}"
            raise InputError(what, where=path, remedy="export the model again")
    if file_sha256(path) != description["weights_sha256"]:
        what = f"not the weights that {DESCRIPTION} describes: their checksums differ"
        raise InputError(what, where=path, remedy="export the model again")
    return filled(shapes, stored), description


def shapes_of(config: ModelConfig) -> AlphaGenome:
    """The model with shapes in place of its arrays; nothing is allocated."""
    return nnx.eval_shape(lambda: AlphaGenome(config, rngs=nnx.Rngs(0)))


def filled(shapes: AlphaGenome, values: Mapping[str, Any]) -> AlphaGenome:
    """The model with these arrays, by name."""
    graph, state = nnx.split(shapes)
    return nnx.merge(
        graph, jax.tree_util.tree_map_with_path(lambda place, _: jax.numpy.asarray(values[array_name(place)]), state)
    )


def arrays(model: AlphaGenome) -> dict[str, Any]:
    """Every array of the model by its place, such as `encoder.stem.kernel`."""
    leaves = jax.tree_util.tree_leaves_with_path(nnx.state(model))
    return {array_name(place): leaf for place, leaf in leaves}


def array_name(place: tuple[Any, ...]) -> str:
    """The name of an array from its place in the model's state, as JAX's tree functions give it."""
    parts = [str(getattr(part, "key", getattr(part, "name", getattr(part, "idx", "")))) for part in place]
    return ".".join(part for part in parts if part not in ("value", ""))


def _head_spec(described: Mapping[str, Any]) -> HeadSpec:
    return HeadSpec(
        described["bundle"],
        described["tracks"],
        means=tuple(tuple(row) for row in described["means"]),
        valid=tuple(tuple(row) for row in described["valid"]),
        strands=tuple(described.get("strands", ())),
        chosen=tuple(described.get("chosen", ())),
    )
