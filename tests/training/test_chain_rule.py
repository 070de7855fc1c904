"""Heads that are differentiated one by one give the gradient of the whole loss."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from lessons import batch_of, config_of, model_of

from megabase.training.config import TrainingConfig
from megabase.training.losses import total_loss
from megabase.training.step import Trainer, make_mesh, one_hot


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
