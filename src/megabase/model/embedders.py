"""What the heads read: embeddings at 1 bp, at 128 bp and of pairs (architecture reference 5)."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from megabase.model.config import TOKEN
from megabase.model.initialisation import Draws
from megabase.model.layers import LayerNorm, Linear, OrganismEmbedding, RMSBatchNorm, gelu


class OutputEmbedder(nnx.Module):
    """Twice as wide, with the coarser embedding added where there is one, the norm, the organism's vector, gelu."""

    def __init__(self, channels: int, coarse: int | None, organisms: int, draws: Draws) -> None:
        self.linear = Linear(channels, 2 * channels, draws)
        self.coarse = None if coarse is None else Linear(coarse, 2 * channels, draws, bias=False)
        self.norm = RMSBatchNorm(2 * channels, draws)
        self.organism = OrganismEmbedding(organisms, 2 * channels, draws)

    def __call__(
        self,
        x: Float[Array, "B N C"],
        organism_index: Int[Array, " B"],
        coarse: Float[Array, "B N/128 D"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "B N 2*C"]:
        y = self.linear(x)
        if self.coarse is not None and coarse is not None:
            y = y + jnp.repeat(self.coarse(coarse), TOKEN, axis=1)
        return gelu(self.organism(self.norm(y, train=train), organism_index))


class PairEmbedder(nnx.Module):
    """The pairs made symmetric, the norm, the organism's vector, gelu."""

    def __init__(self, channels: int, organisms: int, draws: Draws) -> None:
        self.norm = LayerNorm(channels, draws, centred=False)
        self.organism = OrganismEmbedding(organisms, channels, draws)

    def __call__(self, pair: Float[Array, "B P P C"], organism_index: Int[Array, " B"]) -> Float[Array, "B P P C"]:
        return gelu(self.organism(self.norm((pair + pair.swapaxes(1, 2)) / 2), organism_index))
