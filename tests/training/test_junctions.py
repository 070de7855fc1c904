"""The loss of junctions and its gradient, made some tissues at a time, are those of all predictions at once."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from megabase.model.config import NetworkConfig
from megabase.model.heads import Embeddings
from megabase.model.initialisation import Draws
from megabase.model.spec import HeadSpec
from megabase.model.splicing import SitePairs, SpliceJunctionsHead, softplus
from megabase.training.junctions import pairs_loss
from megabase.training.losses import junction_loss, pair_sums

SITES, LENGTH, CONFIG = 6, 2048, NetworkConfig.demo()


# Fewer tissues than a group, some groups, and a last group that overlaps the one before.
@pytest.mark.parametrize("tissues", [3, 32, 37])
@pytest.mark.parametrize("masks", ["one", "each"])
def test_groups_add_up_to_the_whole(tissues: int, masks: str) -> None:
    draw = np.random.default_rng(tissues)
    valid = draw.random((2, tissues)) < 0.8
    spec = HeadSpec("SPLICE_JUNCTIONS", tissues, ((1.0,) * tissues,) * 2, tuple(map(tuple, valid.tolist())))
    graph, parameters = nnx.split(SpliceJunctionsHead(spec, CONFIG, 2, Draws(nnx.Rngs(0))))
    index = jnp.array([1, 0])
    embeddings = jnp.asarray(draw.standard_normal((2, LENGTH, 2 * CONFIG.channels)), jnp.float32)
    positions = np.sort(draw.choice(LENGTH, (2, 4, SITES)), axis=-1).astype(np.int32)
    positions[0, 1, -2:] = -1
    shape = (2, SITES, SITES, 2 * tissues)
    target = jnp.asarray(draw.gamma(0.5, 20, shape), jnp.float32)
    mask = np.array([True, False])[:, None, None, None] if masks == "one" else draw.random(shape) < 0.7

    def whole(parameters: Any, embeddings: jax.Array) -> jax.Array:
        outputs = nnx.merge(graph, parameters)(Embeddings(embeddings_1bp=embeddings), index, positions)
        known = outputs["splice_junction_mask"] & mask
        return junction_loss(pair_sums(target, outputs["predictions"], known, (1, 2)))

    def grouped(parameters: Any, embeddings: jax.Array) -> jax.Array:
        pairs = nnx.merge(graph, parameters).pairs(Embeddings(embeddings_1bp=embeddings), index, positions)
        return pairs_loss(pairs, target, jnp.asarray(mask), False)

    expected, found = (
        jax.jit(jax.value_and_grad(function, argnums=(0, 1)))(parameters, embeddings) for function in (whole, grouped)
    )
    np.testing.assert_allclose(jax.jit(grouped)(parameters, embeddings), found[0], rtol=1e-6)
    for own, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(own, other, rtol=2e-4, atol=2e-6 * max(1.0, float(np.abs(other).max())))
    assert all(np.asarray(slope).any() for slope in jax.tree.leaves(found[1]))


def test_gradients_of_products_are_those_of_numbers() -> None:
    draw = np.random.default_rng(0)
    with jax.enable_x64(True):
        donors, acceptors = (
            [draw.standard_normal((1, 2, *size)) for _ in range(2)] for size in ((SITES, 4), (4, SITES))
        )
        by = tuple(tuple(draw.standard_normal(x.shape) for x in side) for side in (donors, acceptors))
        drawn, weights = draw.standard_normal((1, 4, 2, 2, 4)), draw.standard_normal((1, 2, SITES, SITES))
        own = SitePairs(jnp.zeros(()), ((), ()), by, jnp.zeros(()), jnp.zeros(()))

        def total(drawn: Any, sites: Any) -> jax.Array:
            return jnp.sum(weights * own._replace(sites=sites).products(drawn))

        check_grads(total, (drawn, (tuple(donors), tuple(acceptors))), 1, ["rev"], rtol=1e-7)


def test_softplus_and_its_slope_are_exact_in_float32() -> None:
    x = np.concatenate([np.linspace(-30, 30, 20001), [-80.0, 0.0, 100.0, 1e4]]).astype(np.float32)
    value, slope = jax.vmap(jax.value_and_grad(softplus))(jnp.asarray(x))
    wide = x.astype(np.float64)
    np.testing.assert_allclose(value, np.logaddexp(wide, 0), rtol=4e-7, atol=0)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(slope, 1 / (1 + np.exp(-wide)), rtol=8e-7, atol=0)


def test_programs_are_compared_in_float64() -> None:
    tissues, shape = 3, (1, SITES, SITES, 6)
    draw = np.random.default_rng(0)
    with jax.enable_x64(True):
        donors, acceptors = (jnp.asarray(draw.standard_normal((1, 2, *size))) for size in ((SITES, 4), (4, SITES)))
        sides = ((donors, donors), (acceptors, acceptors))
        drawn = jnp.asarray(draw.standard_normal((tissues, 1, 4, 2, 2, 4)), jnp.float32)
        pairs = SitePairs(drawn, sides, sides, jnp.ones((1, 2, SITES, SITES), bool), jnp.ones((1, tissues), bool))
        target, mask = jnp.asarray(draw.gamma(0.5, 20, shape)), jnp.ones((1, 1, 1, 1), bool)
        loss, slopes = jax.value_and_grad(
            lambda drawn, sites: pairs_loss(pairs._replace(drawn=drawn, sites=sites), target, mask, False), (0, 1)
        )(drawn, sides)
        assert loss.dtype == jnp.float64
        assert [slope.dtype for slope in jax.tree.leaves(slopes)] == [jnp.float32, *[jnp.float64] * 4]
