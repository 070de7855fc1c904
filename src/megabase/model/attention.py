"""Attention over tokens of 128 bp (architecture reference 3)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Key, Num

from megabase.model.config import TOKENS_PER_PAIR_BIN, NetworkConfig
from megabase.model.initialisation import Draws
from megabase.model.layers import LayerNorm, Linear, RMSBatchNorm, dropout, fold
from megabase.model.products import wide

LOGIT_CAP = 5.0
"""Attention logits, bias included, are kept within ± this by a tanh (architecture reference 3)."""


def inverse_frequencies(channels: int, max_distance: int) -> Float32[np.ndarray, " channels/2"]:
    """Radians per position of each rotated pair: `1 / (j + geomspace(1, max_distance - F + 1, F)_j)`, F pairs."""
    pairs = channels // 2
    return (1.0 / (np.arange(pairs) + np.geomspace(1.0, max_distance - pairs + 1, pairs))).astype(np.float32)


def rotate(x: Float[Array, "B N H C"], positions: Num[Array, "#B N"], max_distance: int) -> Float[Array, "B N H C"]:
    """Rotary embedding: neighbouring channels (2j, 2j+1) turn by position x frequency j.

    Angles are float32 whatever the dtype of `x`. (The released model makes them in bfloat16 when it computes in it,
    where positions above 256 coincide; results then differ from its own.)
    """
    by = turns(positions[:, :, None], x.shape[-1], max_distance, wide(x))
    pairs = x.astype(wide(x)).reshape(*x.shape[:-1], -1, 2)
    turned = turn(pairs[..., 0], pairs[..., 1], by)
    return jnp.stack(turned, axis=-1).reshape(x.shape).astype(x.dtype)


Points = tuple[Float[Array, "*any"], Float[Array, "*any"]]
"""Of a plane, by their coordinates; on the unit circle, what turns others."""


def turns(positions: Num[Array, "*any"], channels: int, max_distance: int, dtype: jnp.dtype) -> Points:
    """Cosine and sine [*any, channels/2] of the angle by which each pair of channels turns at these positions."""
    angle = positions.astype(dtype)[..., None] * inverse_frequencies(channels, max_distance)
    return jnp.cos(angle), jnp.sin(angle)


def turn(even: Float[Array, "*any"], odd: Float[Array, "*any"], by: Points) -> Points:
    """Points of a plane turned about its origin."""
    cosine, sine = by
    return even * cosine - odd * sine, odd * cosine + even * sine


class AttentionBias(nnx.Module):
    """What the pair representation adds to the attention logits, still on the pair's grid."""

    def __init__(self, config: NetworkConfig, draws: Draws) -> None:
        self.norm = RMSBatchNorm(config.pair_channels, draws)
        self.linear = Linear(config.pair_channels, config.heads, draws, bias=False)

    def __call__(self, pair: Float[Array, "B P P C"], *, train: bool) -> Float[Array, "B P P H"]:
        return self.linear(jax.nn.gelu(self.norm(pair, train=train), approximate=True))


class MultiHeadAttention(nnx.Module):
    """Attention of many query heads to one shared key and value head."""

    def __init__(self, config: NetworkConfig, rate: float, draws: Draws) -> None:
        trunk = config.trunk_channels
        self.heads, self.max_distance, self.rate = config.heads, config.max_distance, rate
        self.norm = RMSBatchNorm(trunk, draws)
        self.q = Linear(trunk, config.heads * config.key_channels, draws, bias=False)
        self.k = Linear(trunk, config.key_channels, draws, bias=False)
        self.v = Linear(trunk, config.value_channels, draws, bias=False)
        self.norm_q = LayerNorm(config.key_channels, draws)
        self.norm_k = LayerNorm(config.key_channels, draws)
        self.norm_v = LayerNorm(config.value_channels, draws)
        self.out = Linear(config.heads * config.value_channels, trunk, draws)
        self.norm_out = RMSBatchNorm(trunk, draws)

    def __call__(
        self, x: Float[Array, "B N D"], bias: Float[Array, "B P P H"], *, train: bool, key: Key[Array, ""] | None
    ) -> Float[Array, "B N D"]:
        batch, tokens, _ = x.shape
        h = self.norm(x, train=train)
        positions = jnp.arange(tokens)[None]
        q = rotate(self.norm_q(self.q(h).reshape(batch, tokens, self.heads, -1)), positions, self.max_distance)
        k = rotate(self.norm_k(self.k(h))[:, :, None], positions, self.max_distance)[:, :, 0]
        y = attend(q, k, self.norm_v(self.v(h)), bias).reshape(batch, tokens, -1)
        return dropout(self.norm_out(self.out(y), train=train), self.rate, key)


def attend(
    q: Float[Array, "B N H K"], k: Float[Array, "B N K"], v: Float[Array, "B N V"], bias: Float[Array, "B P P H"]
) -> Float[Array, "B N H V"]:
    """Softmax attention with capped logits; each pair bin's bias is added to all its 16 x 16 token pairs.

    Heads stay between query and key, so that both products are plain matrix products. The cap bounds the logits, so
    the exponentials cannot overflow: no maximum is subtracted, and the sum is divided out after the values.
    """
    batch, tokens, heads, channels = q.shape
    logits = jnp.einsum("bqhc,bkc->bqhk", q, k, preferred_element_type=wide(q)) * channels**-0.5
    bins = tokens // TOKENS_PER_PAIR_BIN
    blocks = logits.reshape(batch, bins, TOKENS_PER_PAIR_BIN, heads, bins, TOKENS_PER_PAIR_BIN)
    blocks = blocks + bias.astype(wide(bias)).transpose(0, 1, 3, 2)[:, :, None, :, :, None]
    weights = jnp.exp(LOGIT_CAP * jnp.tanh(blocks / LOGIT_CAP)).reshape(logits.shape)
    y = jnp.einsum("bqhk,bkc->bqhc", weights.astype(v.dtype), v, preferred_element_type=wide(v))
    return (y / jnp.sum(weights, axis=-1, keepdims=True)).astype(v.dtype)


class MLP(nnx.Module):
    """Norm, twice as wide, relu, back, norm; dropout inside and after (paper section 3)."""

    def __init__(self, config: NetworkConfig, rate: float, draws: Draws) -> None:
        trunk, self.rate = config.trunk_channels, rate
        self.norm = RMSBatchNorm(trunk, draws)
        self.up = Linear(trunk, 2 * trunk, draws)
        self.down = Linear(2 * trunk, trunk, draws)
        self.norm_out = RMSBatchNorm(trunk, draws)

    def __call__(self, x: Float[Array, "B N D"], *, train: bool, key: Key[Array, ""] | None) -> Float[Array, "B N D"]:
        h = dropout(jax.nn.relu(self.up(self.norm(x, train=train))), self.rate, fold(key, 0))
        return dropout(self.norm_out(self.down(h), train=train), self.rate, fold(key, 1))
