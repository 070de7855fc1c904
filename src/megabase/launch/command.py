"""A command of the user's own: xpk, SkyPilot, gcluster, or a site's script."""

from __future__ import annotations

import shlex

from megabase.errors import InputError
from megabase.launch.config import Command
from megabase.launch.processes import supervise
from megabase.launch.task import Task, quoted


def run(settings: Command, task: Task) -> None:
    """Fills in the command and waits for its end. Raises InputError for a placeholder it does not know."""
    program = quoted(task.program(settings.python, "auto", settings.processes))
    program = program.replace("--join auto", f'--join "{settings.join}"', 1)
    known = {
        "program": shlex.quote(program),
        "name": f"megabase-{task.key}",
        "processes": str(settings.processes),
    }
    try:
        filled = settings.command.format_map(known)
    except (KeyError, IndexError, ValueError) as error:
        remedy = f"choose from {', '.join('{' + key + '}' for key in known)}; write other braces twice"
        raise InputError(f"{error} is not known", where="launch: command", remedy=remedy) from None
    supervise([["sh", "-c", filled]], [task.log("command")], {})
