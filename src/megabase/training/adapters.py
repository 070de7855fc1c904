"""Low-rank adapters: an array below the heads learns a product of two narrow ones, which is added to it.

As proposed for language models (Hu et al. 2021, LoRA): the first factor begins at random and the second at zero, so
that training begins with the model as it was.
"""

from __future__ import annotations

import fnmatch
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from megabase.errors import InputError
from megabase.model.weights import array_name
from megabase.training.config import TrainingConfig

ADAPTERS = "adapters"
"""Where they stand among the parameters of a model in training."""
_DOWN, _UP = "down", "up"


def with_adapters(parameters: PyTree, config: TrainingConfig) -> PyTree:
    """The parameters and, beside them, two narrow arrays for each that `config.adapter_arrays` names.

    Arrays may be shapes alone. Raises InputError for a pattern that names no array, or one that is no matrix.
    """
    named = {array_name(place): x for place, x in jax.tree_util.tree_leaves_with_path(parameters)}
    chosen: dict[str, Any] = {}
    for pattern in config.adapter_arrays:
        found = [name for name in named if _fits(name, pattern) and not name.startswith("heads.")]
        if not found:
            remedy = "give patterns of names in weights.safetensors, below the heads"
            raise InputError(f"no array {pattern}", where="training.adapter_arrays", remedy=remedy)
        for name in found:
            if named[name].ndim != 2:
                what = f"{name} has shape {tuple(named[name].shape)}, and adapters are for matrices"
                raise InputError(what, where="training.adapter_arrays", remedy="give patterns of linear maps")
            chosen[name] = named[name].shape

    def drawn() -> PyTree:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), len(chosen)), len(chosen))
        return {
            name: {
                _DOWN: jax.random.normal(key, (inputs, config.adapter_rank)) / math.sqrt(inputs),
                _UP: jnp.zeros((config.adapter_rank, outputs)),
            }
            for key, (name, (inputs, outputs)) in zip(keys, sorted(chosen.items()), strict=True)
        }

    shapes_alone = isinstance(next(iter(named.values())), jax.ShapeDtypeStruct)
    return {**parameters, ADAPTERS: jax.eval_shape(drawn) if shapes_alone else drawn()}


def _fits(name: str, pattern: str) -> bool:
    """Part by part, so that `*` never stands for several."""
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def merged(parameters: PyTree, config: TrainingConfig) -> PyTree:
    """The parameters of the model itself, every product added to its array. Of all arrays below the heads only adapters
    have a gradient. Of numpy's arrays, numpy's arrays."""
    if ADAPTERS not in parameters:
        return parameters
    products = parameters[ADAPTERS]
    own = {name: value for name, value in parameters.items() if name != ADAPTERS}

    def value(place: tuple[Any, ...], x: Any) -> Any:
        name = array_name(place)
        if name.startswith("heads."):
            return x
        kept = x if isinstance(x, np.ndarray) else jax.lax.stop_gradient(x)
        if name not in products:
            return kept
        scale = config.adapter_alpha / config.adapter_rank
        return kept + scale * (products[name][_DOWN] @ products[name][_UP])

    return jax.tree_util.tree_map_with_path(value, own)
