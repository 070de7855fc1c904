"""`megabase fit`: what a model takes on devices that one does not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from megabase.errors import InputError
from megabase.model.config import PAIR_BIN
from megabase.planning.fit import GIB, Answer, Question, compiled_for
from megabase.planning.targets import Target, mesh_sizes, target_of


def fit(
    preset: Literal["paper", "demo"],
    tracks: Path | None,
    length: int,
    mesh: str,
    target: str,
    train: bool,
    batch: int | None,
    thorough: bool = False,
) -> Iterator[str]:
    """Lines on memory, operations and exchanges of a model's program for a target.

    Raises InputError where nothing can be compiled for it.
    """
    devices, sizes = target_of(target), mesh_sizes(mesh)
    count = sizes["data"] * sizes["sequence"]
    if preset == "paper" and tracks is None:
        remedy = "give --tracks, the folder with the release's human.tsv and mouse.tsv"
        raise InputError("the heads of the paper's model are made from tables of tracks", where="fit", remedy=remedy)
    if length <= 0 or length % PAIR_BIN:
        raise InputError(f"a sequence of {length:,} bp", where="--length", remedy=f"give a multiple of {PAIR_BIN:,} bp")
    if batch is not None and batch < 1:
        raise InputError(f"{batch} windows", where="--batch", remedy="give at least 1")
    if devices.devices and count > devices.devices:
        remedy = "name a larger target or a smaller mesh"
        raise InputError(f"{target} has {devices.devices} devices and the mesh {count}", where="--mesh", remedy=remedy)
    asked = Question(
        preset=preset,
        tracks=str(tracks) if preset == "paper" else None,
        length=length,
        batch=batch or sizes["data"],
        train=train,
        target=target,
        thorough=thorough,
        **sizes,
    )
    yield f"{preset}, {'training' if train else 'inference'}, {asked.batch} x {length:,} bp"
    over = f"data={sizes['data']},sequence={sizes['sequence']}"
    yield f"target: {count} of {devices.devices or count} devices of {target}, mesh {over}"
    yield from _told(asked, devices, compiled_for(asked, devices))


def _told(asked: Question, target: Target, answer: Answer) -> Iterator[str]:
    if answer.needed is None:
        yield (
            f"memory of a device: arguments {_gib(answer.arguments)} (parameters and optimizer {_gib(answer.state)}), "
            f"outputs {_gib(answer.outputs)}, temporaries {_gib(answer.temporaries)}, in all {_gib(answer.total)}"
        )
    if target.kind is not None:
        verdict = "fits" if answer.needed is None and answer.total <= target.kind.memory * GIB else "does not fit"
        yield f"{verdict}: needs {answer.total / GIB:.2f} of {target.kind.memory:.2f} GiB"
    passes = "three forward passes" if asked.train else "one forward pass"
    yield f"operations: {answer.flops / 1e12:.4g} TFLOP on all devices, from the shapes ({passes})"
    if answer.needed is None:
        yield f"operations: {answer.xla_flops / 1e12:.4g} TFLOP on each device, as XLA counts them (loops once)"
        exchanges = [f"{count} {kind}, {_gib(size)}" for kind, (count, size) in answer.collectives.items()]
        yield f"collectives of a device (loops once): {'; '.join(exchanges) or 'none'}"
        if asked.sequence > 1:
            yield f"whole windows of 64 channels or more on one device: {', '.join(answer.full_length) or 'none'}"
    yield f"compiled in {answer.compile_seconds:.0f} s"


def _gib(size: float) -> str:
    return f"{size / GIB:.2f} GiB"
