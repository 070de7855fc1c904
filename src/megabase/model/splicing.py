"""The splicing heads: which base is a splice site, how much it is used, and which sites are joined (architecture
reference 6.4-6.7)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Float32, Int, Int32

from megabase.model.attention import angles, turn
from megabase.model.config import NetworkConfig
from megabase.model.heads import Embeddings, Predictions, coarser
from megabase.model.initialisation import Draws
from megabase.model.layers import MultiOrganismLinear
from megabase.model.sharding import divided, gathered, platform
from megabase.model.spec import HeadSpec

THRESHOLD = 0.1
"""Least probability of a site that junctions are predicted for (architecture reference 6.6)."""
MAX_POSITION = 2**20
"""Longest distance, in bp, that the junction head's rotary embedding is scaled for."""
SITE_KINDS = ("pos_donor", "pos_acceptor", "neg_donor", "neg_acceptor")
"""Rows of a table of positions: the first four splice classes."""
_TISSUES_AT_ONCE = 8
"""Tissues whose embeddings of all sites are held together: all 367 would take 2 GB for 512 sites. On processors one at
a time, so that they stay in the cache, and none are left over to be joined to the rest."""


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
        batch, kinds, count = positions.shape
        places = jnp.maximum(positions, 0) // self.spec.resolutions[0]
        seen = gathered(_bins(embeddings, self.spec), places.reshape(batch, -1))
        sites = self.linear(seen, organism_index).reshape(batch, kinds, count, -1)
        valid = jnp.asarray(self.spec.track_valid)[organism_index]
        known = (positions[:, ::2, :, None] >= 0) & (positions[:, 1::2, None, :] >= 0)
        counts = self._counts(sites, positions, known, organism_index)
        counts = jnp.where(valid.T[:, :, None, None, None], counts, 0.0)
        predictions = counts.transpose(1, 3, 4, 2, 0).reshape(batch, count, count, -1)
        mask = (known.transpose(0, 2, 3, 1)[..., None] & valid[:, None, None, None]).reshape(predictions.shape)
        return {"predictions": predictions, "splice_junction_mask": mask, "splice_site_positions": positions}

    def _counts(
        self,
        sites: Float32[Array, "B 4 K C"],
        positions: Int32[Array, "B 4 K"],
        known: Bool[Array, "B 2 K K"],
        organism_index: Int[Array, " B"],
    ) -> Float32[Array, "T B 2 K K"]:
        """Softplus of the products of both sites' embeddings, turned by their positions; by tissue and strand."""
        # What turns together stands in two halves: the products do not depend on the order of the channels.
        pairs = sites.reshape(*sites.shape[:-1], -1, 2)
        angle = angles(positions, self.channels, MAX_POSITION, sites.dtype)
        donors, acceptors = ([x[:, side::2] for x in (pairs[..., 0], pairs[..., 1], angle)] for side in (0, 1))
        # Every device has the pairs of its share of the donors with all acceptors.
        donors = [divided(x.swapaxes(1, 2)).swapaxes(1, 2) for x in donors]
        acceptors = [x.swapaxes(2, 3) for x in acceptors]

        def product(own: Float32[Array, "B 4 2 C/2 2"]) -> Float32[Array, "B 2 K K"]:
            turned = []
            for side, (even, odd, angle), axis in ((0, donors, 2), (1, acceptors, 3)):
                scale, offset = (jnp.expand_dims(own[:, side::2, i], axis) for i in (0, 1))
                turned.append(turn(even * scale[..., 0] + offset[..., 0], odd * scale[..., 1] + offset[..., 1], angle))
            halves = (jnp.einsum("bsdc,bsca->bsda", *half) for half in zip(*turned, strict=True))
            return jnp.where(known, jax.nn.softplus(sum(halves)), 0.0)

        drawn = jnp.stack([self.embeddings[kind][...][organism_index] for kind in SITE_KINDS], axis=1)
        drawn = drawn.reshape(*drawn.shape[:2], 2, self.spec.tracks, -1, 2)
        together = None if platform() == "cpu" else _TISSUES_AT_ONCE
        return lax.map(jax.checkpoint(product), drawn.transpose(3, 0, 1, 2, 4, 5), batch_size=together)


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
