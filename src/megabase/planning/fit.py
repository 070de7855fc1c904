"""Whether a model fits its devices: its programs compiled for them, without having one.

XLA compiles for a TPU on any machine (libtpu, extra `tpu`), and for any number of processors. No array is made: the
programs are those of inference and of a training update, at their full shapes. Platform and devices are settled when
JAX starts, so the work is done in a process of its own.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import time
from typing import Any, Literal

from megabase.errors import InputError
from megabase.model.spec import ModelConfig
from megabase.planning.compiled import Exchanged, exchanged, full_length
from megabase.planning.targets import Target

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked."""

    preset: Literal["paper", "demo"]
    """Size of the network."""
    tracks: str | None
    """Folder with human.tsv and mouse.tsv, for the heads of `paper`."""
    length: int
    """Length of a window, in bp."""
    batch: int
    """Windows at once, on all devices together."""
    data: int
    """Devices along the axis `data`."""
    sequence: int
    """Devices along the axis `sequence`."""
    target: str
    """Devices to compile for, as in `targets.Target`."""
    train: bool
    """A training update, or inference of all heads."""
    thorough: bool = False
    """Compile as for a run. Otherwise with the least effort for a fast program, in a tenth of the time: a convolution
    and its gradient then take the same memory."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one device holds and does. Bytes and operations are of one device, but for `flops`."""

    compile_seconds: float
    """Wall time of the compilation, on this machine."""
    flops: int
    """Operations of the whole program on all devices, from the shapes: one forward pass, or three for an update."""
    needed: int | None = None
    """Where the compiler refuses the program: bytes it would need."""
    arguments: int = 0
    """Parameters, statistics, moments, batch."""
    outputs: int = 0
    """What the program gives back, without what replaces an argument."""
    temporaries: int = 0
    """What it needs in between."""
    state: int = 0
    """Of the arguments: parameters, statistics and moments."""
    xla_flops: float = 0.0
    """Operations of one device as XLA counts them: all of them, those made again in the backward pass included; the
    inside of a loop once."""
    collectives: dict[str, Exchanged] = dataclasses.field(default_factory=dict)
    """The exchanges between devices, by kind."""
    full_length: list[str] = dataclasses.field(default_factory=list)
    """Shapes of arrays of a whole window with 64 channels or more, on one device."""

    @property
    def total(self) -> int:
        """Bytes that the program holds while it runs."""
        return self.needed or self.arguments + self.outputs + self.temporaries


def compiled_for(question: Question, target: Target) -> Answer:
    """Compiles what is asked about, in a process of its own.

    Raises InputError where it cannot be: without libtpu, for a layout that does not exist, for lengths and batches that
    the mesh does not divide.
    """
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "TPU_SKIP_MDS_QUERY": "1",  # a machine without a TPU is not asked about its own
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # no device is opened: several may compile at once
        "JAX_ENABLE_COMPILATION_CACHE": "false",  # the seconds are those of a compilation
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    if not question.thorough:
        environment["JAX_EXEC_TIME_OPTIMIZATION_EFFORT"] = "-1.0"
    if target.kind is None:
        count = f"--xla_force_host_platform_device_count={question.data * question.sequence}"
        environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} {count}".strip()
    command = [sys.executable, "-m", "megabase.planning.fit", json.dumps(dataclasses.asdict(question))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    answer = done.stdout.splitlines()[-1:] or [""]
    if done.returncode == 0 and answer[0].startswith("{"):
        told = json.loads(answer[0])
        if "error" not in told:
            return Answer(**told)
        raise InputError(told["error"], where=told["where"], remedy=told["remedy"])
    reason = next((line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()), "no message")
    if done.returncode < 0:
        reason = f"it was killed by signal {-done.returncode}"
    remedy = "if memory ran out, give it more or try a shorter length"
    raise InputError(f"the compiler ended early: {reason[:300]}", where=question.target, remedy=remedy)


def measured(config: ModelConfig, question: Question) -> Answer:
    """`compiled_for` a model, in a process whose platform and number of devices are set."""
    import jax
    import numpy as np
    from flax import nnx
    from jax.sharding import AxisType, Mesh

    from megabase.model.compiling import compiled
    from megabase.model.network import AlphaGenome
    from megabase.model.sharding import DATA, SEQUENCE
    from megabase.planning.flops import counted
    from megabase.planning.shapes import batch_shapes, inference
    from megabase.training.config import TrainingConfig
    from megabase.training.step import Trainer

    recipe = TrainingConfig(batch=question.batch)
    devices = np.array(_devices(question)).reshape(question.data, question.sequence)
    mesh = Mesh(devices, (DATA, SEQUENCE), axis_types=(AxisType.Auto,) * 2)
    model = nnx.eval_shape(lambda: AlphaGenome(config, dropout=recipe.dropout, rngs=nnx.Rngs(0)))
    batch = batch_shapes(config, question.length, recipe)
    forward, inputs = inference(model, batch, mesh)
    flops = (3 if question.train else 1) * counted(forward, *inputs)
    if question.train:
        trainer = Trainer(model, recipe, mesh)
        lowered, state = trainer.lowered(batch), trainer.initial
    else:
        with jax.set_mesh(mesh):
            lowered, state = jax.jit(forward).lower(*inputs), inputs[:2]
    began = time.monotonic()
    try:
        program = compiled(lowered, devices.flat[0].platform, devices.size)
    except jax.errors.JaxRuntimeError as error:
        needed = refused(str(error))
        if needed is None:
            raise
        return Answer(time.monotonic() - began, flops, needed=needed)
    seconds = time.monotonic() - began
    memory: Any = program.memory_analysis()
    counts: Any = program.cost_analysis()
    text = program.as_text() or ""
    return Answer(
        seconds,
        flops,
        arguments=memory.argument_size_in_bytes,
        outputs=memory.output_size_in_bytes - memory.alias_size_in_bytes,
        temporaries=memory.temp_size_in_bytes,
        state=_own_bytes(state),
        xla_flops=counts.get("flops", 0.0),
        collectives=exchanged(text),
        full_length=full_length(text, question.length) if question.sequence > 1 else [],
    )


def _devices(question: Question) -> list[Any]:
    """The first devices of the target, as many as the mesh has."""
    import jax
    from jax.experimental import topologies

    from megabase.planning.targets import target_of

    asked, count = target_of(question.target), question.data * question.sequence
    if asked.kind is None:
        return jax.devices()[:count]
    try:
        described = topologies.get_topology_desc(
            platform="tpu", topology_name=question.target, **dict(asked.kind.options)
        )
    except (RuntimeError, ImportError) as error:
        if importlib.util.find_spec("libtpu") is None:
            remedy = "install it: make setup EXTRAS=dev,tpu"
            raise InputError("libtpu, which compiles for a TPU, is not here", where="--target", remedy=remedy) from None
        said = " ".join(str(error).split())[:200]
        remedy = "name a layout of chips that exists, such as v5p:2x2x2, v3:2x2 or v5e:2x4"
        raise InputError(f"libtpu knows no {question.target}: {said}", where="--target", remedy=remedy) from None
    return list(described.devices[:count])


def refused(message: str) -> int | None:
    """Bytes that a program would need, where the compiler says that it needs more than there are."""
    found = re.search(r"\(([\d.]+)([KMGT])\) exceeds available HBM|Used ([\d.]+)([KMGT]) of", message)
    if not message.startswith("RESOURCE_EXHAUSTED") or found is None:
        return None
    size, unit = [part for part in found.groups() if part]
    return int(float(size) * 1024 ** (1 + "KMGT".index(unit)))


def _own_bytes(state: Any) -> int:
    """Bytes of a tree of shapes on one device."""
    import jax

    shapes = ((x.sharding.shard_shape(x.shape), x.dtype) for x in jax.tree.leaves(state))
    return sum(math.prod(shape) * dtype.itemsize for shape, dtype in shapes)


def _main() -> None:
    try:
        question = Question(**json.loads(sys.argv[1]))
        config = ModelConfig.paper(question.tracks) if question.tracks else ModelConfig.demo()
        told: dict[str, Any] = dataclasses.asdict(measured(config, question))
    except InputError as error:
        told = {"error": error.what, "where": error.where, "remedy": error.remedy}
    print(json.dumps(told))


if __name__ == "__main__":
    _main()
