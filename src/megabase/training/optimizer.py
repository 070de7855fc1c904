"""AdamW with warm-up and cosine decay (paper section 5)."""

from __future__ import annotations

import jax
import optax
from jaxtyping import PyTree

from megabase.model.weights import array_name
from megabase.training.config import TrainingConfig


def schedule(config: TrainingConfig) -> optax.Schedule:
    """Learning rate by update: linear from 0 to the peak over the warm-up, then cosine to 0 at the last update."""
    warmup = min(config.warmup, max(config.steps - 1, 0))
    return optax.schedules.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, warmup, max(config.steps, warmup + 1)
    )


def decayed(parameters: PyTree) -> PyTree:
    """Which arrays decay: the weights `w` of linear maps and convolutions; no biases, scales, offsets or embeddings."""
    return jax.tree_util.tree_map_with_path(lambda place, _: array_name(place).endswith(".w"), parameters)


def optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """b1 0.9, b2 0.999, eps 1e-8; decay on `decayed` arrays; global norm clipped where the config says so."""
    adamw = optax.adamw(schedule(config), b1=0.9, b2=0.999, eps=1e-8, weight_decay=config.weight_decay, mask=decayed)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adamw) if config.clip_norm else adamw
