"""Encoder, transformer tower and decoder (architecture reference 2-4)."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from megabase.model.attention import MLP, AttentionBias, MultiHeadAttention
from megabase.model.config import NetworkConfig
from megabase.model.initialisation import Draws
from megabase.model.layers import Conv1D, ConvBlock, fold, stage
from megabase.model.pair import PairUpdate
from megabase.model.sharding import divided

Skips = list[Float[Array, "B _ _"]]
"""Activations at 1, 2, 4, ..., 64 bp, handed from the encoder to the decoder."""


def halve(x: Float[Array, "B S C"]) -> Float[Array, "B S/2 C"]:
    """The larger of every two neighbours. As an elementwise maximum: the gradient of a reduction takes ten times as
    long on a CPU."""
    pairs = x.reshape(x.shape[0], x.shape[1] // 2, 2, -1)
    return jnp.maximum(pairs[:, :, 0], pairs[:, :, 1])


class Stem(nnx.Module):
    """From bases to channels at 1 bp."""

    def __init__(self, channels: int, draws: Draws) -> None:
        self.conv = Conv1D(15, 4, channels, draws)
        self.block = ConvBlock(5, channels, channels, draws)

    def __call__(self, dna: Float[Array, "B S 4"], *, train: bool) -> Float[Array, "B S C"]:
        x = self.conv(dna)
        return x + self.block(x, train=train)


class DownStage(nnx.Module):
    """Two convolution blocks; the channels that the first adds start from zero in its residual."""

    def __init__(self, inputs: int, outputs: int, draws: Draws) -> None:
        self.first = ConvBlock(5, inputs, outputs, draws)
        self.second = ConvBlock(5, outputs, outputs, draws)

    def __call__(self, x: Float[Array, "B S I"], *, train: bool) -> Float[Array, "B S O"]:
        h = self.first(x, train=train)
        h = h + jnp.pad(x, ((0, 0), (0, 0), (0, h.shape[-1] - x.shape[-1])))
        return h + self.second(h, train=train)


class UpStage(nnx.Module):
    """Doubles the resolution and brings the skip of that resolution in."""

    def __init__(self, inputs: int, outputs: int, residual_scale: float, draws: Draws) -> None:
        self.conv_in = ConvBlock(5, inputs, outputs, draws)
        self.residual_scale = nnx.Param(draws.constant(residual_scale))
        self.skip = ConvBlock(1, outputs, outputs, draws)
        self.conv_out = ConvBlock(5, outputs, outputs, draws)

    def __call__(
        self, x: Float[Array, "B S/2 I"], skip: Float[Array, "B S O"], *, train: bool
    ) -> Float[Array, "B S O"]:
        h = self.conv_in(x, train=train) + x[..., : skip.shape[-1]]
        h = jnp.repeat(h * self.residual_scale[...].astype(h.dtype), 2, axis=1) + self.skip(skip, train=train)
        return h + self.conv_out(h, train=train)


class Encoder(nnx.Module):
    """From 1 bp to 128 bp; the activations before each halving are kept for the decoder."""

    def __init__(self, config: NetworkConfig, draws: Draws) -> None:
        widths, self.remat = config.widths, config.remat
        self.stem = Stem(widths[0], draws)
        self.stages = nnx.List([DownStage(inputs, outputs, draws) for inputs, outputs in itertools.pairwise(widths)])

    def __call__(self, dna: Float[Array, "B S 4"], *, train: bool) -> tuple[Float[Array, "B S/128 D"], Skips]:
        x, skips = dna, []
        for module in (self.stem, *self.stages):
            x = divided(stage(self.remat, lambda module, x: module(x, train=train), module, x))
            skips.append(x)
            x = divided(halve(x))
        return x, skips


class Decoder(nnx.Module):
    """From 128 bp back to 1 bp."""

    def __init__(self, config: NetworkConfig, draws: Draws) -> None:
        self.remat = config.remat
        outputs = config.widths[::-1]
        inputs = (config.trunk_channels, *outputs)
        self.stages = nnx.List(
            [UpStage(i, o, config.residual_scale, draws) for i, o in zip(inputs, outputs, strict=False)]
        )

    def __call__(self, x: Float[Array, "B S/128 D"], skips: Skips, *, train: bool) -> Float[Array, "B S C"]:
        for module, skip in zip(self.stages, reversed(skips), strict=True):
            x = divided(stage(self.remat, lambda module, x, skip: module(x, skip, train=train), module, x, skip))
        return x


class TransformerBlock(nnx.Module):
    """Attention biased by the pairs, then an MLP; every second block first updates the pairs."""

    def __init__(self, config: NetworkConfig, updates_pair: bool, rate: float, draws: Draws) -> None:
        self.pair_update = PairUpdate(config, rate, draws) if updates_pair else None
        self.bias = AttentionBias(config, draws)
        self.attention = MultiHeadAttention(config, rate, draws)
        self.mlp = MLP(config, rate, draws)

    def __call__(
        self,
        x: Float[Array, "B N D"],
        pair: Float[Array, "B P P C"] | None,
        *,
        train: bool,
        key: Key[Array, ""] | None,
    ) -> tuple[Float[Array, "B N D"], Float[Array, "B P P C"]]:
        if self.pair_update is not None:
            pair = self.pair_update(x, pair, key=fold(key, 0))
        assert pair is not None  # the first block updates it
        x = x + self.attention(x, self.bias(pair, train=train), train=train, key=fold(key, 1))
        return x + self.mlp(x, train=train, key=fold(key, 2)), pair


class Tower(nnx.Module):
    """The transformer."""

    def __init__(self, config: NetworkConfig, rate: float, draws: Draws) -> None:
        self.remat = config.remat
        self.blocks = nnx.List([TransformerBlock(config, i % 2 == 0, rate, draws) for i in range(config.blocks)])

    def __call__(
        self, x: Float[Array, "B N D"], *, train: bool, key: Key[Array, ""] | None
    ) -> tuple[Float[Array, "B N D"], Float[Array, "B P P C"]]:
        pair: Float[Array, "B P P C"] = None  # type: ignore[assignment]  # made by the first block
        for i, block in enumerate(self.blocks):
            site = fold(key, i)
            x, pair = stage(
                self.remat, lambda block, x, pair, site=site: block(x, pair, train=train, key=site), block, x, pair
            )
            x, pair = divided(x), divided(pair)
        return x, pair
