"""Losses equal the published implementation's, and what is masked changes neither loss nor gradient."""

from __future__ import annotations

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from parity import rules
from whole_loss import total_loss

from megabase.model.scaling import soft_clip
from megabase.model.spec import HeadSpec
from megabase.training.config import TrainingConfig
from megabase.training.losses import (
    contact_loss,
    gene_loss,
    junction_loss,
    masked_mean,
    multinomial,
    pair_sums,
    poisson,
    splice_site_loss,
    usage_loss,
)
from megabase.training.optimizer import decayed, optimizer, schedule


@pytest.fixture(scope="module")
def parity(shared: Path):
    """The rule for inputs and the expected values."""
    return rules(shared, "inputs"), np.load(shared / "parity" / "expected.npz")


def test_building_blocks_equal_the_expected_values(parity) -> None:
    inputs, expected = parity
    predicted, target = inputs.pred("fn", (2, 1024, 7)), inputs.target("fn", (2, 1024, 7))
    mask = np.broadcast_to(inputs.mask("fn", (2, 1, 7)), predicted.shape)
    assert np.allclose(poisson(target, predicted, mask), expected["vec/loss/poisson"], rtol=1e-5)
    assert np.allclose(masked_mean(target, mask), expected["vec/loss/safe_masked_mean"], rtol=1e-5)
    whole = multinomial(target, predicted, mask, 1024)
    assert np.allclose(whole, expected["vec/loss/multinomial_1024/loss"], rtol=1e-5)


@pytest.mark.parametrize("bundle", ["ATAC", "RNA_SEQ"])
def test_heads_equal_the_expected_values(parity, bundle: str) -> None:
    inputs, expected = parity
    head, shape = bundle.lower(), (2, 131_072, 8)
    names = [
        f"vec/head/{head}/{what}/{who}"
        for what in ("track_means", "padding")
        for who in ("HOMO_SAPIENS", "MUS_MUSCULUS")
    ]
    human, mouse, human_padding, mouse_padding = (expected[name] for name in names)
    means = np.nan_to_num(np.stack([human, mouse]), nan=1.0)
    padding = np.stack([human_padding, mouse_padding]).astype(bool)
    spec = HeadSpec(bundle, 8, tuple(map(tuple, means.tolist())), tuple(map(tuple, (~padding).tolist())))
    predictions = {
        "scaled_predictions_1bp": inputs.pred(f"{head}/1", shape),
        "scaled_predictions_128bp": inputs.pred(f"{head}/128", (2, 1024, 8)),
    }
    targets, masks = {head: inputs.target(head, shape)}, {head: np.ones((2, 131_072, 1), bool)}
    loss, _ = total_loss({head: predictions}, np.array([0, 1]), targets, masks, (spec,), TrainingConfig())
    if np.allclose(padding, False):
        pytest.fail("the vectors should hold padding")
    assert np.allclose(loss, expected[f"vec/head/{head}/nanfix/loss"], rtol=1e-4)


def test_contact_maps_equal_the_expected_value(parity) -> None:
    inputs, expected = parity
    shape = (2, 16, 16, 28)
    target = inputs.normal("contact", shape)
    target = np.where(inputs.rng("mask/contact_nan").random(shape) < 0.05, np.nan, target)
    # All 28 human tracks are real, the first 8 of mouse.
    mask = np.ones((2, 16, 28), bool)
    mask[1, :, 8:] = False
    loss = contact_loss(target, inputs.normal("contact_pred", shape), mask)
    assert np.allclose(loss, expected["vec/head/contact_maps/loss"], rtol=1e-5)


def test_splice_sites_equal_the_expected_value(parity) -> None:
    inputs, expected = parity
    target = inputs.classes("ce", (2, 512))
    target[inputs.rng("mask/ce_none").random((2, 512)) < 0.1] = False
    loss = splice_site_loss(target, 3 * inputs.normal("ce", (2, 512, 5)), np.ones((2, 512, 1), bool))
    assert np.allclose(loss, expected["vec/loss/ce_logits"], rtol=1e-5)


def test_junctions_equal_the_expected_value(parity, shared: Path) -> None:
    inputs, expected = parity
    positions = np.stack([rules(shared, "fill").splice_positions(length, 32) for length in (4096, 8192)])
    strands = [(positions[:, donor, :, None] >= 0) & (positions[:, donor + 1, None, :] >= 0) for donor in (0, 2)]
    mask = np.concatenate([np.repeat(strand[..., None], 367, axis=-1) for strand in strands], axis=-1)
    shape = (2, 32, 32, 734)
    predicted = np.where(mask, inputs.pred("junction", shape), 0)
    loss = junction_loss(pair_sums(3 * inputs.target("junction", shape), predicted, mask, (1, 2)))
    assert np.allclose(loss, expected["vec/head/splice_sites_junction/loss"], rtol=1e-5)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("acceptors", [7, 48])
def test_gradients_of_junctions_are_those_of_the_formula(acceptors: int, compressed: bool) -> None:
    """In `losses` of sums alone; here of the shares themselves."""
    draw = np.random.default_rng(acceptors)
    shape = (2, 5, acceptors, 3)
    target, predicted = (jnp.asarray(draw.gamma(0.5, 20, shape), jnp.float32) for _ in range(2))
    mask = jnp.asarray(draw.random(shape) < 0.7).at[0, 1].set(False).at[1, :, 2].set(False)

    def formula(predicted: jax.Array) -> jax.Array:
        wanted, given = jnp.where(mask, target, 0), jnp.where(mask, predicted, 0)
        total = jnp.float32(0)
        for axis in (1, 2):
            known = mask.any(axis=axis, keepdims=True)
            sums = [x.sum(axis=axis, keepdims=True) for x in (wanted, given)]
            shares = [
                (x + 1e-7) / jnp.where(known, jnp.where(mask, x + 1e-7, 0).sum(axis=axis, keepdims=True), 1)
                for x in (wanted, given)
            ]
            entropy = -jnp.where(mask, shares[0] * jnp.log(shares[1]), 0).sum(axis=axis, keepdims=True)
            counts = poisson(sums[0] if compressed else soft_clip(sums[0]), sums[1], known)
            total += masked_mean(entropy, known) + 0.2 * counts
        return total

    value, slope = jax.value_and_grad(formula)(predicted)
    sums = functools.partial(pair_sums, target, mask=mask, axes=(1, 2))
    found, own = jax.value_and_grad(lambda x: junction_loss(sums(predicted=x), compressed=compressed))(predicted)
    assert np.allclose(found, value, rtol=1e-5)
    assert np.allclose(own, slope, rtol=1e-4, atol=1e-7 * float(jnp.abs(slope).max()))
    assert not np.any(np.asarray(own)[~np.asarray(mask)])


def test_usage_is_a_binary_cross_entropy() -> None:
    draw = np.random.default_rng(0)
    target, logits = draw.random((1, 50, 3)), draw.normal(0, 3, (1, 50, 3))
    target[0, :5], mask = np.array([0.0, 1.0, np.nan]), np.ones((1, 50, 3), bool)
    mask[0, :5, 2] = mask[0, 9] = False
    share = np.clip(target, 1e-7, 1 - 1e-7)
    p = 1 / (1 + np.exp(-logits))
    expected = -(share * np.log(p) + (1 - share) * np.log(1 - p))[mask].mean()
    value, gradient = jax.value_and_grad(usage_loss, argnums=1)(jnp.asarray(target), jnp.asarray(logits), mask)
    assert np.allclose(value, expected, rtol=1e-5)
    assert np.isfinite(gradient).all() and not gradient[0, 9].any()


def test_genes_are_told_apart_by_track() -> None:
    """Against the definition, gene by gene."""
    draw = np.random.default_rng(0)
    target, predicted = draw.poisson(2.0, (2, 300, 4)).astype(float), draw.random((2, 300, 4)) + 0.1
    strands = np.array([[1, -1, 0, 1], [1, -1, 0, 0]])
    mask = np.ones((2, 300, 4), bool)
    mask[1, :, 3] = False
    genes = np.zeros((2, 300, 2, 3), bool)
    genes[0, 10:50, 0, 0] = genes[0, 100:130, 0, 1] = genes[0, 40:90, 1, 0] = genes[1, :200, 1, 2] = True
    totals, shares, widest = [], [], 0
    for b, side, gene in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 1, 2)):
        exon = genes[b, :, side, gene]
        own = np.isin(strands[b], (0, 1 - 2 * side)) & mask[b, 0]
        t, p = (values[b, exon][:, own].mean(axis=0) for values in (target, predicted))
        y, x = t.sum(), p.sum()
        totals.append((x - y * np.log(x + 1e-7)) - (y - y * np.log(y + 1e-7)))
        shares += list(-t * np.log(p / (x + 1e-7) + 1e-7))
        widest = max(widest, own.sum())
    expected = np.mean(totals) / widest + 5 * np.mean(shares)
    assert np.allclose(gene_loss(target, predicted, mask, genes, strands), expected, rtol=1e-5)


SPECS = (HeadSpec("CAGE", 2, ((1.0, 2.0),), ((True, True),)), HeadSpec("CONTACT_MAPS", 1, ((1.0,),), ((True,),)))


def losses_of(predictions, targets, masks):
    return total_loss(predictions, jnp.zeros(1, int), targets, masks, SPECS, TrainingConfig(multinomial_window=1024))[0]


def inputs_of(seed: int = 0):
    draw = np.random.default_rng(seed)
    predictions = {
        "cage": {
            "scaled_predictions_1bp": draw.random((1, 4096, 2)).astype(np.float32) + 0.1,
            "scaled_predictions_128bp": draw.random((1, 32, 2)).astype(np.float32) + 0.1,
        },
        "contact_maps": {"predictions": draw.normal(size=(1, 2, 2, 1)).astype(np.float32)},
    }
    targets = {
        "cage": draw.poisson(1.0, (1, 4096, 2)).astype(np.float32),
        "contact_maps": draw.normal(size=(1, 2, 2, 1)).astype(np.float32),
    }
    masks = {"cage": np.ones((1, 4096, 2), bool), "contact_maps": np.ones((1, 2, 1), bool)}
    masks["cage"][:, 1000:1700] = False
    masks["contact_maps"][:, 1] = False
    return predictions, targets, masks


def test_positions_without_data_change_no_loss_and_no_gradient() -> None:
    predictions, targets, masks = inputs_of()
    value, gradients = jax.value_and_grad(losses_of)(predictions, targets, masks)
    for filling in (1e6, np.nan):
        other = {head: target.copy() for head, target in targets.items()}
        other["cage"][:, 1000:1700] = filling
        other["contact_maps"][:, 1] = filling
        other["contact_maps"][:, :, 1] = filling
        same_value, same_gradients = jax.value_and_grad(losses_of)(predictions, other, masks)
        assert same_value == value
        assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.array_equal(a, b)), gradients, same_gradients))
    assert not gradients["cage"]["scaled_predictions_1bp"][:, 1000:1700].any()
    assert gradients["cage"]["scaled_predictions_1bp"][:, :1000].any()


def test_nothing_known_is_no_loss() -> None:
    predictions, targets, masks = inputs_of()
    nothing = {head: np.zeros_like(mask) for head, mask in masks.items()}
    value, gradients = jax.value_and_grad(losses_of)(predictions, targets, nothing)
    assert value == 0 and not any(leaf.any() for leaf in jax.tree.leaves(gradients))


def test_head_weights_multiply() -> None:
    predictions, targets, masks = inputs_of()
    config = TrainingConfig(head_weights={"cage": 0.0, "contact_maps": 3.0})
    loss, parts = total_loss(predictions, jnp.zeros(1, int), targets, masks, SPECS, config)
    assert np.allclose(loss, 3 * parts["contact_maps"]) and parts["cage"] > 0


def test_the_schedule_and_what_decays() -> None:
    rate = schedule(TrainingConfig())
    assert rate(0) == 0 and np.allclose(rate(2_500), 0.002) and np.allclose(rate(5_000), 0.004)
    assert np.allclose(rate(10_000), 0.002, rtol=1e-3) and np.allclose(rate(15_000), 0, atol=1e-9)
    parameters = {"bias": {"linear": {"w": jnp.ones((5, 4, 8)), "b": jnp.ones((2, 8))}}, "organism": jnp.ones((2, 8))}
    assert decayed(parameters) == {"bias": {"linear": {"w": True, "b": False}}, "organism": False}
    config = TrainingConfig(steps=10, warmup=0, learning_rate=0.1, weight_decay=0.5)
    update = optimizer(config)
    updates, _ = update.update(jax.tree.map(jnp.zeros_like, parameters), update.init(parameters), parameters)
    after = optax.apply_updates(parameters, updates)
    assert np.allclose(after["bias"]["linear"]["w"], 1 - 0.1 * 0.5) and np.allclose(after["organism"], 1)
