"""A job, a folder to start it in, and the stand-ins for clouds on PATH."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from megabase.launch.local import free_port
from megabase.launch.task import Job
from megabase.model.config import NetworkConfig
from megabase.training.config import LoopConfig, TrainedModel, TrainingConfig

HERE = Path(__file__).parent


def executable(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


class Site:
    """A folder that all hosts share, with tools that record and pretend."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cloud = folder / "site", folder / "cloud"
        self.tools = folder / "bin"
        for made in (self.folder, self.cloud, self.tools):
            made.mkdir()
        for tool in ("gcloud", "kubectl"):
            executable(self.tools / tool, f'exec {sys.executable} {HERE / "stand_ins.py"} {tool} "$@"')
        executable(self.tools / "hostname", 'echo "$HOSTNAME"')
        # In place of the interpreter: joins and adds up; says who it is and dies, or waits; ends at once.
        self.joining = executable(self.tools / "joining", f'shift 2; exec {sys.executable} {HERE / "pretend.py"} "$@"')
        self.dying = executable(
            self.tools / "dying",
            'if [ "$SLURM_PROCID" = 1 ]; then echo "chip 3 is on fire"; exit 7; fi; exec sleep 60',
        )
        self.idle = executable(self.tools / "idle", "exit 0")
        self.job = Job(
            "small",
            TrainedModel(organisms=["made"], fold=0),
            TrainingConfig(steps=5),
            LoopConfig(),
            NetworkConfig.demo(),
            {"made": {"train": Path("data/train.zarr")}},
            Path("results/checkpoints"),
            Path("results/logs"),
            Path("results/model"),
        )

    def launch_file(self, text: str) -> str:
        path = self.folder / "launch.yaml"
        path.write_text(text)
        return str(path)

    def calls(self) -> list[list[str]]:
        """The recorded command lines, in order."""
        return [json.loads(line) for line in (self.cloud / "calls.jsonl").read_text().splitlines()]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path)
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("PATH", f"{made.tools}:{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN", str(made.cloud))
    # SLURM's own choice of a port, by the number of a job, would meet that of others on this machine.
    monkeypatch.setenv("JAX_COORDINATOR_PORT", str(free_port()))
    return made
