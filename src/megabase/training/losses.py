"""The losses (architecture reference 6.2, paper section 4): means over the positions and tracks that are known."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from megabase.bundles import BUNDLES
from megabase.model.heads import Predictions
from megabase.model.products import wide
from megabase.model.scaling import soft_clip, targets_scaling
from megabase.model.spec import HeadSpec
from megabase.training.config import TrainingConfig

MULTINOMIAL_WEIGHT = 5.0
"""Weight of the profile's shape against its total."""
JUNCTION_WEIGHT = 0.2
"""Weight of the junction head's loss among the heads (paper section 4)."""
JUNCTION_TOTALS_WEIGHT = 0.2
"""Weight of the totals of donors and acceptors against their shares (architecture reference 6.2)."""
GENES = "genes"
"""Name of the gene-level loss of RNA-seq, and of its exons among the masks of a batch."""
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


def splice_site_loss(
    target: Bool[Array, "B S 5"] | Float[Array, "B S 5"], logits: Float[Array, "B S 5"], mask: Bool[Array, "B S 1"]
) -> Float[Array, ""]:
    """Cross entropy with classes (or probabilities) smoothed by 1e-7, as a mean over known positions that have one."""
    smooth = (1.0 - _TINY) * target + _TINY / target.shape[-1]
    entropy = -jnp.sum(smooth * jax.nn.log_softmax(logits, axis=-1), axis=-1, keepdims=True)
    return masked_mean(entropy, mask & target.any(axis=-1, keepdims=True))


def usage_loss(
    target: Float[Array, "B S T"], logits: Float[Array, "B S T"], mask: Bool[Array, "B S T_or_1"]
) -> Float[Array, ""]:
    """Binary cross entropy of shares, which are kept 1e-7 from 0 and 1."""
    share = jnp.clip(jnp.where(mask, target, 0.5), _TINY, 1.0 - _TINY)
    return masked_mean(optax.losses.sigmoid_binary_cross_entropy(logits, share), mask)


def pair_sums(
    target: Float[Array, "*pairs"], predicted: Float[Array, "*pairs"], mask: Bool[Array, "*_pairs"], axes: Sequence[int]
) -> tuple[Float[Array, "4 *_sums"], ...]:
    """Along donors, and along acceptors, the `axes`: sums of `predicted`, of `target log(predicted)` (both a little
    above zero), of `target` and of ones where `mask` is true."""
    product = (target + _TINY) * jnp.log(jnp.where(mask, predicted, 1.0) + _TINY)
    values = [jnp.where(mask, x, 0.0) for x in (predicted, product, target, jnp.ones_like(predicted))]
    return tuple(jnp.stack([x.sum(axis=axis, keepdims=True) for x in values]) for axis in axes)


def junction_loss(
    sums: Sequence[Float[Array, "4 *_sums"]],
    *,
    compressed: bool = False,
    rows: Sequence[Float[Array, ""]] | None = None,
) -> Float[Array, ""]:
    """Cross entropy of the shares of acceptors of each donor, and of donors of each acceptor; and 0.2 times the Poisson
    deviance of their totals. Those of the target are compressed above 10, unless they are `compressed` already.

    `sums`: `pair_sums` of all pairs; the entropy of shares, written out, needs no more of them. `rows`: where they are
    of some tissues alone, how many sums are known of all."""
    loss = jnp.float32(0)
    for i, (totals, products, wanted, count) in enumerate(sums):
        known = count > 0
        counts = deviance(wanted if compressed else soft_clip(wanted), totals)
        least = [jnp.where(known, values + _TINY * count, 1.0) for values in (wanted, totals)]
        entropy = jnp.log(least[1]) - products / least[0]
        own = jnp.where(known, entropy + JUNCTION_TOTALS_WEIGHT * counts, 0.0)
        loss += jnp.sum(own) / (_count(known) if rows is None else jnp.maximum(1.0, rows[i]))
    return loss


def gene_loss(
    target: Float[Array, "B S T"],
    predicted: Float[Array, "B S T"],
    mask: Bool[Array, "B S T"],
    genes: Bool[Array, "B bases 2 G"],
    strands: Int[Array, "B T"],
) -> Float[Array, ""]:
    """How expression is divided among tracks: Poisson deviance of each gene's sum over the tracks of its strand, over
    their number, and 5 times the cross entropy of the tracks' shares (paper section 4, architecture reference 6.2).

    `genes`: exons of up to G genes on the plus and on the minus strand; a bin of several bases counts by the share of
    it that is exon. `strands`: 1, -1, or 0 for tracks of both.
    """
    target, predicted = jnp.where(mask, target, 0.0), jnp.where(mask, predicted, 0.0)
    exons = genes.astype(jnp.float32)
    if (factor := genes.shape[1] // target.shape[1]) > 1:
        exons = exons.reshape(exons.shape[0], -1, factor, *exons.shape[2:]).mean(axis=2)
    bases = jnp.maximum(1.0, exons.sum(axis=1))[..., None]
    target, predicted = (jnp.einsum("bsng,bst->bngt", exons, values) / bases for values in (target, predicted))
    own = jnp.stack([strands >= 0, strands <= 0], axis=1)[:, :, None]
    known = genes.any(axis=1)[..., None] & own & mask.any(axis=1)[:, None, None]
    target, predicted = jnp.where(known, target, 0.0), jnp.where(known, predicted, 0.0)
    sums = predicted.sum(axis=-1, keepdims=True)
    channels = jnp.maximum(1.0, jnp.max(known.sum(axis=-1)))
    total = poisson(target.sum(axis=-1, keepdims=True), sums, known.any(axis=-1, keepdims=True)) / channels
    shares = masked_mean(-target * jnp.log(predicted / (sums + _TINY) + _TINY), known)
    return total + MULTINOMIAL_WEIGHT * shares


Wanted = dict[str, dict[int, tuple[Float[Array, "B *positions T"], Bool[Array, "B *_positions T_or_1"]]]]
"""What predictions should be, and where that is known, by head and resolution (bp): tracks in model space, the others
as their heads give them."""


def observed(
    targets: Mapping[str, Float[Array, "B *positions T"]],
    masks: Mapping[str, Bool[Array, "B *_positions T_or_1"]],
    organism_index: Int[Array, " B"],
    heads: tuple[HeadSpec, ...],
) -> Wanted:
    """What data of the store ask for. Targets at coarser resolutions are sums of the stored ones; a bin has the splice
    sites of its bases, and their largest usage (paper reference section 9a)."""
    wanted: Wanted = {}
    for spec in heads:
        target, mask = targets[spec.head], masks[spec.head]
        if spec.bundle not in ("SPLICE_SITES", "SPLICE_JUNCTIONS"):  # these have no column per track
            mask = mask & jnp.asarray(spec.track_valid)[organism_index][:, None]
        if spec.settings.kind != "signal":
            finest = spec.resolutions[0]
            along = finest > 1 and spec.bundle in ("SPLICE_SITES", "SPLICE_SITE_USAGE")
            wanted[spec.head] = {finest: _largest(target, mask, finest, spec) if along else (target, mask)}
            continue
        means = jnp.asarray(spec.track_means)[organism_index][:, None]
        target = target.astype(wide(target))
        wanted[spec.head] = {}
        for resolution in spec.resolutions:
            values, known = _pooled(target, mask, resolution // spec.read_at)
            scaled = targets_scaling(values, means, resolution, squash=spec.settings.squash)
            wanted[spec.head][resolution] = scaled, jnp.broadcast_to(known, scaled.shape)
    return wanted


def taught(
    predictions: Mapping[str, Predictions], organism_index: Int[Array, " B"], heads: tuple[HeadSpec, ...]
) -> Wanted:
    """What a teacher of the same heads asks for: its own predictions, everywhere, for all real tracks.

    Tracks stay in model space, where losses compare: a teacher's prediction at each resolution is the target there,
    without a detour through the signal's units. Splice sites are probabilities, usage is a share, and junctions are
    those between the sites that the teacher thinks likely.
    """
    wanted: Wanted = {}
    for spec in heads:
        outputs, finest = predictions[spec.head], spec.resolutions[0]
        valid = jnp.asarray(spec.track_valid)[organism_index][:, None]
        match spec.bundle:
            case "SPLICE_SITES":
                own = {finest: (jax.nn.softmax(outputs["logits"]), valid.any(axis=-1, keepdims=True))}
            case "SPLICE_SITE_USAGE":  # not its predictions, which are rounded to float16
                own = {finest: (jax.nn.sigmoid(outputs["logits"]), valid)}
            case "SPLICE_JUNCTIONS":
                own = {finest: (outputs["predictions"], outputs["splice_junction_mask"])}
            case "CONTACT_MAPS":
                own = {finest: (outputs["predictions"], valid)}
            case _:
                scaled = {r: outputs[f"scaled_predictions_{r}bp"] for r in spec.resolutions}
                own = {r: (values, jnp.broadcast_to(valid, values.shape)) for r, values in scaled.items()}
        wanted[spec.head] = {r: (jax.lax.stop_gradient(values), known) for r, (values, known) in own.items()}
    return wanted


def head_losses(
    spec: HeadSpec,
    outputs: Predictions,
    wanted: dict[int, tuple[Float[Array, "B *positions T"], Bool[Array, "B *_positions T_or_1"]]],
    genes: Bool[Array, "B S 2 G"] | None,
    organism_index: Int[Array, " B"],
    config: TrainingConfig,
) -> dict[str, Float[Array, ""]]:
    """The loss of one head, before its weight, and for RNA-seq that of its genes. `genes`: exons, for the gene-level
    loss. Of junctions: `junction_loss`."""
    losses = {}
    finest = spec.resolutions[0]
    target, mask = wanted[finest]
    match spec.bundle:
        case "CONTACT_MAPS":
            losses[spec.head] = contact_loss(target, outputs["predictions"], mask)
        case "SPLICE_SITES":
            losses[spec.head] = splice_site_loss(target, outputs["logits"], mask)
        case "SPLICE_SITE_USAGE":
            losses[spec.head] = usage_loss(target, outputs["logits"], mask)
        case _:
            losses[spec.head] = _tracks(outputs, wanted, config)
    if spec.bundle == "RNA_SEQ" and genes is not None and config.gene_weight:
        strands = jnp.asarray(spec.track_strands)[organism_index]
        losses[GENES] = gene_loss(target, outputs[f"scaled_predictions_{finest}bp"], mask, genes, strands)
    return losses


def weighted_sum(losses: Mapping[str, Float[Array, ""]], config: TrainingConfig) -> Float[Array, ""]:
    """What is minimised."""
    return sum((_weight(head, config) * loss for head, loss in losses.items()), jnp.float32(0))


def _tracks(
    predictions: Predictions,
    wanted: dict[int, tuple[Float[Array, "B N T"], Bool[Array, "B N T"]]],
    config: TrainingConfig,
) -> Float[Array, ""]:
    """Sum over the head's resolutions."""
    losses = []
    for resolution, (target, known) in wanted.items():
        bins = min(config.multinomial_window // resolution, target.shape[1])
        losses.append(multinomial(target, predictions[f"scaled_predictions_{resolution}bp"], known, bins))
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


def _largest(
    target: Float[Array, "B S T"], mask: Bool[Array, "B S T_or_1"], factor: int, spec: HeadSpec
) -> tuple[Float[Array, "B N T"], Bool[Array, "B N T_or_1"]]:
    """Usage: the largest of `factor` bases. Sites: the classes of all of them, in equal shares; `none` only where there
    is no other. Known where all bases are."""
    target, mask = (x.reshape(x.shape[0], -1, factor, x.shape[-1]) for x in (target, mask))
    largest, known = target.max(axis=2).astype(jnp.float32), mask.all(axis=2)
    if spec.bundle == "SPLICE_SITES":
        sites = largest[..., :-1]
        none = jnp.where(sites.any(axis=-1, keepdims=True), 0.0, largest[..., -1:])
        largest = jnp.concatenate([sites, none], axis=-1)
        largest /= jnp.maximum(1.0, largest.sum(axis=-1, keepdims=True))
    return largest, known


def _weight(loss: str, config: TrainingConfig) -> float:
    default = {GENES: config.gene_weight, BUNDLES["SPLICE_JUNCTIONS"].head: JUNCTION_WEIGHT}.get(loss, 1.0)
    return config.head_weights.get(loss, default)
