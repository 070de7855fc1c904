"""Programs on this machine, watched to their end: one that fails ends the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from megabase.launch.task import failed

_GRACE = 5.0
"""Seconds that the others have to end after one has failed; without it they cannot go on, or save."""


def supervise(programs: Sequence[Sequence[str]], logs: Sequence[Path], environment: Mapping[str, str]) -> None:
    """Runs programs side by side, each with a log, until all have ended well.

    SIGTERM and SIGUSR1 are handed on. Raises InputError, with the last lines of its log, for the first that fails.
    """
    started: list[subprocess.Popen[bytes]] = []
    try:
        for program, log in zip(programs, logs, strict=True):
            log.parent.mkdir(parents=True, exist_ok=True)
            with open(log, "ab") as file:
                own = os.environ | environment
                started.append(subprocess.Popen(program, stdout=file, stderr=subprocess.STDOUT, env=own))
        with _signals_to(started):
            while any(one.poll() is None for one in started):
                if bad := _failed(started):
                    _end(started)
                    raise failed(_ended(started[bad[0]].returncode), logs[bad[0]])
                time.sleep(0.1)
        if bad := _failed(started):
            raise failed(_ended(started[bad[0]].returncode), logs[bad[0]])
    finally:
        _end(started)


def _failed(started: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    return [number for number, one in enumerate(started) if one.poll() not in (None, 0)]


def _ended(code: int) -> str:
    return (
        f"the worker was ended by {signal.Signals(-code).name}" if code < 0 else f"the worker ended with status {code}"
    )


def _end(started: Sequence[subprocess.Popen[bytes]]) -> None:
    for one in started:
        if one.poll() is None:
            one.terminate()
    deadline = time.monotonic() + _GRACE
    for one in started:
        try:
            one.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()


@contextmanager
def _signals_to(started: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    def hand_on(number: int, _: object) -> None:
        for one in started:
            if one.poll() is None:
                one.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undone(undo: Callable[[], None]) -> Iterator[None]:
    """While inside, a person's or a scheduler's wish to stop (SIGTERM, SIGINT) first undoes what runs elsewhere."""

    def stop(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        undo()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
