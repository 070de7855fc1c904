"""From embeddings to predictions (architecture reference 6)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Shaped

from megabase.model.config import TOKEN, NetworkConfig
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


def coarser(x: Float[Array, "B N C"], factor: int) -> Float[Array, "B N/factor C"]:
    """Means of every `factor` neighbours: the embedding of a bin is that of its bases."""
    if factor == 1:
        return x
    return x.reshape(x.shape[0], x.shape[1] // factor, factor, -1).mean(axis=2)


def read_from(resolution: int) -> int:
    """The resolution, in bp, of the embedding that a head of `resolution` bp reads: 128 for 128, else 1."""
    return TOKEN if resolution == TOKEN else 1


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
    """Tracks along the genome at each of the head's resolutions, in model space and in the signal's units.

    Resolutions between 1 and 128 bp read means of the embedding at 1 bp, so that weights of one resolution fit another.
    """

    def __init__(self, spec: HeadSpec, config: NetworkConfig, organisms: int, draws: Draws) -> None:
        self.spec = spec
        inputs = {1: 2 * config.channels, TOKEN: 2 * config.trunk_channels}
        self.outputs = nnx.Dict(
            {f"{r}bp": TrackOutput(organisms, inputs[read_from(r)], spec.tracks, draws) for r in spec.resolutions}
        )

    @property
    def needs(self) -> frozenset[str]:
        """The embeddings it reads."""
        return frozenset(f"{read_from(r)}bp" for r in self.spec.resolutions)

    def __call__(self, embeddings: Embeddings, organism_index: Int[Array, " B"]) -> Predictions:
        """`scaled_predictions_{r}bp` and `predictions_{r}bp` [B, S/r, T], float32, at its own resolutions; and
        `predictions_{r}bp` at those of the output type, summed or spread evenly where it has others."""
        means = jnp.asarray(self.spec.track_means)[organism_index][:, None]
        predictions = {}
        for r in self.spec.resolutions:
            source = read_from(r)
            read = coarser(embeddings.at(f"{source}bp"), r // source)
            scaled = self.outputs[f"{r}bp"](read, organism_index)
            predictions[f"scaled_predictions_{r}bp"] = scaled
            predictions[f"predictions_{r}bp"] = predictions_unscaled(scaled, means, r, squash=self.spec.settings.squash)
        finest = self.spec.resolutions[0]
        for r in self.spec.settings.resolutions:
            if r not in self.spec.resolutions:
                predictions[f"predictions_{r}bp"] = _converted(predictions[f"predictions_{finest}bp"], finest, r)
        return predictions


def _converted(x: Float[Array, "B N T"], here: int, there: int) -> Float[Array, "B M T"]:
    """Sums over bins of `here` bp as sums over bins of `there` bp."""
    if there >= here:
        return x.reshape(x.shape[0], x.shape[1] * here // there, there // here, -1).sum(axis=2)
    return jnp.repeat(x * (there / here), here // there, axis=1)


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
