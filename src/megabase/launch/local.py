"""Several processes on this machine, joined by JAX over loopback."""

from __future__ import annotations

import socket
import sys

from megabase.launch.config import Local
from megabase.launch.processes import supervise
from megabase.launch.task import Task


def run(settings: Local, task: Task) -> None:
    """Runs the task in new processes."""
    count = settings.processes
    address = f"localhost:{free_port()}"
    programs = [task.program(sys.executable, f"{address},{count},{number}", count) for number in range(count)]
    supervise(programs, [task.log(number) for number in range(count)], {})


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return int(listening.getsockname()[1])
