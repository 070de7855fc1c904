"""What a profile's launch.yaml may say. The engine is chosen by its first key."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import Field

from megabase.settings import settings

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


@settings
class Local:
    """Processes on this machine."""

    engine: Literal["local"] = "local"
    """Name of the engine."""
    processes: Count = 1
    """Processes that train together; their devices are those of one program."""


@settings
class Slurm:
    """Tasks of a step inside the job that Snakemake's executor submitted; how many, and on how many nodes, the rule's
    resources `tasks` and `nodes` say."""

    engine: Literal["slurm"]
    """Name of the engine."""
    srun: list[str] = Field(default_factory=list)
    """More arguments of srun, such as --gpus-per-task=1."""
    conf: str | None = None
    """Path of slurm.conf, at sites that name it by SLURM_CONF: Snakemake takes SLURM's variables away from its jobs."""


@settings
class JobSet:
    """Pods of one or more TPU slices on GKE: a JobSet that this machine submits and waits for."""

    engine: Literal["jobset"]
    """Name of the engine."""
    image: str
    """Container image with Megabase and `jax[tpu]`."""
    accelerator: str
    """Node label cloud.google.com/gke-tpu-accelerator, such as tpu-v5-lite-podslice."""
    topology: Annotated[str, Field(pattern=r"^\d+x\d+(x\d+)?$")]
    """Node label cloud.google.com/gke-tpu-topology: chips of a slice, such as 4x4."""
    chips_per_host: Count = 4
    """Chips of a node, all of which a pod asks for."""
    slices: Count = 1
    """Slices that train together (Multislice)."""
    volume_claim: str
    """Persistent volume claim with this folder, data and results, that this machine sees too."""
    mount: str
    """Where pods mount it."""
    workdir: str
    """This folder, as pods see it."""
    python: str = "python"
    """Interpreter in the image."""
    namespace: str = "default"
    """Kubernetes namespace."""
    service_account: str | None = None
    """Kubernetes service account of the pods, for access to buckets."""
    queue: str | None = None
    """Kueue's local queue."""
    max_restarts: Annotated[int, Field(ge=0)] = 3
    """Times that all pods are started again after one died; node maintenance does not count."""
    grace_seconds: Count = 120
    """Time that a pod has to save when it is told to go."""
    kubectl: list[str] = Field(default_factory=lambda: ["kubectl"])
    """The command line tool, with arguments such as --context."""
    poll_seconds: Seconds = 20.0
    """Time between questions after the job."""

    @property
    def hosts(self) -> int:
        """Pods of a slice."""
        return max(1, math.prod(map(int, self.topology.split("x"))) // self.chips_per_host)

    @property
    def processes(self) -> int:
        """Pods of all slices."""
        return self.hosts * self.slices


@settings
class TpuVm:
    """Cloud TPU VMs, asked for as a queued resource with gcloud."""

    engine: Literal["tpu_vm"]
    """Name of the engine."""
    project: str
    """Google Cloud project."""
    zone: str
    """Zone, such as us-west4-a."""
    accelerator_type: Annotated[str, Field(pattern=r"^(v[345]p?|v5litepod|v6e)-\d+$")]
    """Kind and size of the slice, such as v5litepod-16 or v3-512."""
    runtime_version: str
    """Software of the VMs, such as v2-alpha-tpuv5-lite."""
    spot: bool = False
    """Take preemptible capacity: cheaper, and may go at any time."""
    arguments: list[str] = Field(default_factory=list)
    """More arguments of `gcloud compute tpus queued-resources create`."""
    ssh: list[str] = Field(default_factory=list)
    """More arguments of `gcloud compute tpus tpu-vm ssh`, such as --internal-ip."""
    setup: str | None = None
    """Shell command that every worker runs once before the first training: mount the shared folder, install."""
    workdir: str
    """This folder, as workers see it: with data and results, shared by all of them and by this machine."""
    python: str = ".venv/bin/python"
    """Interpreter on the workers."""
    attempts: Count = 5
    """Times that a slice which was taken away is asked for again."""
    keep: bool = False
    """Leave the VMs running afterwards, for the next job; they cost money until they are deleted."""
    poll_seconds: Seconds = 30.0
    """Time between questions after the VMs and the workers."""

    @property
    def processes(self) -> int:
        """VMs of the slice: of 8 cores up to v5p, of 4 chips from v5e on, where up to 8 chips are one VM."""
        kind, size = re.fullmatch(r"(.+)-(\d+)", self.accelerator_type).groups()  # type: ignore[union-attr]
        if kind in ("v5litepod", "v6e"):
            return 1 if int(size) <= 8 else int(size) // 4
        return max(1, int(size) // 8)


@settings
class Command:
    """A command of your own, such as xpk's or SkyPilot's: it starts the program on every host and waits for its end."""

    engine: Literal["command"]
    """Name of the engine."""
    command: str
    """Shell command, in which {program} is what every host has to run (quoted as one word), {name} a short name of the
    job, and {processes} the number below."""
    processes: Count
    """Hosts, each of which runs the program once."""
    python: str = "python"
    """Interpreter on the hosts."""
    join: str = "auto"
    """How hosts find each other: `auto` where JAX knows the cluster (TPU, SLURM, Open MPI), else
    `address:port,processes,process` of shell variables that the hosts have."""


Engine = Annotated[Local | Slurm | JobSet | TpuVm | Command, Field(discriminator="engine")]
