"""Training under a real SLURM, started here: two processes, taken back and cancelled on the way, end where one ends."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from loopback_slurm import Slurm, missing
from workspace import ROOT, Workspace, tiny

PLUGIN = "snakemake_executor_plugin_slurm"
STEPS = 40


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    if reason := missing():
        pytest.skip(reason)
    if importlib.util.find_spec(PLUGIN) is None:
        pytest.skip(f"needs {PLUGIN}: make setup EXTRAS=dev,slurm")
    (tmp_path / "slurm").mkdir()
    made = Slurm(tmp_path / "slurm")
    yield made
    made.close()


def settings(run: str) -> dict:
    """The demo's pretraining at its smallest: one organism, two output types, a window for each of two devices."""
    made = tiny() | {"run": run}
    made["models"] = {"fold_0": {"organisms": ["human"], "fold": 0}}
    for section in (made["organisms"], made["queries"], made["world"]["organisms"]):
        del section["mouse"]
    own = made["organisms"]["human"]["bundles"]
    made["organisms"]["human"]["bundles"] = {bundle: own[bundle] for bundle in ("DNASE", "CAGE")}
    made["queries"]["human"] = [query for query in made["queries"]["human"] if query["bundle"] in ("DNASE", "CAGE")]
    made["training"] |= {"steps": STEPS, "batch": 2}
    made["loop"] |= {"checkpoint_steps": 2, "log_steps": 1, "sequence": 1, "retries": 2}
    return made


def edit_profile(work: Workspace, conf: Path) -> None:
    """The project's profile with what a person edits: this site has one node, no GPUs, and no accounting."""
    own = work.folder / "profiles/slurm"
    shutil.copytree(ROOT / "profiles/slurm", own)
    profile = yaml.safe_load((own / "config.yaml").read_text())
    profile["set-resources"] = {
        "train_model": {
            "mpi": "srun",
            "nodes": 1,
            "tasks": 2,
            "mem_mb": 1000,
            "slurm_extra": "'--signal=USR1@120'",
            "launch": "profiles/slurm/launch.yaml",
        }
    }
    profile["set-threads"] = {"train_model": 1}
    profile["latency-wait"] = 20
    profile |= {"slurm-status-command": "squeue", "slurm-no-account": True, "seconds-between-status-checks": 3}
    profile |= {"slurm-init-seconds-before-status-checks": 2}
    (own / "config.yaml").write_text(yaml.safe_dump(profile))
    (own / "launch.yaml").write_text(f"engine: slurm\nconf: {conf}\n")


def losses(work: Workspace, run: str) -> dict[int, float]:
    lines = map(json.loads, work.read(f"results/{run}/logs/fold_0/metrics.jsonl").decode().splitlines())
    kept = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    assert [step for step, _ in kept] == list(range(1, STEPS + 1)), "each once"
    return dict(kept)


@pytest.mark.long
def test_a_job_of_two_processes_survives_its_cluster(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Workspace(tmp_path / "work", settings("here"))
    weights = "results/{}/models/fold_0/model.json"
    with monkeypatch.context() as two_devices:
        two_devices.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
        work.run(weights.format("here"))
    edit_profile(work, slurm.config)
    work.write_config(settings("there"))
    program = work.command("--profile", "profiles/slurm", weights.format("there"))
    with open(tmp_path / "snakemake.log", "w") as log:
        running = subprocess.Popen(program, cwd=work.folder, env=slurm.environment, stdout=log, stderr=log)

    def until(true: Callable[[], object], seconds: float = 900) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            said = (tmp_path / "snakemake.log").read_text()[-3000:]
            assert running.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.05)

    def checkpoint(step: int) -> bool:
        found = (work.folder / "results/there/checkpoints/fold_0").glob("*/*.json")
        return any(path.stem.isdigit() and int(path.stem) >= step for path in found)

    try:
        until(lambda: checkpoint(4))
        (first,) = slurm.jobs("running")
        slurm.ask("scontrol", "requeue", first)
        until(lambda: first not in slurm.jobs("running"))
        # It waits for its turn again under its own number.
        until(lambda: checkpoint(14))
        assert slurm.jobs("running") == [first]
        assert "Restarts=1" in slurm.ask("scontrol", "show", "job", first)
        slurm.ask("scancel", first)
        until(lambda: set(slurm.jobs("running")) - {first})
        assert running.wait(600) == 0, (tmp_path / "snakemake.log").read_text()[-3000:]
    finally:
        if running.poll() is None:
            running.kill()
    here, there = losses(work, "here"), losses(work, "there")
    assert np.allclose(list(here.values()), list(there.values()), rtol=1e-5, atol=0)
    said = "".join(path.read_text() for path in (work.folder / "results/there/logs/fold_0").glob("worker_*.log"))
    assert "goes on from step" in said
    record = json.loads(next((work.folder / "results/there/checkpoints/fold_0").glob("*/run.json")).read_text())
    assert record["processes"] == 2 and record["mesh"] == {"data": 2, "sequence": 1}
