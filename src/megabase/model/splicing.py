"""The splicing heads: which base is a splice site, how much it is used, and which sites are joined (architecture
reference 6.4-6.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Float32, Int, Int32

from megabase.model.attention import Points, turn, turns
from megabase.model.config import NetworkConfig
from megabase.model.heads import Embeddings, Predictions, coarser
from megabase.model.initialisation import Draws
from megabase.model.layers import MultiOrganismLinear
from megabase.model.products import turned_over
from megabase.model.sharding import divided, gathered, platform
from megabase.model.spec import HeadSpec

THRESHOLD = 0.1
"""Least probability of a site that junctions are predicted for (architecture reference 6.6)."""
MAX_POSITION = 2**20
"""Longest distance, in bp, that the junction head's rotary embedding is scaled for."""
SITE_KINDS = ("pos_donor", "pos_acceptor", "neg_donor", "neg_acceptor")
"""Rows of a table of positions: the first four splice classes."""
TISSUES_AT_ONCE = 8
"""Tissues whose embeddings of all sites are held together: all 367 would take 2 GB for 512 sites. On processors one at
a time, so that they stay in the cache, and none are left over to be joined to the rest."""
_LINE = 16
"""Tissues whose counts are laid out together on a processor: as many stand side by side in a line of its cache."""


def _bins(embeddings: Embeddings, spec: HeadSpec) -> Float[Array, "B N C"]:
    """The embedding at the head's one resolution."""
    return coarser(embeddings.at("1bp"), spec.resolutions[0])


def _of_bases(x: Float[Array, "B N T"], spec: HeadSpec) -> Float[Array, "B S T"]:
    """What a bin has, for each of its bases."""
    return jnp.repeat(x, spec.resolutions[0], axis=1) if spec.resolutions[0] > 1 else x


class SpliceSitesHead(nnx.Module):
    """Probability of each splice class at every base."""

    def __init__(self, spec: HeadSpec, config: NetworkConfig, organisms: int, draws: Draws) -> None:
        self.spec = spec
        self.linear = MultiOrganismLinear(organisms, 2 * config.channels, spec.tracks, draws)

    needs = frozenset({"1bp"})
    """The embeddings it reads."""

    def __call__(self, embeddings: Embeddings, organism_index: Int[Array, " B"]) -> Predictions:
        """`logits` [B, S/r, 5] and `predictions` [B, S, 5], float32; the predictions of a base sum to 1. Bases of a bin
        have its classes."""
        logits = self.linear(_bins(embeddings, self.spec), organism_index)
        return {"logits": logits, "predictions": _of_bases(jax.nn.softmax(logits, axis=-1), self.spec)}


class SpliceSiteUsageHead(nnx.Module):
    """Share of transcripts that use each base as a splice site, by tissue and strand."""

    def __init__(self, spec: HeadSpec, config: NetworkConfig, organisms: int, draws: Draws) -> None:
        self.spec = spec
        self.linear = MultiOrganismLinear(organisms, 2 * config.channels, spec.tracks, draws)

    needs = frozenset({"1bp"})
    """The embeddings it reads."""

    def __call__(self, embeddings: Embeddings, organism_index: Int[Array, " B"]) -> Predictions:
        """`logits` [B, S/r, T], float32, and `predictions` [B, S, T], float16 as released: 367 tissues at 1 Mb are 1.5
        GB. Bases of a bin have its share."""
        logits = self.linear(_bins(embeddings, self.spec), organism_index)
        return {"logits": logits, "predictions": _of_bases(jax.nn.sigmoid(logits).astype(jnp.float16), self.spec)}


class SpliceJunctionsHead(nnx.Module):
    """Reads that span each pair of a donor and an acceptor, by strand and tissue."""

    def __init__(self, spec: HeadSpec, config: NetworkConfig, organisms: int, draws: Draws) -> None:
        self.spec, self.channels = spec, config.junction_channels
        self.linear = MultiOrganismLinear(organisms, 2 * config.channels, self.channels, draws)
        # By tissue a scale and an offset of every channel. Drawn around 0, as released.
        self.embeddings = nnx.Dict(
            {
                kind: nnx.Param(draws.truncated_normal(organisms, 2 * spec.tracks * self.channels, std=0.1))
                for kind in SITE_KINDS
            }
        )

    needs = frozenset({"1bp"})
    """The embeddings it reads."""

    def __call__(
        self,
        embeddings: Embeddings,
        organism_index: Int[Array, " B"],
        positions: Int32[Array, "B 4 K"],
    ) -> Predictions:
        """`predictions` [B, K, K, 2 T], float32: donors by acceptors, all tissues of the plus strand, then of the minus
        strand; 0 outside `splice_junction_mask`. `positions`: sites by `SITE_KINDS`, -1 where there is none; given
        back as `splice_site_positions`.
        """
        pairs = self.pairs(embeddings, organism_index, positions)
        mask = pairs.known.transpose(0, 2, 3, 1)[..., None] & pairs.valid[:, None, None, None]
        starts = tissue_groups(self.spec.tracks)[0]

        def with_group(predictions: Array, start: Array) -> tuple[Array, None]:
            counts = by_tissue(pairs.counts, some_tissues(pairs.drawn, start, 0))
            valid = some_tissues(pairs.valid.T, start, 0)[:, :, None, None, None]
            own = jnp.where(valid & pairs.known, counts, 0.0).transpose(1, 3, 4, 2, 0)
            return lax.dynamic_update_slice_in_dim(predictions, own, start, 4), None

        # Each group is laid out as what is predicted while it is in the cache.
        nothing = divided(jnp.zeros(mask.shape, pairs.drawn.dtype))
        predictions, _ = lax.scan(with_group, nothing, jnp.asarray(starts))
        flat = (*mask.shape[:3], -1)
        return {
            "predictions": predictions.reshape(flat),
            "splice_junction_mask": mask.reshape(flat),
            "splice_site_positions": positions,
        }

    def pairs(
        self, embeddings: Embeddings, organism_index: Int[Array, " B"], positions: Int32[Array, "B 4 K"]
    ) -> SitePairs:
        """What the counts of every tissue are made of."""
        batch, kinds, count = positions.shape
        places = jnp.maximum(positions, 0) // self.spec.resolutions[0]
        seen = gathered(_bins(embeddings, self.spec), places.reshape(batch, -1))
        seen = self.linear(seen, organism_index).reshape(batch, kinds, count, -1, 2)
        by = turns(positions, self.channels, MAX_POSITION, seen.dtype)
        # What turns together stands in two halves: the products do not depend on the order of the channels.
        donors, acceptors = ([x[:, side::2] for x in (seen[..., 0], seen[..., 1], *by)] for side in (0, 1))
        # Every device has the pairs of its share of the donors with all acceptors.
        donors = [divided(x.swapaxes(1, 2)).swapaxes(1, 2) for x in donors]
        acceptors = [x.swapaxes(2, 3) for x in acceptors]
        drawn = jnp.stack([self.embeddings[kind][...][organism_index] for kind in SITE_KINDS], axis=1)
        return SitePairs(
            drawn.reshape(*drawn.shape[:2], 2, self.spec.tracks, -1, 2).transpose(3, 0, 1, 2, 5, 4),
            ((donors[0], donors[1]), (acceptors[0], acceptors[1])),
            ((donors[2], donors[3]), (acceptors[2], acceptors[3])),
            (positions[:, ::2, :, None] >= 0) & (positions[:, 1::2, None, :] >= 0),
            jnp.asarray(self.spec.track_valid)[organism_index],
        )


@jax.custom_jvp
def softplus(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """`log(1 + exp(x))`, as exact as JAX's own (3e-7 in float32) in half its time on a processor: it is taken of 192
    million pairs.

    With `y = exp(-|x|)` and `z = y / (2 + y)` it is `max(x, 0) + 2 artanh(z)`; as z is at most a third, eight terms of
    the series do.
    """
    y = jnp.exp(-jnp.abs(x))
    z = y / (2 + y)
    return jnp.maximum(x, 0) + 2 * z * jnp.polyval(jnp.asarray([1 / k for k in range(15, 0, -2)], x.dtype), z * z)


def softplus_slope(value: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Of the softplus, from its value, so that nothing before it is computed again: `1 - exp(-value)`; by the first
    terms of the series where that is near 0."""
    terms = jnp.asarray([-1 / 720, 1 / 120, -1 / 24, 1 / 6, -1 / 2, 1], value.dtype)
    return jnp.where(value < 0.25, value * jnp.polyval(terms, value), 1 - jnp.exp(-value))


softplus.defjvps(lambda slope, value, x: slope * softplus_slope(value))


Sides = tuple[Points, Points]
"""Donors [B, 2, K, C/2] and acceptors [B, 2, C/2, K] of both strands, by the two halves of their channels."""


class SitePairs(NamedTuple):
    """Donors and acceptors of both strands, and what makes counts of their pairs in each tissue."""

    drawn: Float32[Array, "T B 4 2 2 C/2"]
    """Scale and offset of every channel, by tissue and kind of site; half of the channels, then the other half."""
    sites: Sides
    """Their embeddings."""
    by: Sides
    """Cosine and sine by which they are turned, for their positions."""
    known: Bool[Array, "B 2 K K"]
    """Pairs of two sites."""
    valid: Bool[Array, "B T"]
    """Tissues that are no padding."""

    def products(self, own: Float32[Array, "B 4 2 2 C/2"]) -> Float32[Array, "B 2 K K"]:
        """Of the embeddings of donors and acceptors in a tissue, of which `own` are scale and offset."""
        turned = []
        for side, axis in ((0, 3), (1, 4)):
            # Sliced before, not within the loop over sites and channels.
            scale, offset = (lax.optimization_barrier(jnp.expand_dims(own[:, side::2, i], axis)) for i in (0, 1))
            even, odd = (x * scale[:, :, half] + offset[:, :, half] for half, x in enumerate(self.sites[side]))
            turned.append(turn(even, odd, self.by[side]))
        halves = [_paired(*half) for half in zip(*turned, strict=True)]
        return halves[0] + halves[1]

    def counts(self, own: Float32[Array, "B 4 2 2 C/2"]) -> Float32[Array, "B 2 K K"]:
        """Their softplus."""
        return softplus(self.products(own))


@jax.custom_vjp
def _paired(donors: Float[Array, "B 2 K C/2"], acceptors: Float[Array, "B 2 C/2 K"]) -> Float[Array, "B 2 K K"]:
    """Products of donors and acceptors, whose gradients read the others `turned_over`."""
    return donors @ acceptors


def _paired_slopes(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    donors, acceptors = (turned_over(x) for x in kept)
    return slope @ acceptors, donors @ slope


_paired.defvjp(lambda *given: (_paired(*given), given), _paired_slopes)


def by_tissue(function: Callable[[Any], Any], given: Any) -> Any:
    """What a function gives for each tissue, from arrays with an axis of tissues first; little is kept of it for the
    backward pass."""
    together = None if platform() == "cpu" else TISSUES_AT_ONCE
    return lax.map(jax.checkpoint(function), given, batch_size=together)


def tissue_groups(
    tissues: int,
) -> tuple[Int[np.ndarray, " groups"], Bool[np.ndarray, "groups G"], Int[np.ndarray, " T"]]:
    """The first tissue of each group, the last of which begins early enough to be as large as the others; which of
    their tissues no group before has; and where each tissue stands among those of all groups, one after the other."""
    size = min(tissues, _LINE if platform() == "cpu" else TISSUES_AT_ONCE)
    own = np.arange(0, tissues, size)
    starts = np.minimum(own, tissues - size)
    places = np.arange(tissues)
    return starts, starts[:, None] + np.arange(size) >= own[:, None], places + (own - starts)[places // size]


def some_tissues(x: Array, start: Array, axis: int) -> Array:
    """Those of a group, of all along an axis."""
    size = tissue_groups(x.shape[axis])[1].shape[1]
    return lax.dynamic_slice_in_dim(x, start, size, axis)


def likely_sites(
    probabilities: Float[Array, "B S classes"], sites: int, *, width: int | None = None, threshold: float = 0.0
) -> Int32[Array, "B 4 width"]:
    """The `sites` most probable positions of each of the first four classes, in ascending order, then -1.

    Of equal ones the lower positions are taken. Those below `threshold` are left out. `width`: entries of a row, if
    more than `sites`.
    """
    width = sites if width is None else width
    values, positions = lax.top_k(probabilities[..., :4].swapaxes(1, 2), min(sites, probabilities.shape[1]))
    beyond = jnp.iinfo(jnp.int32).max
    kept = jnp.sort(jnp.where(values >= threshold, positions, beyond), axis=-1).astype(jnp.int32)
    padded = jnp.pad(kept, ((0, 0), (0, 0), (0, width - kept.shape[-1])), constant_values=beyond)
    return jnp.where(padded == beyond, -1, padded)
