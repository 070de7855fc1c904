"""What training costs: operations from the model's shapes, device-hours and money at a stated utilisation."""

from __future__ import annotations

import dataclasses
from typing import Any

from megabase.config import Config
from megabase.planning.tables import Device

FORWARDS_PER_UPDATE = 3
"""An update costs about three forward passes; what is made again in the backward pass is not counted as useful."""
FORWARDS_OF_A_TEACHER = 1
"""A frozen teacher predicts once for every window of a student."""


@dataclasses.dataclass(frozen=True)
class Training:
    """The training of one entry of `models`, all its copies together."""

    name: str
    copies: int
    steps: int
    batch: int
    flops: float
    """Of one copy: a multiplication and its addition as two."""

    @property
    def examples(self) -> int:
        """Windows that one copy sees."""
        return self.steps * self.batch

    def device_hours(self, device: Device, utilisation: float) -> float:
        """Hours of one chip for one copy, which reaches this share of its peak."""
        return self.flops / (device.peak_tflops * 1e12 * utilisation) / 3600


def trainings(config: Config, forward: float) -> list[Training]:
    """The training of every entry of `models`; `forward` is what one window costs to predict, in operations."""
    made = []
    for name, model in config.models.items():
        recipe = config.recipe(config.copies(name)[0])
        forwards = FORWARDS_PER_UPDATE + (FORWARDS_OF_A_TEACHER if model.teachers else 0)
        flops = float(recipe.steps) * recipe.batch * forwards * forward
        made.append(Training(name, model.copies, recipe.steps, recipe.batch, flops))
    return made


def forward_flops(config: Config) -> int:
    """Operations of the forward pass of one window, counted in the program from its shapes; no array is made."""
    import jax
    import numpy as np
    from flax import nnx
    from jax.sharding import AxisType, Mesh

    from megabase.model.network import AlphaGenome
    from megabase.model.sharding import DATA, SEQUENCE
    from megabase.model.spec import ModelConfig, head_specs
    from megabase.planning.flops import counted
    from megabase.planning.shapes import batch_shapes, inference
    from megabase.training.config import TrainingConfig

    tables: dict[str, Any] = {
        name: {
            bundle: {"track": [str(track) for track in range(count)]}
            for bundle, count in organism.bundles.items()
            if count
        }
        for name, organism in config.organisms.items()
    }
    indices = {name: organism.index for name, organism in config.organisms.items()}
    described = ModelConfig(config.model, head_specs(tables, indices), len(indices))
    model = nnx.eval_shape(lambda: AlphaGenome(described, rngs=nnx.Rngs(0)))
    one = np.array(jax.devices("cpu")[:1]).reshape(1, 1)
    mesh = Mesh(one, (DATA, SEQUENCE), axis_types=(AxisType.Auto,) * 2)
    batch = batch_shapes(described, config.shards.window, TrainingConfig(batch=1))
    function, inputs = inference(model, batch, mesh)
    return counted(function, *inputs)
