"""AdamW with warm-up, a constant phase and cosine decay (paper sections 5 and 6)."""

from __future__ import annotations

import jax
import optax
from jaxtyping import PyTree

from megabase.model.weights import array_name
from megabase.training.adapters import ADAPTERS
from megabase.training.config import TrainingConfig


def schedule(config: TrainingConfig) -> optax.Schedule:
    """Learning rate by update: linear from 0 to the peak over the warm-up, the peak for `constant` updates, then cosine
    to 0 at the last update (paper sections 5 and 6). Fewer `steps` than that cut the earlier phases short."""
    warmup = min(config.warmup, max(config.steps - 1, 0))
    decay_from = min(warmup + config.constant, max(config.steps - 1, warmup))
    peak, rest = config.learning_rate, max(config.steps - decay_from, 1)
    phases = [
        optax.schedules.linear_schedule(0.0, peak, warmup),
        optax.schedules.constant_schedule(peak),
        optax.schedules.cosine_decay_schedule(peak, rest),
    ]
    return optax.schedules.join_schedules(phases, [warmup, decay_from])


def decayed(parameters: PyTree) -> PyTree:
    """Which arrays decay: the weights `w` of linear maps and convolutions; no biases, scales, offsets or embeddings."""
    return jax.tree_util.tree_map_with_path(lambda place, _: array_name(place).endswith(".w"), parameters)


def optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """b1 0.9, b2 0.999, eps 1e-8; decay on `decayed` arrays; global norm clipped where the config says so. What no head
    shapes, the network below all of them, stays as it is and has no moments; nor have arrays that adapters change."""
    made = optax.adamw(schedule(config), b1=0.9, b2=0.999, eps=1e-8, weight_decay=config.weight_decay, mask=decayed)
    if config.clip_norm:
        made = optax.chain(optax.clip_by_global_norm(config.clip_norm), made)
    if config.below != "trained":
        return optax.partition({"trained": made, "kept": optax.set_to_zero()}, _place)
    return made


def _place(parameters: PyTree) -> PyTree:
    def of(place: tuple[object, ...], _: object) -> str:
        return "trained" if array_name(place).startswith(("heads.", f"{ADAPTERS}.")) else "kept"

    return jax.tree_util.tree_map_with_path(of, parameters)
