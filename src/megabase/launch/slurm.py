"""A step of a SLURM job: a task for each process; JAX reads SLURM's own variables (launch reference section 3)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from megabase.errors import InputError
from megabase.launch.config import Slurm
from megabase.launch.processes import supervise
from megabase.launch.task import Task


def run(settings: Slurm, task: Task, resources: Mapping[str, Any]) -> None:
    """Runs the task as `tasks` tasks on `nodes` nodes of the job that this process is in.

    Snakemake's own step has taken SLURM's numbers out of the environment, so they are said again.
    """
    tasks, nodes = int(resources.get("tasks") or 1), int(resources.get("nodes") or 1)
    if not resources.get("mpi"):
        remedy = "set the resource mpi=srun for this rule in the profile"
        raise InputError("tasks would be steps within a step", where="launch: slurm", remedy=remedy)
    own = {"SLURM_CONF": settings.conf} if settings.conf else {}
    # Without --kill-on-bad-exit those that are left wait for the dead one.
    step = ["srun", f"--nodes={nodes}", f"--ntasks={tasks}", "--kill-on-bad-exit=1", "--label", *settings.srun]
    supervise([[*step, *task.program(sys.executable, "auto", tasks)]], [task.log("slurm")], own)
