"""Heads that are differentiated one by one give the gradient of the whole loss."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from lessons import batch_of, config_of, model_of
from whole_loss import total_loss

from megabase.training.config import TrainingConfig
from megabase.training.step import Trainer, make_mesh, one_hot


@pytest.mark.parametrize("shaping", [["rna_seq"], ["chip_tf"], []])
def test_the_network_below_follows_the_heads_that_shape_it_alone(shaping: list[str]) -> None:
    """Its gradient is that of their losses, and every head has the gradient of its own."""
    config = config_of("RNA_SEQ", "CHIP_TF")
    recipe = TrainingConfig(batch=1, multinomial_window=1024, trunk_heads=shaping)
    trainer = Trainer(model_of(config, dropout=0.2), recipe, make_mesh())
    batch: Any = jax.tree.map(jnp.asarray, dict(batch_of(config)))
    key, index = jax.random.key(1), batch["organism_index"]

    def loss_of(parameters: Any, heads: tuple[str, ...]) -> Any:
        model = nnx.merge(trainer.graph, parameters, trainer.initial.statistics)
        # Where nothing shapes the network it is as after training.
        predictions, _ = model(one_hot(batch["sequence"]), index, train=bool(shaping), key=key if shaping else None)
        specs = tuple(spec for spec in config.heads if spec.head in heads)
        return total_loss(predictions, index, batch["targets"], batch["masks"], specs, recipe)[0]

    @jax.jit
    def three(parameters: Any) -> Any:
        statistics = trainer.initial.statistics
        _, ours = trainer._learnt(parameters, statistics, batch, trainer._seen(batch), key)
        whole = jax.grad(loss_of)(parameters, ("rna_seq", "chip_tf"))
        return (
            ours,
            whole,
            jax.grad(loss_of)(parameters, tuple(shaping)) if shaping else jax.tree.map(jnp.zeros_like, whole),
        )

    ours, whole, shaped = three(trainer.initial.parameters)
    expected = {**shaped, "heads": whole["heads"]}
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    for x, y in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)
    below = [float(jnp.abs(x).max()) for name, part in ours.items() if name != "heads" for x in jax.tree.leaves(part)]
    assert (max(below) > 0) == bool(shaping)
    if shaping:
        apart = [
            float(jnp.abs(x - y).max())
            for name in ours
            if name != "heads"
            for x, y in zip(jax.tree.leaves(ours[name]), jax.tree.leaves(whole[name]), strict=True)
        ]
        assert max(apart) > 1e-4, "the other head would have shaped it too"


def test_heads_one_by_one_give_the_gradient_of_the_whole_loss() -> None:
    config, recipe = config_of("RNA_SEQ", "CHIP_TF"), TrainingConfig(batch=1, multinomial_window=1024)
    trainer = Trainer(model_of(config, dropout=0.2), recipe, make_mesh())
    batch: Any = jax.tree.map(jnp.asarray, dict(batch_of(config)))
    key, index = jax.random.key(1), batch["organism_index"]

    def whole(parameters: Any, statistics: Any) -> Any:
        model = nnx.merge(trainer.graph, parameters, statistics)
        predictions, _ = model(one_hot(batch["sequence"]), index, train=True, key=key)
        loss, losses = total_loss(predictions, index, batch["targets"], batch["masks"], config.heads, recipe)
        return loss, (losses, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)))

    @jax.jit
    def both(parameters: Any, statistics: Any) -> Any:
        ours = trainer._learnt(parameters, statistics, batch, trainer._seen(batch), key)
        return ours, jax.value_and_grad(whole, has_aux=True)(parameters, statistics)

    ours, theirs = both(trainer.initial.parameters, trainer.initial.statistics)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for x, y in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)
    assert ours[0][0] > 0
