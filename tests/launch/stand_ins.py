"""Stand-ins for gcloud and kubectl: they record how they are called, and run the workers on this machine.

Started as `stand_ins.py NAME ARGUMENTS`. `$STAND_IN` is their folder: `calls.jsonl`, `states` (what describe says, line
by line), and a folder for each worker. Workers find each other as tasks of SLURM do.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

HOME = Path(os.environ["STAND_IN"])
HOSTS = 2


def environment(number: int, name: str) -> dict[str, str]:
    """What tells a worker who it is."""
    own = {"SLURM_JOB_ID": "1", "SLURM_STEP_NODELIST": "localhost", "SLURM_LOCALID": "0"}
    own |= {"SLURM_NTASKS": str(HOSTS), "SLURM_PROCID": str(number), "HOSTNAME": name}
    return os.environ | own


def option(words: list[str], name: str) -> str:
    return next((word.split("=", 1)[1] for word in words if word.startswith(f"--{name}=")), "")


def gcloud(words: list[str]) -> int:
    """`compute tpus queued-resources|tpu-vm ...` with one slice of two VMs."""
    what, action = words[2:4]
    states, exists = HOME / "states", HOME / "exists"
    if what == "queued-resources":
        if action == "create":
            exists.touch()
        elif action == "delete":
            exists.unlink(missing_ok=True)
        elif not exists.exists():
            print("NOT_FOUND", file=sys.stderr)
            return 1
        else:
            lines = states.read_text().split() if states.exists() else []
            if len(lines) > 1:
                states.write_text("\n".join(lines[1:]))
            print(lines[0] if lines else "ACTIVE")
        return 0
    worst = 0
    for number in range(HOSTS):
        done = subprocess.run(["bash", "-c", option(words, "command")], env=environment(number, f"vm-{number}"))
        worst = worst or done.returncode
    return worst


def kubectl(words: list[str]) -> int:
    """`create|get|logs|delete` of one JobSet."""
    pods = sorted(HOME.glob("pod-*"))
    match words[1]:
        case "create":
            described = json.load(sys.stdin)
            (HOME / "jobset.json").write_text(json.dumps(described))
            job = described["spec"]["replicatedJobs"][0]["template"]["spec"]
            container = job["template"]["spec"]["containers"][0]
            for number in range(job["parallelism"]):
                pod = HOME / f"pod-{number}"
                pod.mkdir()
                watched = f'"$@" > {pod}/log 2>&1; echo $? > {pod}/status'
                one = subprocess.Popen(
                    ["sh", "-c", watched, "pod", *container["command"]],
                    env=environment(number, pod.name),
                    cwd=container["workingDir"],
                    start_new_session=True,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                (pod / "pid").write_text(str(one.pid))
        case "get":
            if not (HOME / "jobset.json").exists():
                print('Error from server (NotFound): jobsets "x" not found', file=sys.stderr)
                return 1
            ended = [(pod / "status").read_text().strip() for pod in pods if (pod / "status").exists()]
            bad, done = any(code not in ("0", "") for code in ended), ended.count("0") == len(pods)
            print(json.dumps({"status": {"terminalState": "Failed" if bad else "Completed" if done else ""}}))
        case "logs":
            for pod in pods if "--follow" not in words else []:
                if (pod / "log").exists():
                    print("".join(f"[{pod.name}] {line}\n" for line in (pod / "log").read_text().splitlines()), end="")
        case "delete":
            (HOME / "jobset.json").unlink(missing_ok=True)
            for pod in pods:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(int((pod / "pid").read_text()), signal.SIGTERM)
                pod.rename(HOME / f"gone-{pod.name}")
    return 0


if __name__ == "__main__":
    with open(HOME / "calls.jsonl", "a") as calls:
        calls.write(json.dumps(sys.argv[1:]) + "\n")
    sys.exit({"gcloud": gcloud, "kubectl": kubectl}[sys.argv[1]](sys.argv[2:]))
