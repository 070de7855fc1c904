"""A step from initial values: every loss falls, and activations and gradients are finite and in scale."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from divided import batch_of
from flax import nnx
from whole_loss import total_loss

from megabase.model import ModelConfig
from megabase.model.network import AlphaGenome
from megabase.training.config import TrainingConfig


def first_step(config: ModelConfig, length: int, rate: float) -> tuple[dict[str, Any], dict[str, Any], Any, Any]:
    """Losses before and after a step on one batch, its gradient and the moved statistics. The step is Adam's first:
    every value moves by `rate` against its slope."""
    graph, *states = nnx.split(AlphaGenome(config, rngs=nnx.Rngs(0)), nnx.Param, nnx.BatchStat)
    parameters, statistics = map(nnx.to_pure_dict, states)
    batch = batch_of(config, length=length)
    batch = jax.tree.map(lambda x: x[:1].astype(np.float32) if x.dtype == np.float64 else x[:1], batch)

    def objective(parameters: Any) -> Any:
        model = nnx.merge(graph, parameters, statistics)
        index = batch["organism_index"]
        predictions, _ = model(batch["dna"], index, train=True, splice_site_positions=batch["positions"])
        loss, losses = total_loss(predictions, index, batch["targets"], batch["masks"], config.heads, TrainingConfig())
        return loss, (losses, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)))

    differentiated = jax.jit(jax.grad(objective, has_aux=True))
    gradient, (before, moved) = differentiated(parameters)
    after = differentiated(jax.tree.map(lambda p, g: p - rate * np.sign(g), parameters, gradient))[1][0]
    return before, after, gradient, moved


def check(config: ModelConfig, length: int, rate: float) -> None:
    before, after, gradient, moved = first_step(config, length, rate)
    assert {spec.head for spec in config.heads} < set(before)
    assert all(np.isfinite(value) for value in before.values())
    risen = {head: (float(before[head]), float(after[head])) for head in before if not after[head] < before[head]}
    assert risen == {}
    sizes = {
        jax.tree_util.keystr(place): float(np.sqrt(np.mean(np.square(np.asarray(g, np.float64)))))
        for place, g in jax.tree_util.tree_leaves_with_path(gradient)
    }
    assert all(np.isfinite(size) for size in sizes.values())
    assert min(sizes.values()) > 1e-9 and max(sizes.values()) < 1e3, sizes
    squares = {
        jax.tree_util.keystr(place): float((np.asarray(value) - 0.9).mean() / 0.1)
        for place, value in jax.tree_util.tree_leaves_with_path(moved)
    }
    falls = [1 - float(after[head]) / float(before[head]) for head in before]
    ranges = (f"{min(x):.2g} to {max(x):.2g}" for x in (falls, sizes.values(), squares.values()))
    print("shares that losses fell by: {}; gradients' sizes: {}; mean squares before norms: {}".format(*ranges))
    # Every second block adds sums of as many products as there are channels to the pairs, without a factor
    # (architecture reference 3): their mean square grows by about that number, and norms read them.
    most = {place: 1000 if "['bias']" in place else 100 for place in squares}
    assert {place: size for place, size in squares.items() if not 0.05 < size < most[place]} == {}


def test_the_first_step_of_a_narrow_model() -> None:
    demo = ModelConfig.demo()
    network = dataclasses.replace(demo.network, channel_step=0, blocks=2)
    check(dataclasses.replace(demo, network=network), 4096, rate=1e-4)


@pytest.mark.long
def test_the_first_step_of_the_released_model(shared: Path) -> None:
    check(ModelConfig.paper(shared / "reference" / "tracks", dtype="float32", junction_sites=20), 4096, rate=1e-5)
