"""A JobSet on Kubernetes: one pod for each host of one or more TPU slices (launch reference section 1).

GKE tells every pod its number and the names of the others; JAX reads them. This machine submits, waits and collects the
logs with kubectl. A launcher that is started again finds the job that is still running.
"""

from __future__ import annotations

import json
import logging
import subprocess
import time
from typing import Any, Literal

from megabase.errors import InputError
from megabase.launch.config import JobSet
from megabase.launch.processes import undone
from megabase.launch.task import Task, failed, quoted

logger = logging.getLogger(__name__)

COORDINATOR, TPU_PEERS = 8482, 8471
"""Ports of JAX's coordinator and of libtpu."""
_GIVE_UP = 10
"""Questions in a row that Kubernetes leaves unanswered before the launcher fails; the job runs on."""
_NAME = "jobset.sigs.k8s.io/jobset-name"


def manifest(settings: JobSet, task: Task) -> dict[str, Any]:
    """The JobSet of a task: all pods of a slice in one Job, which fails with its first pod; then all start again."""
    name = name_of(task)
    program = quoted(task.program(settings.python, "auto", settings.processes))
    tpus = {"google.com/tpu": settings.chips_per_host}
    container = {
        "name": "worker",
        "image": settings.image,
        "workingDir": settings.workdir,
        # `exec`, so that the program itself is told when the pod has to go. Pods' own logs vanish with them.
        "command": ["bash", "-c", f'exec {program} > >(tee -a "{task.log("$HOSTNAME")}") 2>&1'],
        "ports": [{"containerPort": COORDINATOR}, {"containerPort": TPU_PEERS}],
        "resources": {"requests": tpus, "limits": tpus},
        "volumeMounts": [{"name": "shared", "mountPath": settings.mount}],
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": settings.grace_seconds,
        "nodeSelector": {
            "cloud.google.com/gke-tpu-accelerator": settings.accelerator,
            "cloud.google.com/gke-tpu-topology": settings.topology,
        },
        "containers": [container],
        "volumes": [{"name": "shared", "persistentVolumeClaim": {"claimName": settings.volume_claim}}],
    }
    if settings.service_account:
        pod["serviceAccountName"] = settings.service_account
    job = {
        "parallelism": settings.hosts,
        "completions": settings.hosts,
        "backoffLimit": 0,
        "podFailurePolicy": {
            "rules": [{"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
        },
        "template": {"spec": pod},
    }
    maintenance = {
        "name": "maintenance",
        "action": "RestartJobSetAndIgnoreMaxRestarts",
        "onJobFailureReasons": ["PodFailurePolicy"],
    }
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {
            "name": name,
            "namespace": settings.namespace,
            "labels": {"kueue.x-k8s.io/queue-name": settings.queue} if settings.queue else {},
            # One slice has one node pool to itself.
            "annotations": {"alpha.jobset.sigs.k8s.io/exclusive-topology": "cloud.google.com/gke-nodepool"},
        },
        "spec": {
            "network": {"enableDNSHostnames": True},
            "failurePolicy": {"maxRestarts": settings.max_restarts, "rules": [maintenance]},
            "replicatedJobs": [{"name": "slice", "replicas": settings.slices, "template": {"spec": job}}],
        },
    }


def name_of(task: Task) -> str:
    """Short, for the names of pods, which follow from it, have at most 63 characters."""
    return f"megabase-{task.key}"


def run(settings: JobSet, task: Task) -> None:
    """Submits the task, or finds it running, and waits for its end. Told to stop, it takes the JobSet back: its pods
    save and end. Raises InputError, with the last lines of the pods, where it failed."""
    cluster, log = _Cluster(settings, name_of(task)), task.log("jobset")
    if (found := cluster.state()) in ("Completed", "Failed"):  # Of an earlier try.
        cluster.delete()
    if found != "running":
        cluster.create(manifest(settings, task))
    logger.info("JobSet %s: %s pods", cluster.name, settings.processes)
    with undone(cluster.delete), open(log, "ab") as file:
        unanswered, following = 0, None
        while (state := cluster.state()) not in ("Completed", "Failed"):
            unanswered = 0 if state == "running" else unanswered + 1
            if state == "absent" and unanswered > 1:
                raise InputError("the JobSet was deleted", where=cluster.name, remedy="run again to submit it anew")
            if unanswered > _GIVE_UP:
                remedy = "check the connection; run again to find the job, which goes on without us"
                raise InputError("Kubernetes does not answer", where=cluster.name, remedy=remedy)
            if following is None or following.poll() is not None:
                following = cluster.follow(file)
            time.sleep(settings.poll_seconds)
        if following:
            following.terminate()
        file.write(cluster.last_words())
    cluster.delete()
    if state == "Failed":
        raise failed(f"JobSet {cluster.name} failed", log)


State = Literal["absent", "running", "Completed", "Failed", "unknown"]


class _Cluster:
    """One JobSet, seen through kubectl."""

    def __init__(self, settings: JobSet, name: str) -> None:
        self.name, self._pods = name, settings.processes
        self._kubectl = [*settings.kubectl, f"--namespace={settings.namespace}"]
        self._since = round(settings.poll_seconds) + 1

    def create(self, described: dict[str, Any]) -> None:
        done = self._ask("create", "--filename=-", given=json.dumps(described).encode())
        if done.returncode:
            what = f"kubectl did not take the JobSet: {done.stderr.decode().strip()}"
            raise InputError(what, where=self.name, remedy="correct launch.yaml, or install JobSet in the cluster")

    def state(self) -> State:
        done = self._ask("get", "jobset", self.name, "--output=json")
        if done.returncode:
            return "absent" if b"NotFound" in done.stderr else "unknown"
        try:
            status = json.loads(done.stdout).get("status", {})
        except ValueError:
            return "unknown"
        ended = {one["type"] for one in status.get("conditions", []) if one.get("status") == "True"}
        ended.add(status.get("terminalState", ""))
        return "Failed" if "Failed" in ended else "Completed" if "Completed" in ended else "running"

    def follow(self, file: Any) -> subprocess.Popen[bytes]:
        """The log of the first pod of the first slice, as it grows."""
        first = f"{_NAME}={self.name},batch.kubernetes.io/job-completion-index=0"
        asked = ["logs", "--follow", f"--selector={first}", f"--since={self._since}s", "--prefix"]
        return subprocess.Popen([*self._kubectl, *asked], stdout=file, stderr=subprocess.DEVNULL)

    def last_words(self) -> bytes:
        """The end of every pod's log."""
        asked = ["--prefix", "--tail=30", f"--max-log-requests={self._pods}"]
        return self._ask("logs", f"--selector={_NAME}={self.name}", *asked).stdout

    def delete(self) -> None:
        """Pods are told to save and to go, and are waited for."""
        self._ask("delete", "jobset", self.name, "--ignore-not-found", "--cascade=foreground")

    def _ask(self, *words: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run([*self._kubectl, *words], input=given, capture_output=True, check=False)
        except FileNotFoundError:
            remedy = "install kubectl, or name it in launch.yaml: kubectl"
            raise InputError("not found", where=self._kubectl[0], remedy=remedy) from None
