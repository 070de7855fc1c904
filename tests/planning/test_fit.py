"""What a model takes on devices that are not there."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from megabase.commands.fit import fit
from megabase.errors import InputError
from megabase.model.spec import ModelConfig
from megabase.planning import fit as planned
from megabase.planning.fit import GIB, Answer, Question, measured


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from megabase.cli import main; main()", "fit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_demo_model_on_eight_processors() -> None:
    done = run("--preset", "demo", "--length", "16384", "--mesh", "data=1,sequence=8", "--target", "cpu:8")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "demo, inference, 1 x 16,384 bp",
        "target: 8 of 8 devices of cpu:8, mesh data=1,sequence=8",
    ]
    starts = (
        "memory of a device: ",
        "operations: ",
        "operations: ",
        "collectives of a device",
        "whole windows",
        "comp",
    )
    assert [line.startswith(start) for line, start in zip(lines[2:], starts, strict=True)] == [True] * 6
    assert lines[6].endswith("on one device: none")
    assert "collective-permute" in lines[5]


def test_a_training_update_holds_its_state_and_gives_it_on() -> None:
    config = ModelConfig.demo(blocks=1, channel_step=0, channels=4)
    config = dataclasses.replace(config, heads=config.heads[:1])
    asked = Question("demo", None, length=4096, batch=1, data=1, sequence=1, target="cpu", train=True)
    found = measured(config, asked)
    assert found.needed is None
    # What an update replaces is given back in its own memory: only the metrics, and the places of all arrays, are new.
    assert found.outputs < 0.1 * found.state < found.arguments
    assert found.state < found.arguments
    assert found.total == found.arguments + found.outputs + found.temporaries
    assert found.flops % 3 == 0
    assert found.collectives == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "paper"}, "made from tables of tracks; give --tracks"),
        ({"preset": "paper", "tracks": Path("nowhere")}, "nowhere/human.tsv: no such table of tracks"),
        ({"length": 5000}, "--length: a sequence of 5,000 bp; give a multiple of 2,048 bp"),
        ({"length": 0}, "--length: a sequence of 0 bp"),
        ({"mesh": "data=2,sequence=8"}, "--mesh: cpu:8 has 8 devices and the mesh 16"),
        ({"mesh": "model=8"}, "--mesh: no mesh `model=8`"),
        ({"target": "v9:2x2"}, "--target: no target `v9:2x2`"),
        ({"batch": 0}, "--batch"),
    ],
)
def test_what_cannot_be_compiled_is_one_line(changes: dict, message: str) -> None:
    asked = {"preset": "demo", "tracks": None, "length": 2048, "mesh": "data=1,sequence=1", "target": "cpu:8"}
    with pytest.raises(InputError) as refused:
        list(fit(**({**asked, "train": False, "batch": None} | changes)))
    assert message in str(refused.value)


def test_a_program_that_the_compiler_refuses_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    message = (
        "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries (18.50G) exceeds "
        "available HBM (15.48G)."
    )
    assert planned.refused(message) == int(18.5 * GIB)
    assert planned.refused("INTERNAL: (18.50G) exceeds available HBM") is None
    monkeypatch.setattr("megabase.commands.fit.compiled_for", lambda *_: Answer(1.0, 10**12, needed=int(18.5 * GIB)))
    lines = list(fit("demo", None, 2048, "sequence=8", "v3:2x2", True, None))
    assert "does not fit: needs 18.50 of 15.48 GiB" in lines


def test_a_tpu_that_is_not_there() -> None:
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("compiling for a TPU needs libtpu: make setup EXTRAS=dev,tpu")
    done = run("--preset", "demo", "--length", "16384", "--mesh", "sequence=8", "--target", "v3:2x2")
    assert done.returncode == 0, done.stderr
    assert "fits: needs " in done.stdout
    done = run("--preset", "demo", "--length", "16384", "--target", "v3:3x3")
    assert done.returncode == 1
    assert done.stderr.startswith("error: --target: libtpu knows no v3:3x3")


def test_without_libtpu_one_line_says_how_to_get_it() -> None:
    if importlib.util.find_spec("libtpu") is not None:
        pytest.skip("libtpu is installed here")
    done = run("--preset", "demo", "--length", "2048", "--target", "v3:2x2")
    assert done.returncode == 1
    assert "make setup EXTRAS=dev,tpu" in done.stderr.splitlines()[-1]
