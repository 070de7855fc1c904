"""Junctions that the head predicts some tissues at a time are those of each tissue by itself."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from megabase.model.config import NetworkConfig
from megabase.model.heads import Embeddings
from megabase.model.initialisation import Draws
from megabase.model.spec import HeadSpec
from megabase.model.splicing import SpliceJunctionsHead

SITES, LENGTH, CONFIG = 6, 2048, NetworkConfig.demo()


# Fewer tissues than a group, some groups, and a last group that overlaps the one before.
@pytest.mark.parametrize("tissues", [3, 32, 37])
def test_every_tissue_has_its_own_counts(tissues: int) -> None:
    draw = np.random.default_rng(tissues)
    valid = draw.random((2, tissues)) < 0.8
    spec = HeadSpec("SPLICE_JUNCTIONS", tissues, ((1.0,) * tissues,) * 2, tuple(map(tuple, valid.tolist())))
    head = SpliceJunctionsHead(spec, CONFIG, 2, Draws(nnx.Rngs(0)))
    index = jnp.array([1, 0])
    embeddings = Embeddings(
        embeddings_1bp=jnp.asarray(draw.standard_normal((2, LENGTH, 2 * CONFIG.channels)), jnp.float32)
    )
    positions = np.sort(draw.choice(LENGTH, (2, 4, SITES)), axis=-1).astype(np.int32)
    positions[0, 1, -2:] = -1

    outputs = head(embeddings, index, jnp.asarray(positions))
    predicted = np.asarray(outputs["predictions"]).reshape(2, SITES, SITES, 2, tissues)
    mask = np.asarray(outputs["splice_junction_mask"]).reshape(predicted.shape)
    pairs = head.pairs(embeddings, index, jnp.asarray(positions))
    for tissue in range(tissues):
        counts = np.asarray(pairs.counts(pairs.drawn[tissue])).transpose(0, 2, 3, 1)
        known = np.asarray(pairs.known).transpose(0, 2, 3, 1) & valid[[1, 0], tissue][:, None, None, None]
        np.testing.assert_array_equal(mask[..., tissue], known)
        np.testing.assert_allclose(predicted[..., tissue], np.where(known, counts, 0), rtol=1e-5, atol=1e-6)
