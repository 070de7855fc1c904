"""AdamW with warm-up and cosine decay (paper section 5)."""

from __future__ import annotations

import jax
import optax
from jaxtyping import PyTree

from megabase.training.config import TrainingConfig


def schedule(config: TrainingConfig) -> optax.Schedule:
    """Learning rate by update: linear from 0 to the peak over the warm-up, then cosine to 0 at the last update."""
    warmup = min(config.warmup, max(config.steps - 1, 0))
    return optax.schedules.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, warmup, max(config.steps, warmup + 1)
    )


def decayed(parameters: PyTree) -> PyTree:
    """Which arrays decay: weight matrices and kernels, not biases, scales, norms or embeddings of an organism."""

    def weighs(path: tuple[object, ...], array: jax.Array) -> bool:
        name = jax.tree_util.keystr(path)
        vector = sum(size > 1 for size in array.shape) < 2
        return not vector and not any(part in name for part in ("organism", "bias", "scale", "offset"))

    return jax.tree_util.tree_map_with_path(weighs, parameters)


def optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """b1 0.9, b2 0.999, eps 1e-8; decay on `decayed` arrays; global norm clipped where the config says so."""
    adamw = optax.adamw(schedule(config), b1=0.9, b2=0.999, eps=1e-8, weight_decay=config.weight_decay, mask=decayed)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adamw) if config.clip_norm else adamw
