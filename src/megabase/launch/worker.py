"""What every host runs: `python -m megabase.launch.worker JOB.json`. It joins the others, then trains."""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from megabase.errors import InputError
from megabase.launch.devices import require
from megabase.launch.task import Job


def join(how: str, processes: int) -> None:
    """Makes this process one of `processes` of one JAX program. `how`: `auto` asks the cluster; otherwise
    `address:port,processes,process`.

    Raises InputError where fewer have come together: each would train for itself, over the files of the others.
    """
    import jax

    if jax.config.jax_platforms == "cpu":  # type: ignore[attr-defined]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It would catch SIGTERM for itself; the loop has its own agreement on when to stop.
    jax.config.update("jax_enable_preemption_service", False)
    if how == "auto":
        jax.distributed.initialize(**_own_devices())
    else:
        address, count, number = how.split(",")
        jax.distributed.initialize(address, int(count), int(number))
    if jax.process_count() != processes:
        what = f"{jax.process_count()} processes have come together, of {processes}"
        remedy = "compare the resources in the profile with what the job was given"
        raise InputError(what, where="launch", remedy=remedy)


def end_with_launcher() -> None:
    """Where the launcher on this machine is killed outright, its workers are told to save and end: the next try has the
    files to itself."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)


_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def _own_devices() -> dict[str, Any]:
    """Of SLURM's tasks each has the GPUs that it sees, where it is alone on its node or sees but one; JAX would take
    the one that has the task's number."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    alone = len(seen) == 1 or os.environ.get("SLURM_NTASKS_PER_NODE") == "1"
    if "SLURM_LOCALID" in os.environ and seen != [""] and alone:
        return {"local_device_ids": list(range(len(seen)))}
    return {}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one worker; what a person can mend is one line, as in the workflow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("--join", default="auto")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--expect", choices=("gpu", "tpu"))
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for chatty in ("absl", "jax", "orbax"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        if given.join != "auto":
            end_with_launcher()
        if given.processes > 1:
            join(given.join, given.processes)
        if given.expect:
            require(given.expect)
        Job.read(given.job).run()
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
