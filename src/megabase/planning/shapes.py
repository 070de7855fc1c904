"""Models and batches as shapes alone: what a program is compiled for before there are values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from megabase.model.network import AlphaGenome
from megabase.model.sharding import divided
from megabase.model.spec import HeadSpec, ModelConfig
from megabase.store.batches import Batch
from megabase.training.config import TrainingConfig
from megabase.training.losses import GENES
from megabase.training.step import on_mesh, one_hot, placed, plain


def batch_shapes(config: ModelConfig, length: int, recipe: TrainingConfig) -> Batch:
    """What `store.batches` gives, where every track has places without data: masks by track, the most there can be."""
    rows, sites = recipe.rows, config.network.junction_sites

    def shape(dtype: Any, *sizes: int) -> Any:
        return jax.ShapeDtypeStruct((rows, *sizes), dtype)

    def target_and_mask(spec: HeadSpec) -> tuple[Any, Any]:
        bins = length // spec.read_at
        match spec.bundle:
            case "CONTACT_MAPS":
                return shape(jnp.float32, bins, bins, spec.tracks), shape(jnp.bool_, bins, spec.tracks)
            case "SPLICE_SITES":
                return shape(jnp.bool_, bins, spec.tracks), shape(jnp.bool_, bins, 1)
            case "SPLICE_SITE_USAGE":
                return shape(jnp.float32, bins, spec.tracks), shape(jnp.bool_, bins, 1)
            case "SPLICE_JUNCTIONS":
                return shape(jnp.float32, sites, sites, 2 * spec.tracks), shape(jnp.bool_, 1, 1, 1)
        dtype = jnp.bfloat16 if spec.settings.store_bin == 1 else jnp.float32
        return shape(dtype, bins, spec.tracks), shape(jnp.bool_, bins, spec.tracks)

    pairs = {spec.head: target_and_mask(spec) for spec in config.heads}
    masks = {head: mask for head, (_, mask) in pairs.items()}
    if recipe.gene_weight:
        masks[GENES] = shape(jnp.bool_, length, 2, recipe.gene_slots)
    return Batch(
        sequence=shape(jnp.uint8, length),
        organism_index=shape(jnp.int32),
        targets={head: target for head, (target, _) in pairs.items()},
        masks=masks,
        splice_site_positions=shape(jnp.int32, 4, sites),
    )


def inference(model: AlphaGenome, batch: Batch, mesh: Mesh) -> tuple[Callable[..., PyTree], tuple[PyTree, ...]]:
    """All predictions of all heads as a function of parameters, statistics, sequence and organisms, and its arguments;
    predictions stay divided over the devices."""
    graph, *values = plain(model)

    def forward(parameters: PyTree, statistics: PyTree, sequence: Any, organism_index: Any) -> PyTree:
        predictions, _ = nnx.merge(graph, parameters, statistics)(one_hot(sequence), organism_index)
        return jax.tree.map(divided, predictions)

    everywhere = NamedSharding(mesh, PartitionSpec())
    own = jax.tree.map(lambda x: placed(x, everywhere), values)
    asked = on_mesh({key: batch[key] for key in ("sequence", "organism_index")}, mesh)  # type: ignore[arg-type]
    return forward, (*own, asked["sequence"], asked["organism_index"])
