"""The losses (architecture reference 6.2, paper section 4): means over the positions and tracks that are known."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from megabase.model.scaling import targets_scaling
from megabase.model.spec import HeadSpec
from megabase.training.config import TrainingConfig

MULTINOMIAL_WEIGHT = 5.0
"""Weight of the profile's shape against its total."""
_TINY = 1e-7


def masked_mean(values: Float[Array, "*shape"], mask: Bool[Array, "*_shape"]) -> Float[Array, ""]:
    """Mean over the entries where `mask` (broadcast) holds; 0 where it holds nowhere.

    What stands at the others reaches neither the value nor the gradient, NaN included.
    """
    mask = jnp.broadcast_to(mask, values.shape)
    return jnp.sum(jnp.where(mask, values, 0.0)) / _count(mask)


def _count(mask: Bool[Array, "*shape"]) -> Float[Array, ""]:
    """At least 1. In float32: a batch of the paper's size has more entries than int32 can count."""
    return jnp.maximum(1.0, jnp.sum(mask, dtype=jnp.float32))


def poisson(
    target: Float[Array, "*shape"], predicted: Float[Array, "*shape"], mask: Bool[Array, "*_shape"]
) -> Float[Array, ""]:
    """Mean Poisson deviance."""
    return masked_mean(deviance(target, predicted), mask)


def deviance(target: Float[Array, "*shape"], predicted: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Poisson deviance: `p - y log(p + 1e-7)` less its minimum over p."""
    minimum = target - target * jnp.log(target + _TINY)
    return predicted - target * jnp.log(predicted + _TINY) - minimum


def multinomial(
    target: Float[Array, "B N T"], predicted: Float[Array, "B N T"], mask: Bool[Array, "B N T"], bins: int
) -> Float[Array, ""]:
    """Poisson deviance of the totals of segments of `bins` positions, and 5 times the cross entropy of the profile
    within each segment; both as means over known positions, so that a segment weighs as much as is known of it."""
    target = jnp.where(mask, jnp.maximum(target, 0.0), 0.0)
    predicted = jnp.where(mask, predicted, 0.0)
    batch, length, tracks = predicted.shape
    target, predicted, mask = (x.reshape(batch, length // bins, bins, tracks) for x in (target, predicted, mask))
    totals = predicted.sum(axis=2, keepdims=True)
    # Nothing known: nothing observed, nothing predicted, and no deviance.
    total = jnp.sum(deviance(target.sum(axis=2, keepdims=True), totals)) / _count(mask)
    profile = masked_mean(-target * jnp.log(predicted / (totals + _TINY) + _TINY), mask)
    return total + MULTINOMIAL_WEIGHT * profile


def contact_loss(
    target: Float[Array, "B P P T"], predicted: Float[Array, "B P P T"], mask: Bool[Array, "B P T"]
) -> Float[Array, ""]:
    """Mean squared error over pairs of known bins that are not NaN."""
    known = mask[:, :, None] & mask[:, None, :] & ~jnp.isnan(target)
    return masked_mean(jnp.square(predicted - jnp.where(known, target, 0.0)), known)


def total_loss(
    predictions: Mapping[str, Mapping[str, Float[Array, "..."]]],
    organism_index: Int[Array, " B"],
    targets: Mapping[str, Float[Array, "..."]],
    masks: Mapping[str, Bool[Array, "..."]],
    heads: tuple[HeadSpec, ...],
    config: TrainingConfig,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The weighted sum of the losses of all heads, and each before its weight, by head."""
    losses = {}
    for spec in heads:
        valid = jnp.asarray(spec.track_valid)[organism_index][:, None]
        mask = masks[spec.head] & valid
        if spec.settings.kind == "contact_maps":
            losses[spec.head] = contact_loss(targets[spec.head], predictions[spec.head]["predictions"], mask)
        else:
            target = targets[spec.head].astype(jnp.float32)
            losses[spec.head] = _tracks(predictions[spec.head], organism_index, target, mask, spec, config)
    total = sum((config.head_weights.get(head, 1.0) * loss for head, loss in losses.items()), jnp.float32(0))
    return total, losses


def _tracks(
    predictions: Mapping[str, Float[Array, "B N T"]],
    organism_index: Int[Array, " B"],
    target: Float[Array, "B N T"],
    mask: Bool[Array, "B N T_or_1"],
    spec: HeadSpec,
    config: TrainingConfig,
) -> Float[Array, ""]:
    """Sum over the head's resolutions; coarser targets are sums of the stored ones."""
    means = jnp.asarray(spec.track_means)[organism_index][:, None]
    losses = []
    finest = spec.settings.resolutions[0]
    for resolution in spec.settings.resolutions:
        factor = resolution // finest
        values, known = _pooled(target, mask, factor)
        scaled = targets_scaling(values, means, resolution, squash=spec.settings.squash)
        bins = min(config.multinomial_window // resolution, scaled.shape[1])
        known = jnp.broadcast_to(known, scaled.shape)
        losses.append(multinomial(scaled, predictions[f"scaled_predictions_{resolution}bp"], known, bins))
    return functools.reduce(jnp.add, losses)


def _pooled(
    target: Float[Array, "B N T"], mask: Bool[Array, "B N T_or_1"], factor: int
) -> tuple[Float[Array, "B M T"], Bool[Array, "B M T_or_1"]]:
    """Sums over `factor` positions, known where more than half of them are; unknown ones count as the mean of those
    known, so that a bin at the edge of the data is not low for lack of it."""
    target = jnp.where(mask, target, 0.0)
    if factor == 1:
        return target, mask
    batch, length, _ = target.shape
    sums = target.reshape(batch, length // factor, factor, -1).sum(axis=2)
    share = mask.reshape(batch, length // factor, factor, -1).mean(axis=2)
    known = share > 0.5
    return jnp.where(known, sums / jnp.where(known, share, 1.0), 0.0), known
