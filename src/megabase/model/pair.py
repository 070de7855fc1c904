"""The pair representation: one vector for every two bins of 2,048 bp (architecture reference 3)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Key

from megabase.model.config import TOKENS_PER_PAIR_BIN, NetworkConfig
from megabase.model.initialisation import Draws
from megabase.model.layers import LayerNorm, Linear, dropout, fold
from megabase.model.products import wide


def central_mask(bins: int, features: int, max_distance: int) -> Float32[np.ndarray, "2*bins features"]:
    """For each distance r = -bins..bins-1: which of `features` growing widths reach beyond |r|.

    Width j is `j + geomspace(1, max_distance - features + 1, features, endpoint excluded)_j`.
    """
    widths = np.arange(features) + np.geomspace(1.0, max_distance - features + 1, features, endpoint=False)
    return (widths > np.abs(np.arange(-bins, bins))[:, None]).astype(np.float32)


def position_features(bins: int, features: int, max_distance: int) -> Float32[np.ndarray, "2*bins features"]:
    """The central mask with half the features, beside itself times the sign of the distance."""
    mask = central_mask(bins, features // 2, max_distance)
    return np.concatenate((mask, np.sign(np.arange(-bins, bins, dtype=np.float32))[:, None] * mask), axis=1)


def relative_shift(x: Float[Array, "... P 2*P"]) -> Float[Array, "... P P"]:
    """From columns that are distances -P..P-1 to columns that are places: `out[q, k] = x[q, P + k - q]`."""
    bins = x.shape[-2]
    # Row q starts one distance earlier than row q - 1: read with rows one shorter, the places line up.
    flat = x.reshape(*x.shape[:-2], -1)[..., bins:]
    return flat.reshape(*x.shape[:-2], bins, 2 * bins - 1)[..., :bins]


class SequenceToPair(nnx.Module):
    """Pairs from products of pooled tokens, their distance, and a sum of row and column."""

    def __init__(self, config: NetworkConfig, rate: float, draws: Draws) -> None:
        trunk, channels, heads = config.trunk_channels, config.pair_channels, config.pair_heads
        self.heads, self.rate = heads, rate
        self.features, self.max_distance = config.pair_position_features, config.pair_distance
        self.norm = LayerNorm(trunk, draws, centred=False)
        self.q = Linear(trunk, heads * channels, draws, bias=False)
        self.k = Linear(trunk, heads * channels, draws, bias=False)
        self.q_r_bias = nnx.Param(draws.constant(0.0, heads, channels))
        self.k_r_bias = nnx.Param(draws.constant(0.0, heads, channels))
        self.positions = Linear(self.features, heads * channels, draws)
        self.pair = Linear(heads, channels, draws)
        self.y_q = Linear(trunk, channels, draws, bias=False)
        self.y_k = Linear(trunk, channels, draws, bias=False)

    def __call__(self, x: Float[Array, "B N D"], *, key: Key[Array, ""] | None) -> Float[Array, "B P P C"]:
        batch, tokens, _ = x.shape
        bins = tokens // TOKENS_PER_PAIR_BIN
        pooled = self.norm(jnp.mean(x.reshape(batch, bins, TOKENS_PER_PAIR_BIN, -1), axis=2))
        q = self.q(pooled).reshape(batch, bins, self.heads, -1)
        k = self.k(pooled).reshape(batch, bins, self.heads, -1)
        features = jnp.asarray(position_features(bins, self.features, self.max_distance), x.dtype)
        e = self.positions(features).reshape(2 * bins, self.heads, -1)
        rows = relative_shift(jnp.einsum("bqhc,phc->bhqp", q + self.q_r_bias[...].astype(x.dtype), e))
        columns = relative_shift(jnp.einsum("bkhc,phc->bhkp", k + self.k_r_bias[...].astype(x.dtype), e))
        products = jnp.einsum("bqhc,bkhc->bhqk", q, k) + 0.5 * (rows + columns.swapaxes(-1, -2))
        z = jax.nn.gelu(pooled, approximate=True)
        pair = self.pair(products.transpose(0, 2, 3, 1)) + self.y_q(z)[:, :, None] + self.y_k(z)[:, None]
        return dropout(pair, self.rate, key)


class RowAttention(nnx.Module):
    """Every row of pairs attends to itself, with one head."""

    def __init__(self, config: NetworkConfig, rate: float, draws: Draws) -> None:
        channels, self.rate = config.pair_channels, rate
        self.norm = LayerNorm(channels, draws, centred=False)
        self.q = Linear(channels, channels, draws, bias=False)
        self.k = Linear(channels, channels, draws, bias=False)
        self.v = Linear(channels, channels, draws)

    def __call__(self, pair: Float[Array, "B P P C"], *, key: Key[Array, ""] | None) -> Float[Array, "B P P C"]:
        h = self.norm(pair)
        q, k, v = self.q(h), self.k(h), self.v(h)
        logits = jnp.einsum("bpqc,bpkc->bpqk", q, k, preferred_element_type=wide(q)) * q.shape[-1] ** -0.5
        weights = jax.nn.softmax(logits, axis=-1).astype(v.dtype)
        return dropout(jnp.einsum("bpqk,bpkc->bpqc", weights, v), self.rate, key)


class PairMLP(nnx.Module):
    """Norm, twice as wide, relu, back."""

    def __init__(self, config: NetworkConfig, rate: float, draws: Draws) -> None:
        channels, self.rate = config.pair_channels, rate
        self.norm = LayerNorm(channels, draws, centred=False)
        self.up = Linear(channels, 2 * channels, draws)
        self.down = Linear(2 * channels, channels, draws)

    def __call__(self, pair: Float[Array, "B P P C"], *, key: Key[Array, ""] | None) -> Float[Array, "B P P C"]:
        return dropout(self.down(jax.nn.relu(self.up(self.norm(pair)))), self.rate, key)


class PairUpdate(nnx.Module):
    """Brings what the tokens have learnt into the pairs."""

    def __init__(self, config: NetworkConfig, rate: float, draws: Draws) -> None:
        self.sequence_to_pair = SequenceToPair(config, rate, draws)
        self.row_attention = RowAttention(config, rate, draws)
        self.mlp = PairMLP(config, rate, draws)

    def __call__(
        self, x: Float[Array, "B N D"], pair: Float[Array, "B P P C"] | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, "B P P C"]:
        update = self.sequence_to_pair(x, key=fold(key, 0))
        pair = update if pair is None else pair + update
        pair = pair + self.row_attention(pair, key=fold(key, 1))
        return pair + self.mlp(pair, key=fold(key, 2))
