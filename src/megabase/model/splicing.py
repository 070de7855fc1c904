"""The splicing heads: which base is a splice site, how much it is used, and which sites are joined (architecture
reference 6.4-6.7)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Float32, Int, Int32

from megabase.model.attention import rotate
from megabase.model.config import NetworkConfig
from megabase.model.heads import Embeddings, Predictions
from megabase.model.initialisation import Draws
from megabase.model.layers import MultiOrganismLinear
from megabase.model.sharding import gathered
from megabase.model.spec import HeadSpec

THRESHOLD = 0.1
"""Least probability of a site that junctions are predicted for (architecture reference 6.6)."""
MAX_POSITION = 2**20
"""Longest distance, in bp, that the junction head's rotary embedding is scaled for."""
SITE_KINDS = ("pos_donor", "pos_acceptor", "neg_donor", "neg_acceptor")
"""Rows of a table of positions: the first four splice classes."""
_TISSUES_AT_ONCE = 8
"""Tissues whose embeddings of all sites are held together: all 367 would take 2 GB for 512 sites."""


class SpliceSitesHead(nnx.Module):
    """Probability of each splice class at every base."""

    def __init__(self, spec: HeadSpec, config: NetworkConfig, organisms: int, draws: Draws) -> None:
        self.spec = spec
        self.linear = MultiOrganismLinear(organisms, 2 * config.channels, spec.tracks, draws)

    needs = frozenset({"1bp"})
    """The embeddings it reads."""

    def __call__(self, embeddings: Embeddings, organism_index: Int[Array, " B"]) -> Predictions:
        """`logits` and `predictions` [B, S, 5], float32; the predictions of a base sum to 1."""
        logits = self.linear(embeddings.at("1bp"), organism_index)
        return {"logits": logits, "predictions": jax.nn.softmax(logits, axis=-1)}


class SpliceSiteUsageHead(nnx.Module):
    """Share of transcripts that use each base as a splice site, by tissue and strand."""

    def __init__(self, spec: HeadSpec, config: NetworkConfig, organisms: int, draws: Draws) -> None:
        self.spec = spec
        self.linear = MultiOrganismLinear(organisms, 2 * config.channels, spec.tracks, draws)

    needs = frozenset({"1bp"})
    """The embeddings it reads."""

    def __call__(self, embeddings: Embeddings, organism_index: Int[Array, " B"]) -> Predictions:
        """`logits` [B, S, T], float32, and `predictions`, float16 as released: 367 tissues at 1 Mb are 1.5 GB."""
        logits = self.linear(embeddings.at("1bp"), organism_index)
        return {"logits": logits, "predictions": jax.nn.sigmoid(logits).astype(jnp.float16)}


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
        h = self.linear(embeddings.at("1bp"), organism_index)
        batch, kinds, count = positions.shape
        sites = gathered(h, jnp.maximum(positions, 0).reshape(batch, -1)).reshape(batch, kinds, count, -1)
        valid = jnp.asarray(self.spec.track_valid)[organism_index]
        strands = []
        for donor, acceptor in ((0, 1), (2, 3)):
            known = (positions[:, donor, :, None] >= 0) & (positions[:, acceptor, None, :] >= 0)
            mask = known[..., None] & valid[:, None, None]
            sides = [
                (sites[:, kind], positions[:, kind], self._by_tissue(kind, organism_index))
                for kind in (donor, acceptor)
            ]
            strands.append((jnp.where(mask, self._counts(*sides), 0.0), mask))
        predictions, mask = (jnp.concatenate(parts, axis=-1) for parts in zip(*strands, strict=True))
        return {"predictions": predictions, "splice_junction_mask": mask, "splice_site_positions": positions}

    def _by_tissue(self, kind: int, organism_index: Int[Array, " B"]) -> Float32[Array, "T B 2 C"]:
        drawn = self.embeddings[SITE_KINDS[kind]][...][organism_index]
        return drawn.reshape(len(drawn), 2, self.spec.tracks, self.channels).transpose(2, 0, 1, 3)

    @staticmethod
    def _counts(donors: tuple[Array, Array, Array], acceptors: tuple[Array, Array, Array]) -> Float32[Array, "B K K T"]:
        """Softplus of the products of both sites' embeddings, turned by their positions."""

        def product(tissue: tuple[Float32[Array, "B 2 C"], Float32[Array, "B 2 C"]]) -> Float32[Array, "B K K"]:
            turned = []
            for (sites, positions, _), own in zip((donors, acceptors), tissue, strict=True):
                z = own[:, 0, None] * sites + own[:, 1, None]
                turned.append(rotate(z[:, :, None], positions, MAX_POSITION)[:, :, 0])
            return jnp.einsum("bdc,bac->bda", *turned)

        counts = lax.map(jax.checkpoint(product), (donors[2], acceptors[2]), batch_size=_TISSUES_AT_ONCE)
        return jax.nn.softplus(counts).transpose(1, 2, 3, 0)


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
