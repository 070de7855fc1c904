"""A sequence divided over devices: the same numbers, and no device holds the whole of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def report(*arguments: str) -> dict:
    """What the program of this folder prints, run on eight forced devices."""
    program = Path(__file__).with_name("divided.py")
    forced = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    forced["JAX_ENABLE_X64"] = str(int("float64" in arguments))
    command = [sys.executable, str(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | forced)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("dtype", "meshes", "limit"),
    [
        ("float64", ["narrow", "2x4"], 1e-8),
        pytest.param("float64", ["2x4"], 1e-8, marks=pytest.mark.long),
        pytest.param("float64", ["1x2", "1x4", "1x8", "2x1", "2x2"], 1e-8, marks=pytest.mark.long),
        pytest.param("float32", ["1x2", "1x8", "2x4"], 1e-4, marks=pytest.mark.long),
        pytest.param("float32", ["wide", "1x8"], 1e-4, marks=pytest.mark.long),
    ],
)
def test_any_mesh_gives_the_numbers_of_one_device(dtype: str, meshes: list[str], limit: float) -> None:
    found = report(dtype, *meshes)
    assert found.pop("finite")
    assert set(found) == set(meshes) - {"narrow", "wide"}
    for mesh, parts in found.items():
        assert set(parts) == {"outputs", "losses", "gradients", "statistics"}
        assert max(parts.values()) < limit, (mesh, parts)


def test_no_device_holds_a_whole_sequence_of_64_channels() -> None:
    assert report("shapes", "8") == {"8": []}
