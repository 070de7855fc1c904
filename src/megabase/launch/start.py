"""The one call of the training rules: run a job where the profile says."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
import yaml

from megabase.errors import InputError
from megabase.launch import command, jobset, local, slurm, tpu_vm
from megabase.launch.config import Command, Engine, JobSet, Local, Slurm, TpuVm
from megabase.launch.devices import require
from megabase.launch.task import Accelerator, Job, Task

logger = logging.getLogger(__name__)


def start(job: Job, resources: Mapping[str, Any]) -> None:
    """Runs a job to its exported weights.

    `resources`: those of the rule. `launch` names a launch.yaml (without one the job runs in this process), `gpu` and
    `tpu` say what must be there, `nodes` and `tasks` how many processes of SLURM. Raises InputError, in one line, for
    a bad file, an absent device, a worker that died, and a job that ended without weights.
    """
    place = resources.get("launch")
    engine = read(Path(place)) if place else Local()
    accelerator: Accelerator | None = "tpu" if resources.get("tpu") else "gpu" if resources.get("gpu") else None
    if isinstance(engine, Local) and engine.processes == 1:
        if accelerator:
            require(accelerator)
        job.run()
        return
    task = Task(job, accelerator)
    job.write(task.file)
    logger.info("%s: started by %s; its workers write to %s", job.name, engine.engine, task.log("*"))
    match engine:
        case Local():
            local.run(engine, task)
        case Slurm():
            slurm.run(engine, task, resources)
        case JobSet():
            jobset.run(engine, task)
        case TpuVm():
            tpu_vm.run(engine, task)
        case Command():
            command.run(engine, task)
    # A cluster's word that all is well is not enough: it has been known to say so of jobs it lost.
    if not (job.out / "model.json").exists():
        remedy = f"see {task.log('*')}, and whether the hosts share this folder"
        raise InputError("the job ended without weights", where=job.out, remedy=remedy)


def read(path: Path) -> Engine:
    """The engine that a launch.yaml describes. Raises InputError for a file that is not one."""
    try:
        return pydantic.TypeAdapter(Engine).validate_python(yaml.safe_load(path.read_text()))
    except FileNotFoundError:
        raise InputError("no such file", where=path, remedy="see profiles/README.md") from None
    except yaml.YAMLError as error:
        raise InputError(f"not YAML: {error}", where=path, remedy="correct it") from None
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        keys = [
            str(part) for part in first["loc"] if str(part) not in ("jobset", "slurm", "tpu_vm", "local", "command")
        ]
        what = f"{'.'.join(keys) or 'engine'}: {first['msg'][0].lower()}{first['msg'][1:]}"
        raise InputError(what, where=path, remedy="see profiles/README.md and src/megabase/launch/config.py") from None
