"""The loss of all heads at once, as training adds it up head by head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from megabase.model.spec import HeadSpec
from megabase.training.config import TrainingConfig
from megabase.training.losses import GENES, Wanted, head_losses, junction_loss, observed, pair_sums, weighted_sum


def objective(
    predictions: Mapping[str, Any],
    wanted: Wanted,
    genes: Any,
    organism_index: Any,
    heads: tuple[HeadSpec, ...],
    config: TrainingConfig,
    *,
    compressed: bool = False,
) -> tuple[Any, dict[str, Any]]:
    """The weighted sum of the losses of all heads, and each before its weight, by head."""
    losses: dict[str, Any] = {}
    for spec in heads:
        outputs, own = predictions[spec.head], wanted[spec.head]
        if spec.bundle == "SPLICE_JUNCTIONS":
            target, mask = own[spec.resolutions[0]]
            sums = pair_sums(target, outputs["predictions"], outputs["splice_junction_mask"] & mask, (1, 2))
            losses[spec.head] = junction_loss(sums, compressed=compressed)
        else:
            losses |= head_losses(spec, outputs, own, genes, organism_index, config)
    return weighted_sum(losses, config), losses


def total_loss(
    predictions: Mapping[str, Any],
    organism_index: Any,
    targets: Mapping[str, Any],
    masks: Mapping[str, Any],
    heads: tuple[HeadSpec, ...],
    config: TrainingConfig,
) -> tuple[Any, dict[str, Any]]:
    """The same against observed targets."""
    wanted = observed(targets, masks, organism_index, heads)
    return objective(predictions, wanted, masks.get(GENES), organism_index, heads, config)
