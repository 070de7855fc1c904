"""Forward pass and training step of the demo model, in processor seconds, against a plain matrix product.

Prints one JSON line per measurement and a table. `against` is the time the same number of operations, as XLA counts
them, takes as one large float32 matrix product on the same threads in the same run: the machine's own limit.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array

from megabase.bundles import BUNDLES
from megabase.model.config import NetworkConfig
from megabase.model.network import AlphaGenome
from megabase.model.spec import HeadSpec, ModelConfig

LENGTH = 16_384
TRACKS = {"RNA_SEQ": 6, "CAGE": 4, "DNASE": 3, "ATAC": 3, "CHIP_TF": 4, "CHIP_HISTONE": 3, "CONTACT_MAPS": 2}
REPEATS = 10


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Median processor seconds and wall seconds of a call, after one to warm up."""
    jax.block_until_ready(call())
    processor, wall = [], []
    for _ in range(REPEATS):
        started = time.process_time(), time.perf_counter()
        jax.block_until_ready(call())
        processor.append(time.process_time() - started[0])
        wall.append(time.perf_counter() - started[1])
    return statistics.median(processor), statistics.median(wall)


def matrix_product_rate() -> float:
    """Floating-point operations per processor second of a 2,048 x 2,048 float32 product."""
    a = jnp.ones((2048, 2048), jnp.float32)
    product = jax.jit(jnp.matmul).lower(a, a).compile()
    return 2 * 2048**3 / seconds(lambda: product(a, a))[0]


def main() -> None:
    specs = tuple(HeadSpec(b, t, ((1.0,) * t,), ((True,) * t,)) for b, t in TRACKS.items())
    heads = frozenset(BUNDLES[bundle].head for bundle in TRACKS)
    started = time.perf_counter()
    model = AlphaGenome(ModelConfig(NetworkConfig.demo(), specs, 1), rngs=nnx.Rngs(0))
    initialised = time.perf_counter() - started
    graph, *states = nnx.split(model, nnx.Param, nnx.BatchStat)
    parameters, statistics_ = map(nnx.to_pure_dict, states)
    bases = np.random.default_rng(0).integers(0, 4, (1, LENGTH))
    dna, organism = jnp.asarray(np.eye(4, dtype=np.float32)[bases]), jnp.zeros(1, jnp.int32)

    def forward(parameters: dict, statistics_: dict, dna: Array) -> dict:
        return nnx.merge(graph, parameters, statistics_)(dna, organism, requested_outputs=heads)[0]

    def step(parameters: dict, statistics_: dict, dna: Array) -> tuple[dict, dict]:
        def loss(parameters: dict) -> tuple[Array, dict]:
            model = nnx.merge(graph, parameters, statistics_)
            predictions, _ = model(dna, organism, train=True, requested_outputs=heads)
            scaled = [y for outputs in predictions.values() for name, y in outputs.items() if "scaled" in name]
            total = sum(jnp.mean(y - 0.1 * jnp.log(y + 1e-7)) for y in scaled)
            contacts = jnp.mean(jnp.square(predictions["contact_maps"]["predictions"]))
            return total + contacts, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))

        gradients, moved = jax.grad(loss, has_aux=True)(parameters)
        return jax.tree.map(lambda p, g: p - 1e-3 * g, parameters, gradients), moved

    rate = matrix_product_rate()
    rows = [{"name": "model.initialise", "value": initialised, "unit": "s", "against": 3.0, "ratio": initialised / 3.0}]
    for name, function in (("forward", forward), ("training_step", step)):
        started = time.perf_counter()
        compiled = jax.jit(function).lower(parameters, statistics_, dna).compile()
        made = time.perf_counter() - started
        processor, wall = seconds(lambda compiled=compiled: compiled(parameters, statistics_, dna))
        floor = compiled.cost_analysis()["flops"] / rate
        for key, value, unit, against in (
            (f"model.{name}", processor, "CPU s", floor),
            (f"model.{name}.wall", wall, "s", floor),
            (f"model.{name}.compile", made, "s", 60.0),
        ):
            rows.append({"name": key, "value": value, "unit": unit, "against": against, "ratio": value / against})
    for row in rows:
        print(json.dumps(row))
    print(f"\n{'name':32}{'value':>10} {'unit':8}{'against':>10}{'ratio':>8}")
    for row in rows:
        print(f"{row['name']:32}{row['value']:10.4f} {row['unit']:8}{row['against']:10.4f}{row['ratio']:8.2f}")


if __name__ == "__main__":
    main()
