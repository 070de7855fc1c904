"""Cloud TPU VMs by gcloud: a queued resource, the same program on each of its VMs (launch reference section 2).

Workers run detached, so that a lost connection ends nothing, and are asked for their state. A launcher that is started
again finds VMs and workers that are still there. Google maintains this interface without adding to it: what is newer
than TPU v6e has none.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shlex
import subprocess
import time

from megabase.errors import InputError
from megabase.launch.config import TpuVm
from megabase.launch.processes import undone
from megabase.launch.task import Task, failed, quoted

logger = logging.getLogger(__name__)

_LOST = ("FAILED", "SUSPENDING", "SUSPENDED", "DELETING")
"""States of a queued resource that does not become active any more: it is deleted and asked for again."""
_GIVE_UP = 10
"""Questions in a row that workers leave unanswered while their VMs are said to be there."""


def run(settings: TpuVm, task: Task) -> None:
    """Gets the VMs, or finds them, trains on them, and gives them back; those that are taken away in between are asked
    for again. Told to stop, it has the workers save. Raises InputError, with its last lines, for a worker that died."""
    vms = _Vms(settings, task)
    with undone(vms.stop):
        for attempt in range(settings.attempts):
            if attempt:
                logger.info("the VMs are gone; they are asked for again")
                vms.delete()
            if vms.obtain() and vms.train():
                break
        else:
            remedy = "raise `attempts`, or take capacity that is not spot"
            raise InputError(f"the VMs were lost {settings.attempts} times", where=vms.name, remedy=remedy)
    vms.give_back()


class _Vms:
    """The VMs of one task, seen through gcloud."""

    def __init__(self, settings: TpuVm, task: Task) -> None:
        self._settings, self._task, self.name = settings, task, f"megabase-{task.key}"
        self._workers = Workers(settings, task, f"/tmp/{self.name}-$(hostname)")

    def obtain(self) -> bool:
        """Waits for the VMs; False where they were lost before they came."""
        if self._state() is None:
            own = self._settings
            asked = ["create", self.name, f"--node-id={self.name}", f"--accelerator-type={own.accelerator_type}"]
            asked += [f"--runtime-version={own.runtime_version}", *(["--spot"] if own.spot else []), *own.arguments]
            done = self._queued(*asked)
            if done.returncode:
                remedy = "correct launch.yaml; quota and zones: gcloud compute tpus accelerator-types list"
                raise InputError(f"gcloud: {done.stderr.strip()[-300:]}", where=self.name, remedy=remedy)
        said = ""
        while (state := self._state()) != "ACTIVE":
            if state is None or state in _LOST:
                return False
            if state != said:
                logger.info("%s: %s", self.name, state)
            said = state
            time.sleep(self._settings.poll_seconds)
        return True

    def train(self) -> bool:
        """Starts the workers, or finds them, and waits for their end; False where the VMs were lost."""
        states = self._states()
        if not (len(states) == self._settings.processes and set(states.values()) == {"running"}):
            done = self._ssh(self._workers.start)
            if done.returncode:
                if self._state() != "ACTIVE":
                    return False
                self._task.log("start").write_text(done.stdout + done.stderr)
                raise failed("the workers did not start", self._task.log("start"))
        unanswered = 0
        while True:
            states = self._states()
            dead = [worker for worker, state in states.items() if state not in ("running", "0")]
            if dead:
                self.stop()
                raise failed(f"the worker on {dead[0]} ended with status {states[dead[0]]}", self._task.log(dead[0]))
            if len(states) == self._settings.processes and set(states.values()) == {"0"}:
                return True
            unanswered = 0 if states else unanswered + 1
            if not states and self._state() in (None, *_LOST):
                return False
            if unanswered > _GIVE_UP:
                remedy = "check the connection; run again to find the workers, which go on without us"
                raise InputError("the workers do not answer", where=self.name, remedy=remedy)
            time.sleep(self._settings.poll_seconds)

    def stop(self) -> None:
        """Has the workers save and end, and gives the VMs back."""
        if self._state() == "ACTIVE":
            self._ssh(self._workers.stop)
        self.give_back()

    def give_back(self) -> None:
        """Unless the next job shall find them."""
        if not self._settings.keep:
            self.delete()

    def delete(self) -> None:
        self._queued("delete", self.name, "--force", "--quiet")

    def _states(self) -> dict[str, str]:
        """Of each worker that answers: `running`, `gone`, or the status it ended with."""
        said = self._ssh(self._workers.ask).stdout
        return dict(re.findall(r"megabase-worker (\S+) (\S+)", said))

    def _state(self) -> str | None:
        """Of the queued resource; None for one that does not exist."""
        done = self._queued("describe", self.name, "--format=value(state.state)")
        return done.stdout.strip() or None if not done.returncode else None

    def _queued(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._gcloud("queued-resources", *words)

    def _ssh(self, command: str) -> subprocess.CompletedProcess[str]:
        return self._gcloud("tpu-vm", "ssh", self.name, "--worker=all", f"--command={command}", *self._settings.ssh)

    def _gcloud(self, *words: str) -> subprocess.CompletedProcess[str]:
        place = [f"--project={self._settings.project}", f"--zone={self._settings.zone}"]
        try:
            return subprocess.run(
                ["gcloud", "compute", "tpus", *words, *place], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            remedy = "install the Google Cloud command line tool"
            raise InputError("not found", where="gcloud", remedy=remedy) from None


class Workers:
    """Shell commands for all VMs at once: to start, to ask, to stop the program there."""

    def __init__(self, settings: TpuVm, task: Task, own: str) -> None:
        """`own`: folder on each VM for the program's number and status, in shell."""
        program = quoted(task.program(settings.python, "auto", settings.processes))
        watched = f'{program} >> "{task.log("$(hostname)")}" 2>&1; echo $? > {own}/status'
        ready = _once(settings.setup) if settings.setup else "true"
        self.stop = (
            f"test -e {own}/pid && kill -TERM -- -$(cat {own}/pid) 2> /dev/null; "
            f"for i in $(seq 120); do kill -0 -- -$(cat {own}/pid) 2> /dev/null || break; sleep 1; done; "
            f"rm -rf {own}; true"
        )
        # A group of its own, to be told to stop as one.
        self.start = (
            f"{{ {self.stop}; }}; {ready} && cd {shlex.quote(settings.workdir)} && mkdir -p {own} && "
            f"{{ setsid nohup sh -c {shlex.quote(watched)} > /dev/null 2>&1 < /dev/null & echo $! > {own}/pid; }}"
        )
        running = f"kill -0 -- -$(cat {own}/pid) 2> /dev/null && echo running"
        self.ask = (
            f'echo "megabase-worker $(hostname) $(cat {own}/status 2> /dev/null || {{ {running}; }} || echo gone)"'
        )


def _once(setup: str) -> str:
    """`setup`, unless this VM has run the same before."""
    mark = f"/tmp/megabase-setup-{hashlib.sha256(setup.encode()).hexdigest()[:10]}"
    return f"{{ test -e {mark} || {{ {setup} && touch {mark}; }}; }}"
