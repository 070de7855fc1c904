"""AlphaGenome: from one-hot DNA to the tracks of every head.

Training keeps the model as plain trees of arrays, and puts it together again inside the compiled step:

    graphdef, *states = nnx.split(model, nnx.Param, nnx.BatchStat)
    params, statistics = map(nnx.to_pure_dict, states)
    def loss(params, statistics, dna, organism_index, key):
        model = nnx.merge(graphdef, params, statistics)
        predictions, _ = model(dna, organism_index, train=True, key=key, requested_outputs=heads)
        return objective(predictions), nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))   # the updated statistics

States may stay trees of variables (merge with `copy=True` under `jax.grad` then), but handing hundreds of variables
instead of arrays to a compiled step costs tens of milliseconds at each call. The graph definition is static and
hashable: models of one config with the same heads share one compiled program.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int, Int32, Key

from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.model.config import PAIR_BIN
from megabase.model.embedders import OutputEmbedder, PairEmbedder
from megabase.model.heads import ContactMapsHead, Embeddings, GenomeTracksHead, Predictions
from megabase.model.initialisation import Draws
from megabase.model.layers import OrganismEmbedding, StandardizedConv1D, stage
from megabase.model.sharding import divided
from megabase.model.spec import ModelConfig
from megabase.model.splicing import (
    THRESHOLD,
    SpliceJunctionsHead,
    SpliceSitesHead,
    SpliceSiteUsageHead,
    likely_sites,
)
from megabase.model.trunk import Decoder, Encoder, Tower

Head = GenomeTracksHead | ContactMapsHead | SpliceSitesHead | SpliceSiteUsageHead | SpliceJunctionsHead
_SPLICING: dict[str, type[Head]] = {
    "SPLICE_SITES": SpliceSitesHead,
    "SPLICE_SITE_USAGE": SpliceSiteUsageHead,
    "SPLICE_JUNCTIONS": SpliceJunctionsHead,
}
HEADS: dict[str, type[Head]] = {
    bundle.name: ContactMapsHead if bundle.kind == "contact_maps" else _SPLICING.get(bundle.name, GenomeTracksHead)
    for bundle in BUNDLES.values()
}
"""The head of each bundle."""
SITES_HEAD, JUNCTIONS_HEAD = BUNDLES["SPLICE_SITES"].head, BUNDLES["SPLICE_JUNCTIONS"].head


class AlphaGenome(nnx.Module):
    """The network at any width (architecture reference 2-6, paper section 3)."""

    def __init__(self, config: ModelConfig, *, dropout: float = 0.0, rngs: nnx.Rngs) -> None:
        """`dropout`: rate in training; at the paper's sites, all in the tower. The trunk's initial values do not depend
        on the heads."""
        draws = Draws(rngs)
        network, organisms = config.network, config.organisms
        self.config, self.dropout = config, dropout
        self.encoder = Encoder(network, draws)
        self.organism = OrganismEmbedding(organisms, network.trunk_channels, draws)
        self.tower = Tower(network, dropout, draws)
        self.decoder = Decoder(network, draws)
        self.embedder_128bp = OutputEmbedder(network.trunk_channels, None, organisms, draws)
        self.embedder_1bp = OutputEmbedder(network.channels, 2 * network.trunk_channels, organisms, draws)
        self.embedder_pair = PairEmbedder(network.pair_channels, organisms, draws)
        self.heads: Mapping[str, Head] = nnx.Dict(
            {spec.head: HEADS[spec.bundle](spec, network, organisms, draws) for spec in config.heads}
        )

    def __call__(
        self,
        dna: Float[Array, "B S 4"],
        organism_index: Int[Array, " B"],
        *,
        train: bool = False,
        key: Key[Array, ""] | None = None,
        requested_outputs: Collection[str] | None = None,
        splice_site_positions: Int32[Array, "B 4 K"] | None = None,
    ) -> tuple[dict[str, Predictions], Embeddings]:
        """Predictions by head and output, and the embeddings they were read from.

        `dna`: columns A, C, G, T; all zeros for anything else; S a multiple of 2,048. `train`: normalise by the batch,
        update the running statistics, and drop out with `key` (nothing is dropped without one). `requested_outputs`:
        names of the heads to compute, with only the embeddings they need; all heads and embeddings if None.
        `splice_site_positions`: sites that junctions are predicted between (-1: none); without them the most probable
        ones that the model itself predicts.

        Raises InputError for another length, for a head that the model does not have, and for junctions without
        positions in a model that predicts no splice sites.
        """
        names = frozenset(self.heads) if requested_outputs is None else frozenset(requested_outputs)
        if unknown := sorted(names - frozenset(self.heads)):
            remedy = f"choose from {', '.join(self.heads)}"
            raise InputError(f"the model has no head {', '.join(unknown)}", where="requested heads", remedy=remedy)
        needed = _ALL
        if requested_outputs is not None:
            needed = frozenset().union(*(self.heads[name].needs for name in names))
        embeddings = self.embed(dna, organism_index, train=train, key=key, needed=needed)
        return self.read(embeddings, organism_index, names, splice_site_positions), embeddings

    def read(
        self,
        embeddings: Embeddings,
        organism_index: Int[Array, " B"],
        names: Collection[str] | None = None,
        splice_site_positions: Int32[Array, "B 4 K"] | None = None,
    ) -> dict[str, Predictions]:
        """What the heads (all of them if None) predict from embeddings; as in a call of the model."""
        names = frozenset(self.heads) if names is None else names
        predictions = {
            name: head(embeddings, organism_index)
            for name, head in self.heads.items()
            if name in names and not isinstance(head, SpliceJunctionsHead)
        }
        if JUNCTIONS_HEAD in names:
            positions = splice_site_positions
            if positions is None:
                positions = self._likely_sites(predictions.get(SITES_HEAD), embeddings, organism_index)
            predictions[JUNCTIONS_HEAD] = self.junctions(embeddings, organism_index, positions)
        return predictions

    @property
    def junctions(self) -> SpliceJunctionsHead:
        """The head of junctions, of a model that has one."""
        head = self.heads[JUNCTIONS_HEAD]
        assert isinstance(head, SpliceJunctionsHead)
        return head

    def embed(
        self,
        dna: Float[Array, "B S 4"],
        organism_index: Int[Array, " B"],
        *,
        train: bool = False,
        key: Key[Array, ""] | None = None,
        needed: frozenset[str] = frozenset({"1bp", "128bp", "pair"}),
    ) -> Embeddings:
        """Those of the embeddings `1bp`, `128bp` and `pair` that are `needed`, in the dtype of the config.

        Raises InputError for a length that is no multiple of 2,048.
        """
        if dna.shape[1] % PAIR_BIN or dna.shape[1] == 0:
            remedy = f"give a multiple of {PAIR_BIN:,} bp"
            raise InputError(f"a sequence of {dna.shape[1]:,} bp", where="model input", remedy=remedy)
        remat = self.config.network.remat
        x, skips = self.encoder(divided(dna.astype(jnp.dtype(self.config.network.dtype))), train=train)
        x, pair = self.tower(self.organism(x, organism_index), train=train, key=key if train else None)
        fine = coarse = pairs = None
        if needed & {"1bp", "128bp"}:
            coarse = divided(self.embedder_128bp(x, organism_index, train=train))
        if "1bp" in needed:
            fine = divided(
                stage(
                    remat,
                    lambda embedder, x, coarse: embedder(x, organism_index, coarse, train=train),
                    self.embedder_1bp,
                    self.decoder(x, skips, train=train),
                    coarse,
                )
            )
        if "pair" in needed:
            pairs = divided(self.embedder_pair(pair, organism_index))
        return Embeddings(fine, coarse, pairs)

    def prepared(self) -> AlphaGenome:
        """This model for inference alone: the weights of its convolutions are standardised once, not in every call.

        It shares all other arrays with this one, and gives the same numbers. Without this one, it takes as much memory.
        """
        graph, state = nnx.split(self)
        model = nnx.merge(graph, state)
        for _, module in nnx.iter_modules(model):
            if isinstance(module, StandardizedConv1D):
                module.prepare(jnp.dtype(self.config.network.dtype))
        return model

    def _likely_sites(
        self, predicted: Predictions | None, embeddings: Embeddings, organism_index: Int[Array, " B"]
    ) -> Int32[Array, "B 4 K"]:
        if SITES_HEAD not in self.heads:
            raise InputError(
                "junctions are predicted between splice sites, and the model predicts none",
                where="requested heads",
                remedy="give splice_site_positions",
            )
        if predicted is None:
            predicted = self.heads[SITES_HEAD](embeddings, organism_index)  # type: ignore[call-arg]
        probabilities = lax.stop_gradient(predicted["predictions"])
        return likely_sites(probabilities, self.config.network.junction_sites, threshold=THRESHOLD)


_ALL = frozenset({"1bp", "128bp", "pair"})
