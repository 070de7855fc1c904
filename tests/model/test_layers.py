"""The building blocks against values of the released model, and against their own definitions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from megabase.model.attention import attend, inverse_frequencies, rotate, turn, turns
from megabase.model.initialisation import Draws
from megabase.model.layers import LayerNorm, MultiOrganismLinear, RMSBatchNorm, StandardizedConv1D, dropout, gelu
from megabase.model.pair import central_mask, position_features, relative_shift
from megabase.model.scaling import predictions_unscaled, targets_scaling
from megabase.model.standardisation import standard, standardised
from megabase.model.trunk import halve


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "parity" / "expected.npz") as file:
        return {name: file[name] for name in file.files if name.startswith("vec/")}


@pytest.fixture(scope="module")
def inputs(shared: Path) -> Any:
    sys.path.insert(0, str(shared / "parity"))
    try:
        import inputs
    finally:
        sys.path.pop(0)
    return inputs


@pytest.fixture(scope="module")
def draws() -> Draws:
    return Draws(nnx.Rngs(0))


def test_gelu(expected: dict[str, np.ndarray]) -> None:
    x = jnp.asarray([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 12.0])
    np.testing.assert_allclose(gelu(x), expected["vec/layer/gelu"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        jax.nn.gelu(x, approximate=True), expected["vec/layer/jax_gelu_tanh"], rtol=1e-5, atol=1e-6
    )


def test_rotary_frequencies(expected: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(inverse_frequencies(128, 8192), expected["vec/layer/rope_inv_freq_8192"], rtol=2e-6)
    np.testing.assert_allclose(inverse_frequencies(768, 2**20), expected["vec/layer/rope_inv_freq_2e20"], rtol=2e-6)


def test_rotary_embedding(expected: dict[str, np.ndarray], inputs: Any) -> None:
    x = jnp.asarray(inputs.normal("rope", (2, 40, 3, 128)))
    np.testing.assert_allclose(rotate(x, jnp.arange(40)[None], 8192), expected["vec/layer/rope_8192"], atol=1e-5)
    positions = jnp.asarray(inputs.rng("rope_pos").integers(0, 2**20, (2, 40)))
    # A million base pairs times a float32 frequency: the last bit of the frequency is 0.06 radians.
    np.testing.assert_allclose(rotate(x, positions, 2**20), expected["vec/layer/rope_2e20"], atol=0.2)


def test_relative_positions(expected: dict[str, np.ndarray], inputs: Any) -> None:
    np.testing.assert_array_equal(central_mask(64, 32, 512), expected["vec/layer/central_mask"])
    shifted = relative_shift(jnp.asarray(inputs.normal("shift", (1, 2, 6, 12))))
    np.testing.assert_array_equal(shifted, expected["vec/layer/shift"])
    features = position_features(4, 8, 16)
    np.testing.assert_array_equal(features[3, 4:], -features[3, :4])
    assert not features[4, 4:].any()


@pytest.mark.parametrize("resolution", [1, 128])
@pytest.mark.parametrize("squash", [0, 1])
def test_scaling(expected: dict[str, np.ndarray], inputs: Any, resolution: int, squash: int) -> None:
    means = jnp.asarray(np.exp(inputs.normal("track_means", (2, 7))))[:, None]
    exponent = 0.75 if squash else 1.0
    scaled = jnp.asarray(6 * inputs.pred("scale", (2, 64, 7)))
    raw = jnp.asarray(20 * inputs.target("scale", (2, 64, 7)))
    unscaled = predictions_unscaled(scaled, means, resolution, squash=exponent)
    np.testing.assert_allclose(unscaled, expected[f"vec/scaling/predictions_{resolution}_{squash}"], rtol=1e-5)
    targets = targets_scaling(raw, means, resolution, squash=exponent)
    np.testing.assert_allclose(targets, expected[f"vec/scaling/targets_{resolution}_{squash}"], rtol=1e-5)
    back = predictions_unscaled(targets, means, resolution, squash=exponent)
    np.testing.assert_allclose(back, raw, rtol=1e-4, atol=1e-6)


def test_batch_norm_trains_on_the_batch_and_predicts_with_the_running_mean(draws: Draws) -> None:
    norm = RMSBatchNorm(3, draws)
    x = jnp.asarray(np.random.default_rng(0).normal(2.0, 3.0, (2, 50, 3)), jnp.float32)
    mean_square = np.mean(np.square(x), axis=(0, 1))
    np.testing.assert_allclose(norm(x, train=False), x / np.sqrt(1 + 1e-5), rtol=1e-5)
    np.testing.assert_allclose(norm(x, train=True), x / np.sqrt(mean_square + 1e-5), rtol=1e-5)
    np.testing.assert_allclose(norm.var_ema[...], 0.9 + 0.1 * mean_square, rtol=1e-5)
    for _ in range(200):
        norm(x, train=True)
    np.testing.assert_allclose(norm(x, train=False), norm(x, train=True), rtol=1e-4)


def test_batch_norm_statistics_are_float32_whatever_the_input(draws: Draws) -> None:
    norm = RMSBatchNorm(1, draws)
    y = norm(jnp.full((1, 100_000, 1), 1.0, jnp.bfloat16), train=True)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(norm.var_ema[...], 1.0, rtol=1e-5)


def test_layer_norm(draws: Draws) -> None:
    x = np.random.default_rng(0).normal(2.0, 3.0, (4, 8)).astype(np.float32)
    centred = x - x.mean(-1, keepdims=True)
    np.testing.assert_allclose(
        LayerNorm(8, draws)(jnp.asarray(x)), centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5), rtol=1e-4
    )
    np.testing.assert_allclose(
        LayerNorm(8, draws, centred=False)(jnp.asarray(x)),
        x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5),
        rtol=1e-4,
    )


def test_standardised_convolution_is_the_written_sum(draws: Draws) -> None:
    conv = StandardizedConv1D(5, 3, 2, draws)
    conv.scale.set_value(jnp.asarray([2.0, 0.5]))
    conv.bias.set_value(jnp.asarray([0.1, -0.2]))
    x = np.random.default_rng(0).normal(size=(1, 20, 3)).astype(np.float32)
    w = np.asarray(conv.w[...])
    w = (w - w.mean((0, 1))) / np.sqrt(15 * w.var((0, 1))) * np.array([2.0, 0.5])
    padded = np.pad(x[0], ((2, 2), (0, 0)))
    wanted = np.stack([sum(padded[t + k] @ w[k] for k in range(5)) for t in range(20)]) + np.array([0.1, -0.2])
    np.testing.assert_allclose(conv(jnp.asarray(x))[0], wanted, rtol=1e-4, atol=1e-5)


def test_standardised_convolution_floors_the_variance(draws: Draws) -> None:
    conv = StandardizedConv1D(5, 3, 2, draws)
    conv.w.set_value(1e-6 * conv.w[...])
    y = conv(jnp.ones((1, 20, 3)))
    assert float(jnp.abs(y).max()) < 1e-2


@pytest.mark.parametrize("inputs", [3, 32])  # Sums of one slice, and of sixteen.
def test_gradients_of_standardised_weights_are_those_of_the_formula(inputs: int) -> None:
    draw = np.random.default_rng(inputs)
    w, slope = (jnp.asarray(draw.normal(0.2, 0.1, (5, inputs, 4)), jnp.float32) for _ in range(2))
    w = w.at[..., 3].multiply(1e-4)  # Below the floor.
    scale = jnp.asarray([1.0, -2.0, 0.5, 3.0])

    def formula(w: jax.Array, scale: jax.Array) -> jax.Array:
        variance = 5 * inputs * jnp.var(w, axis=(0, 1))
        return (w - w.mean((0, 1))) * scale / jnp.sqrt(jnp.maximum(variance, 1e-4))

    expected, back = jax.vjp(formula, w, scale)
    found, own = jax.vjp(lambda w, scale: standardised(w, standard(w, scale)), w, scale)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    for a, b in zip(own(slope), back(slope), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(np.abs(b).max()))


def test_organisms_have_their_own_weights(draws: Draws) -> None:
    linear = MultiOrganismLinear(2, 4, 3, draws)
    x = jnp.ones((2, 5, 4), jnp.bfloat16)
    y = linear(x, jnp.asarray([1, 0]))
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y[0, 0], np.asarray(linear.w[...][1].astype(jnp.bfloat16), np.float32).sum(0), rtol=1e-5)
    assert not np.allclose(y[0], y[1])


def test_attention_is_a_capped_softmax_with_the_pairs_bias() -> None:
    rng = np.random.default_rng(0)
    q, k = rng.normal(0, 4, (1, 32, 2, 8)).astype(np.float32), rng.normal(0, 4, (1, 32, 8)).astype(np.float32)
    v, bias = rng.normal(size=(1, 32, 6)).astype(np.float32), rng.normal(0, 3, (1, 2, 2, 2)).astype(np.float32)
    logits = np.einsum("qhc,kc->qkh", q[0], k[0]) / np.sqrt(8) + bias[0].repeat(16, 0).repeat(16, 1)
    weights = jax.nn.softmax(5 * np.tanh(logits / 5), axis=1)
    np.testing.assert_allclose(
        attend(*map(jnp.asarray, (q, k, v, bias)))[0], np.einsum("qkh,kc->qhc", weights, v[0]), rtol=1e-4, atol=1e-5
    )


def test_halving_takes_the_larger_of_two_neighbours() -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 3)), jnp.float32)
    np.testing.assert_array_equal(halve(x), np.maximum(x[:, ::2], x[:, 1::2]))


def test_dropout_keeps_the_mean() -> None:
    x = jnp.ones((200, 200))
    y = dropout(x, 0.3, jax.random.key(0))
    assert abs(float((y == 0).mean()) - 0.3) < 0.01
    assert abs(float(y.mean()) - 1.0) < 0.02
    np.testing.assert_array_equal(dropout(x, 0.3, None), x)


def test_draws_are_truncated_and_repeatable() -> None:
    values = np.asarray(Draws(nnx.Rngs(1)).truncated_normal(200, 200, std=0.5))
    assert np.abs(values).max() <= 1.0
    assert abs(values.std() - 0.5 * 0.8796) < 0.005
    np.testing.assert_array_equal(values, Draws(nnx.Rngs(1)).truncated_normal(200, 200, std=0.5))
    assert not np.array_equal(values, Draws(nnx.Rngs(2)).truncated_normal(200, 200, std=0.5))
    traced = np.asarray(jax.jit(lambda: Draws(nnx.Rngs(1)).truncated_normal(200, 200, std=0.5))())
    assert abs(traced.std() - 0.5 * 0.8796) < 0.005


def test_rotary_halves_are_the_rotary_embedding() -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 6, 1, 8)), jnp.float32)
    places = jnp.arange(6)[None]
    even, odd = turn(x[..., 0, ::2], x[..., 0, 1::2], turns(places, 8, 64, jnp.dtype("float32")))
    rotated = rotate(x, places, 64)[:, :, 0]
    np.testing.assert_allclose(np.stack((even, odd), axis=-1).reshape(rotated.shape), rotated, rtol=1e-6)


def test_a_head_learns_by_products_in_the_dtype_that_it_computes_in(draws: Draws) -> None:
    module = MultiOrganismLinear(2, 96, 64, draws)
    graph, parameters = nnx.split(module)
    x, wanted = (jax.random.normal(jax.random.key(i), (2, 200, width)) for i, width in enumerate((96, 64)))

    def slopes(dtype: Any) -> Any:
        def loss(parameters: nnx.State, x: jax.Array) -> jax.Array:
            y = nnx.merge(graph, parameters, copy=True)(x.astype(dtype), jnp.asarray([1, 0]))
            assert y.dtype == jnp.float32
            return jnp.sum(jnp.square(y - wanted))

        return jax.jit(jax.grad(loss, (0, 1))).lower(parameters, x)

    program = slopes(jnp.bfloat16)
    products = [line for line in program.as_text().splitlines() if "dot_general" in line]
    assert len(products) == 3
    assert all(": (tensor<" in line and line.split(" : ")[-1].split("->")[0].count("bf16") == 2 for line in products)
    exact, narrow = (jax.tree.leaves(lowered.compile()(parameters, x)) for lowered in (slopes(jnp.float32), program))
    for a, b in zip(exact, narrow, strict=True):
        assert a.dtype == b.dtype == jnp.float32
        assert float(jnp.linalg.norm(a - b) / jnp.linalg.norm(a)) < 0.01
