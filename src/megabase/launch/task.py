"""What is launched: one training job as a file, and the program that reads it."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pydantic

from megabase.artifacts import canonical_json, digest, write_text
from megabase.errors import InputError
from megabase.model.config import NetworkConfig
from megabase.training.config import LoopConfig, TrainedModel, TrainingConfig

logger = logging.getLogger(__name__)

Accelerator = Literal["gpu", "tpu"]


@dataclass(frozen=True)
class Job:
    """The arguments of `megabase.training.run.train`; paths are relative to the folder that all hosts start in."""

    name: str
    trained: TrainedModel
    config: TrainingConfig
    loop: LoopConfig
    model: NetworkConfig
    shards: dict[str, dict[str, Path]]
    checkpoints: Path
    logs: Path
    out: Path
    teachers: list[Path] = field(default_factory=list)
    start: Path | None = None

    def write(self, path: Path) -> None:
        """As JSON."""
        write_text(path, _JOB.dump_json(self, indent=1).decode() + "\n")

    @staticmethod
    def read(path: Path) -> Job:
        """From JSON."""
        return _JOB.validate_json(path.read_text())

    def run(self) -> None:
        """Trains, in this process or as one of several that have joined."""
        from megabase.training.run import train

        train(**{name: getattr(self, name) for name in self.__dataclass_fields__})


_JOB: pydantic.TypeAdapter[Job] = pydantic.TypeAdapter(Job)


@dataclass(frozen=True)
class Task:
    """A job on its way to the hosts."""

    job: Job
    accelerator: Accelerator | None
    """What every host must have; without it the program ends at once."""

    @property
    def file(self) -> Path:
        """Where the job is written."""
        return self.job.logs / "job.json"

    @property
    def key(self) -> str:
        """Names the task wherever names are shared: the same job of the same folder has the same key."""
        return digest([canonical_json(_JOB.dump_python(self.job, mode="json")), str(Path.cwd())])[:10]

    def program(self, python: str, join: str, processes: int) -> list[str]:
        """What each host runs."""
        expect = ["--expect", self.accelerator] if self.accelerator else []
        started = [python, "-m", "megabase.launch.worker", str(self.file)]
        return [*started, "--join", join, "--processes", str(processes), *expect]

    def log(self, worker: int | str) -> Path:
        """What one worker says, whoever starts it."""
        return self.job.logs / f"worker_{worker}.log"


def failed(what: str, log: Path) -> InputError:
    """The error of a task whose worker died; its last lines go to the log of the launcher."""
    logger.error("the last lines of %s:\n%s", log, "\n".join(f"  {line}" for line in last_lines(log)))
    return InputError(what, where=log, remedy="see its last lines above; the next try goes on from the last checkpoint")


def last_lines(log: Path, count: int = 30) -> list[str]:
    """The end of a text file; nothing of one that is not there."""
    try:
        return log.read_text(errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return []


def quoted(program: Sequence[str]) -> str:
    """A program as one line of shell."""
    return shlex.join(program)
