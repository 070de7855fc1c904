"""From embeddings to predictions (architecture reference 6)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Shaped

from megabase.model.config import NetworkConfig
from megabase.model.initialisation import Draws
from megabase.model.layers import MultiOrganismLinear
from megabase.model.scaling import predictions_unscaled
from megabase.model.spec import HeadSpec

Predictions = dict[str, Shaped[Array, "B *positions T"]]
"""The outputs of one head."""


class Embeddings(NamedTuple):
    """What the heads read; None where it was not computed."""

    embeddings_1bp: Float[Array, "B S 2*C"] | None = None
    embeddings_128bp: Float[Array, "B S/128 2*D"] | None = None
    embeddings_pair: Float[Array, "B P P C"] | None = None

    def at(self, resolution: str) -> Float[Array, "B *positions C"]:
        """The embedding `1bp`, `128bp` or `pair`, which was computed."""
        embedding: Array = getattr(self, f"embeddings_{resolution}")
        return embedding


class TrackOutput(nnx.Module):
    """Predictions in model space at one resolution: `softplus(linear) softplus(learnt scale)`.

    Weights, bias 0 and scale 1 as in the released initialiser: the product starts at about 1, the scaled value of a
    base with the track's mean signal. (The paper starts the scale at 0, which halves that.)
    """

    def __init__(self, organisms: int, inputs: int, tracks: int, draws: Draws) -> None:
        self.linear = MultiOrganismLinear(organisms, inputs, tracks, draws)
        self.learnt_scale = nnx.Param(draws.constant(1.0, organisms, tracks))

    def __call__(self, x: Float[Array, "B N C"], organism_index: Int[Array, " B"]) -> Float32[Array, "B N T"]:
        scale = jax.nn.softplus(self.learnt_scale[...])[organism_index]
        return jax.nn.softplus(self.linear(x, organism_index)) * scale[:, None]


class GenomeTracksHead(nnx.Module):
    """Tracks along the genome at each resolution of their output type, in model space and in the signal's units."""

    def __init__(self, spec: HeadSpec, config: NetworkConfig, organisms: int, draws: Draws) -> None:
        self.spec = spec
        inputs = {1: 2 * config.channels, 128: 2 * config.trunk_channels}
        self.outputs = nnx.Dict(
            {f"{r}bp": TrackOutput(organisms, inputs[r], spec.tracks, draws) for r in spec.settings.resolutions}
        )

    @property
    def needs(self) -> frozenset[str]:
        """The embeddings it reads."""
        return frozenset(f"{r}bp" for r in self.spec.settings.resolutions)

    def __call__(self, embeddings: Embeddings, organism_index: Int[Array, " B"]) -> Predictions:
        """`scaled_predictions_{r}bp` and `predictions_{r}bp` [B, S/r, T], float32."""
        means = jnp.asarray(self.spec.track_means)[organism_index][:, None]
        predictions = {}
        for r in self.spec.settings.resolutions:
            scaled = self.outputs[f"{r}bp"](embeddings.at(f"{r}bp"), organism_index)
            predictions[f"scaled_predictions_{r}bp"] = scaled
            predictions[f"predictions_{r}bp"] = predictions_unscaled(scaled, means, r, squash=self.spec.settings.squash)
        return predictions


class ContactMapsHead(nnx.Module):
    """Log observed over expected contacts between bins of 2,048 bp; symmetric, because the embedding is."""

    def __init__(self, spec: HeadSpec, config: NetworkConfig, organisms: int, draws: Draws) -> None:
        self.spec = spec
        self.linear = MultiOrganismLinear(organisms, config.pair_channels, spec.tracks, draws)

    needs = frozenset({"pair"})
    """The embeddings it reads."""

    def __call__(self, embeddings: Embeddings, organism_index: Int[Array, " B"]) -> Predictions:
        """`predictions` [B, P, P, T], float32."""
        return {"predictions": self.linear(embeddings.at("pair"), organism_index)}
