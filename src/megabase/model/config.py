"""Size of the network. The released model is one preset, the demo another: the same code, the same ratios."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from megabase.settings import settings

HALVINGS_WITH_GROWTH = 6
"""Halvings of the resolution that add channels: 2, 4, ..., 64 bp (architecture reference 2)."""
TOKEN = 128
"""Base pairs per token of the transformer."""
TOKENS_PER_PAIR_BIN = 16
"""Tokens per bin of the pair representation."""
PAIR_BIN = TOKEN * TOKENS_PER_PAIR_BIN
"""Base pairs per pair bin (2,048): every sequence is a multiple of it."""

Even = Annotated[int, Field(ge=2, multiple_of=2)]
Remat = Literal["everything", "elementwise", "nothing"]
"""What is computed again: see `NetworkConfig.remat`."""


@settings
class NetworkConfig:
    """Widths and depths (architecture reference sections 2-5; the defaults are the released model)."""

    channels: Annotated[int, Field(ge=1)] = 768
    """Channels at 1 bp."""
    channel_step: Annotated[int, Field(ge=0)] = 128
    """Channels added at each of the six halvings of the resolution."""
    blocks: Annotated[int, Field(ge=1)] = 9
    """Transformer blocks; the pair representation is updated before every second one."""
    heads: Annotated[int, Field(ge=1)] = 8
    """Query heads of a transformer block (one key and one value head are shared)."""
    key_channels: Even = 128
    """Channels of a query or key (even: rotary embeddings rotate pairs)."""
    value_channels: Annotated[int, Field(ge=1)] = 192
    """Channels of a value."""
    pair_channels: Even = 128
    """Channels of the pair representation."""
    pair_heads: Annotated[int, Field(ge=1)] = 32
    """Heads of the sequence-to-pair attention."""
    pair_position_features: Even = 64
    """Relative-position features of the sequence-to-pair attention."""
    junction_channels: Even = 768
    """Channels of the splice-junction head."""
    junction_sites: Annotated[int, Field(ge=1)] = 512
    """Splice sites of each class, in a window, that junctions are predicted between (architecture reference 6.6)."""
    max_distance: Annotated[int, Field(ge=256)] = 8192
    """Longest distance, in 128-bp tokens, that positions are scaled for."""
    dtype: Literal["bfloat16", "float32", "float64"] = "bfloat16"
    """Arithmetic of the forward pass; parameters are float32. float64 is for comparing programs, and needs JAX's
    `jax_enable_x64`."""
    remat: Remat = "everything"
    """What of a forward pass is computed again in the backward pass, to save memory: everything, all but convolutions
    and products with parameters (`elementwise`), or nothing."""
    residual_scale: float = 0.9
    """Initial scale of the decoder's upsampled path (paper 0.9; the released code says 1)."""

    @property
    def trunk_channels(self) -> int:
        """Channels at 128 bp, where the transformer works (released: 1,536)."""
        return self.channels + HALVINGS_WITH_GROWTH * self.channel_step

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels at 1, 2, 4, ..., 64 bp (released: 768, 896, ..., 1,536)."""
        return tuple(self.channels + i * self.channel_step for i in range(HALVINGS_WITH_GROWTH + 1))

    @property
    def pair_distance(self) -> int:
        """Longest distance, in pair bins, of the relative-position features (released: 512)."""
        return self.max_distance // TOKENS_PER_PAIR_BIN

    @model_validator(mode="after")
    def _check(self) -> NetworkConfig:
        if self.key_channels // 2 > self.max_distance:
            raise ValueError("key_channels is more than twice max_distance: no frequencies are left to rotate by")
        if self.pair_position_features // 2 > self.pair_distance:
            raise ValueError("pair_position_features is more than an eighth of max_distance: widths would repeat")
        return self

    @staticmethod
    def paper() -> NetworkConfig:
        """The released model: 450,452,613 parameters with its padded heads."""
        return NetworkConfig()

    @staticmethod
    def demo() -> NetworkConfig:
        """The same blocks, narrow enough for two CPU cores."""
        return NetworkConfig(
            channels=16,
            channel_step=8,
            blocks=3,
            heads=4,
            key_channels=16,
            value_channels=16,
            pair_channels=16,
            pair_heads=4,
            pair_position_features=16,
            junction_channels=16,
            junction_sites=64,
            dtype="float32",
            remat="nothing",
        )
