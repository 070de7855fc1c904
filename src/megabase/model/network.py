"""AlphaGenome: from one-hot DNA to the tracks of every head.

Training keeps the model as plain trees of arrays, and puts it together again inside the compiled step:

    graphdef, *states = nnx.split(model, nnx.Param, nnx.BatchStat)
    params, statistics = map(nnx.to_pure_dict, states)
    def loss(params, statistics, dna, organism_index, key):
        model = nnx.merge(graphdef, params, statistics)
        predictions, _ = model(dna, organism_index, train=True, key=key, requested=heads)
        return objective(predictions), nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))   # the updated statistics

States may stay trees of variables (merge with `copy=True` under `jax.grad` then), but handing hundreds of variables
instead of arrays to a compiled step costs tens of milliseconds at each call. The graph definition is static and
hashable: models of one config with the same heads share one compiled program.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from megabase.errors import InputError
from megabase.model.config import PAIR_BIN, ModelConfig
from megabase.model.embedders import OutputEmbedder, PairEmbedder
from megabase.model.heads import HEADS, Embeddings, Head, Predictions
from megabase.model.initialisation import Draws
from megabase.model.layers import OrganismEmbedding, stage
from megabase.model.spec import HeadSpec
from megabase.model.trunk import Decoder, Encoder, Tower


class AlphaGenome(nnx.Module):
    """The network at any width (architecture reference 2-6, paper section 3)."""

    def __init__(
        self,
        config: ModelConfig,
        heads: tuple[HeadSpec, ...],
        organisms: int,
        *,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
    ) -> None:
        """`organisms`: rows of every per-organism array. `dropout`: rate in training; at the paper's sites, all in the
        tower. The trunk's initial values do not depend on the heads."""
        draws = Draws(rngs)
        self.config, self.specs, self.organisms, self.dropout = config, tuple(heads), organisms, dropout
        self.encoder = Encoder(config, draws)
        self.organism = OrganismEmbedding(organisms, config.trunk_channels, draws)
        self.tower = Tower(config, dropout, draws)
        self.decoder = Decoder(config, draws)
        self.embedder_128bp = OutputEmbedder(config.trunk_channels, None, organisms, draws)
        self.embedder_1bp = OutputEmbedder(config.channels, 2 * config.trunk_channels, organisms, draws)
        self.embedder_pair = PairEmbedder(config.pair_channels, organisms, draws)
        self.heads: Mapping[str, Head] = nnx.Dict(
            {s.head: HEADS[s.settings.kind](s, config, organisms, draws) for s in self.specs}
        )

    def __call__(
        self,
        dna: Float[Array, "B S 4"],
        organism_index: Int[Array, " B"],
        *,
        train: bool = False,
        key: Key[Array, ""] | None = None,
        requested: frozenset[str] | None = None,
    ) -> tuple[dict[str, Predictions], Embeddings]:
        """Predictions by head and output, and the embeddings they were read from.

        `dna`: columns A, C, G, T; all zeros for anything else; S a multiple of 2,048. `train`: normalise by the batch,
        update the running statistics, and drop out with `key` (nothing is dropped without one). `requested`: names of
        the heads to compute, with only the embeddings they need; all heads and embeddings if None.

        Raises InputError for another length and for a head that the model does not have.
        """
        if dna.shape[1] % PAIR_BIN or dna.shape[1] == 0:
            remedy = f"give a multiple of {PAIR_BIN:,} bp"
            raise InputError(f"a sequence of {dna.shape[1]:,} bp", where="model input", remedy=remedy)
        names = frozenset(self.heads) if requested is None else requested
        if unknown := sorted(names - frozenset(self.heads)):
            remedy = f"choose from {', '.join(self.heads)}"
            raise InputError(f"the model has no head {', '.join(unknown)}", where="requested heads", remedy=remedy)
        embeddings = self.embed(dna, organism_index, train=train, key=key, needed=self._needed(requested))
        return {
            name: head(embeddings, organism_index) for name, head in self.heads.items() if name in names
        }, embeddings

    def embed(
        self,
        dna: Float[Array, "B S 4"],
        organism_index: Int[Array, " B"],
        *,
        train: bool,
        key: Key[Array, ""] | None,
        needed: frozenset[str],
    ) -> Embeddings:
        """Those of the embeddings `1bp`, `128bp` and `pair` that are `needed`, in the dtype of the config."""
        remat = self.config.remat
        x, skips = self.encoder(dna.astype(jnp.dtype(self.config.dtype)), train=train)
        x, pair = self.tower(self.organism(x, organism_index), train=train, key=key if train else None)
        embeddings = {}
        if needed & {"1bp", "128bp"}:
            embeddings["128bp"] = self.embedder_128bp(x, organism_index, train=train)
        if "1bp" in needed:
            embeddings["1bp"] = stage(
                remat,
                lambda embedder, x, coarse: embedder(x, organism_index, coarse, train=train),
                self.embedder_1bp,
                self.decoder(x, skips, train=train),
                embeddings["128bp"],
            )
        if "pair" in needed:
            embeddings["pair"] = self.embedder_pair(pair, organism_index)
        return embeddings

    def _needed(self, requested: frozenset[str] | None) -> frozenset[str]:
        if requested is None:
            return frozenset({"1bp", "128bp", "pair"})
        return frozenset().union(*(self.heads[name].needs for name in requested))
