"""A SLURM of one node on this machine, in a folder of its own: munged, slurmctld and slurmd of the distribution."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from megabase.launch.local import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")

# No systemd, no cgroups, no accounting: what a container has.
CONFIG = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={control}
SlurmdPort={node}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,requeue_setup_env_fail
MinJobAge=3600
KillWait=20
JobRequeue=1
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why there cannot be one here."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None and not Path("/usr/sbin", name).exists()]
    if absent:
        return f"needs SLURM, without {', '.join(absent)}: apt-get install slurmctld slurmd slurm-client munge"
    if os.geteuid() != 0:
        return "needs to be root, to start SLURM's daemons"
    return None


class Slurm:
    """Started at once, ended by `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Jobs run as root; others only need to reach munge's socket.
        folder.chmod(0o755)
        host = subprocess.run(["hostname", "-s"], capture_output=True, text=True, check=True).stdout.strip()
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        (folder / "state").mkdir()
        (folder / "spool").mkdir()
        ports = {"control": free_port(), "node": free_port()}
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
        self.config = folder / "slurm.conf"
        self.config.write_text(
            CONFIG.format(folder=folder, host=host, cpus=max(2, os.cpu_count() or 2), memory=memory, **ports)
        )
        self.environment = os.environ | {
            "SLURM_CONF": str(self.config),
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        }
        self._daemons: list[subprocess.Popen[bytes]] = []
        own = [
            f"--{name}={folder}/munge.{name.split('-')[0]}" for name in ("socket", "pid-file", "log-file", "seed-file")
        ]
        self._start("munged", "--foreground", "--force", f"--key-file={key}", *own)
        self._until(lambda: (folder / "munge.socket").exists(), "munge has no socket")
        self._start("slurmctld", "-D", "-c", "-f", str(self.config))
        self._start("slurmd", "-D", "-c", "-f", str(self.config), "-N", host)
        self._until(lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%T"), "no node is idle")

    def ask(self, *command: str) -> str:
        """What a command of SLURM's says."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True).stdout

    def jobs(self, state: str) -> list[str]:
        """The numbers of the jobs in a state."""
        return self.ask("squeue", "--noheader", "--format=%i", f"--states={state}").split()

    def close(self) -> None:
        """Cancels what runs and ends the daemons."""
        with contextlib.suppress(OSError):
            self.ask("scancel", "--user=root")
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _start(self, *command: str) -> None:
        with open(self.folder / f"{command[0]}.out", "ab") as log:
            self._daemons.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log))

    def _until(self, true, otherwise: str) -> None:
        deadline = time.monotonic() + 60
        while not true():
            if time.monotonic() > deadline:
                said = "\n".join(path.read_text()[-500:] for path in self.folder.glob("*.out"))
                self.close()
                raise RuntimeError(f"{otherwise}\n{said}")
            time.sleep(0.2)
