"""Training starts where a profile says, and whatever goes wrong there ends the job with a reason."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from megabase.errors import InputError
from megabase.launch import jobset, worker
from megabase.launch.config import JobSet, Local, TpuVm
from megabase.launch.local import free_port
from megabase.launch.processes import supervise
from megabase.launch.start import read, start
from megabase.launch.task import Job, Task

TPU_VM = """
engine: tpu_vm
project: lab
zone: us-west4-a
accelerator_type: v5litepod-8
runtime_version: v2-alpha-tpuv5-lite
spot: true
poll_seconds: 0.2
setup: echo prepared >> {folder}/setup
workdir: {folder}
python: {python}
"""

JOBSET = """
engine: jobset
image: example/megabase
accelerator: tpu-v5-lite-podslice
topology: 2x4
volume_claim: shared
mount: /mnt
poll_seconds: 0.2
workdir: {folder}
python: {python}
"""

LAUNCHER = """
import sys
from pathlib import Path
from megabase.launch.start import start
from megabase.launch.task import Job
start(Job.read(Path("job.json")), {"launch": sys.argv[1]})
"""


def ended(site) -> dict:
    return json.loads((site.folder / "results/model/model.json").read_text())


def test_a_job_is_read_back_as_it_was(site) -> None:
    site.job.write(site.folder / "job.json")
    assert Job.read(site.folder / "job.json") == site.job
    assert Task(site.job, None).key == Task(Job.read(site.folder / "job.json"), None).key


@pytest.mark.parametrize("profile", ["slurm", "kubernetes", "tpu"])
def test_profiles_are_complete(repo_root: Path, profile: str) -> None:
    """Their launch.yaml is one, every training rule names it, and chips in both files agree."""
    folder = repo_root / "profiles" / profile
    engine = read(folder / "launch.yaml")
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    resources = settings["set-resources"]
    assert {"train_model", "train_teacher", "distil_student"} <= set(resources)
    for of_rule in resources.values():
        assert of_rule["launch"] == f"profiles/{profile}/launch.yaml"
    if isinstance(engine, JobSet):
        assert resources["train_model"]["tpu"] == engine.processes * engine.chips_per_host


@pytest.mark.parametrize(
    ("kind", "hosts"),
    [
        ("v3-8", 1),
        ("v3-512", 64),
        ("v4-16", 2),
        ("v5p-128", 16),
        ("v5litepod-8", 1),
        ("v5litepod-16", 4),
        ("v6e-256", 64),
    ],
)
def test_slices_have_as_many_hosts_as_google_says(kind: str, hosts: int) -> None:
    made = TpuVm(engine="tpu_vm", project="p", zone="z", accelerator_type=kind, runtime_version="r", workdir="/w")
    assert made.processes == hosts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("engine: cloud\n", "engine"),
        ("engine: slurm\nsruns: []\n", "sruns: unexpected"),
        ("engine: tpu_vm\n", "project: field required"),
        ("{", "not YAML"),
    ],
)
def test_a_bad_launch_file_is_one_line(site, text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"launch.yaml: .*{said}"):
        read(Path(site.launch_file(text)))


@pytest.mark.parametrize("accelerator", ["gpu", "tpu"])
def test_an_absent_device_that_was_asked_for_stops_the_job(site, accelerator: str) -> None:
    with pytest.raises(InputError, match=f"no {accelerator} is seen, only cpu"):
        start(site.job, {accelerator: 1})


def test_a_worker_without_the_device_ends_with_one_line(site) -> None:
    site.job.write(Path("job.json"))
    with pytest.raises(SystemExit, match="error: jax: no tpu is seen"):
        worker.main(["job.json", "--expect", "tpu"])


def test_workers_that_did_not_find_each_other_do_not_train(site) -> None:
    site.job.write(Path("job.json"))
    program = [sys.executable, "-m", "megabase.launch.worker", "job.json", "--processes", "2"]
    done = subprocess.run([*program, "--join", f"localhost:{free_port()},1,0"], capture_output=True, text=True)
    assert done.returncode == 1 and "1 processes have come together, of 2" in done.stderr


def test_one_that_dies_ends_the_others_and_shows_its_log(site, caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    logs = [site.folder / f"{number}.log" for number in range(2)]
    with pytest.raises(InputError, match=r"1\.log: the worker ended with status 3"):
        supervise([["sleep", "60"], ["sh", "-c", "echo out of memory; exit 3"]], logs, {})
    assert time.monotonic() - began < 20 and "out of memory" in caplog.text
    with pytest.raises(InputError, match="the worker was ended by SIGKILL"):
        supervise([["sh", "-c", "kill -KILL $$"]], logs[:1], {})


def test_a_job_without_weights_is_no_success(site) -> None:
    text = f"engine: command\nprocesses: 1\npython: {site.idle}\ncommand: echo {{name}}\n"
    with pytest.raises(InputError, match="the job ended without weights"):
        start(site.job, {"launch": site.launch_file(text)})
    assert "megabase-" in (site.folder / "results/logs/worker_command.log").read_text()


def test_an_own_command_starts_the_workers(site) -> None:
    each = "for i in 0 1; do SLURM_JOB_ID=1 SLURM_STEP_NODELIST=localhost SLURM_NTASKS={processes} "
    each += "SLURM_PROCID=$i SLURM_LOCALID=0 sh -c {program} & done; wait"
    start(
        site.job,
        {
            "launch": site.launch_file(
                yaml.safe_dump({"engine": "command", "processes": 2, "python": str(site.joining), "command": each})
            )
        },
    )
    assert ended(site) == {"sum": 3, "steps": 5}
    with pytest.raises(InputError, match="'host' is not known; choose from"):
        start(site.job, {"launch": site.launch_file("engine: command\nprocesses: 1\ncommand: 'ssh {host}'\n")})


def test_tpu_vms_get_the_documented_commands(site) -> None:
    (site.cloud / "states").write_text("WAITING_FOR_RESOURCES\nPROVISIONING\nACTIVE\n")
    # Two VMs of the stand-in: four chips each.
    text = TPU_VM.replace("v5litepod-8", "v3-16").format(folder=site.folder, python=site.joining)
    start(site.job, {"launch": site.launch_file(text)})
    assert ended(site) == {"sum": 3, "steps": 5}
    assert (site.folder / "setup").read_text().split().count("prepared") == 1, "once on each machine"
    said = (site.folder / "results/logs/worker_vm-1.log").read_text()
    assert "together: 3" in said
    calls = [call[1:] for call in site.calls()]
    name = next(word for word in calls[0] if word.startswith("megabase-"))
    assert all(call[:2] == ["compute", "tpus"] and "--project=lab" in call for call in calls)
    create = next(call for call in calls if call[3] == "create")
    assert create[2:] == [
        "queued-resources",
        "create",
        name,
        f"--node-id={name}",
        "--accelerator-type=v3-16",
        "--runtime-version=v2-alpha-tpuv5-lite",
        "--spot",
        "--project=lab",
        "--zone=us-west4-a",
    ]
    (ssh, *_) = [call for call in calls if call[2] == "tpu-vm"]
    assert ssh[3:6] == ["ssh", name, "--worker=all"] and ssh[6].startswith("--command=")
    assert calls[-1][2:6] == ["queued-resources", "delete", name, "--force"]


def test_vms_that_are_taken_away_are_asked_for_again(site) -> None:
    (site.cloud / "states").write_text("PROVISIONING\nSUSPENDED\nWAITING_FOR_RESOURCES\nACTIVE\n")
    text = TPU_VM.replace("v5litepod-8", "v3-16").format(folder=site.folder, python=site.idle)
    with pytest.raises(InputError, match="the job ended without weights"):
        start(site.job, {"launch": site.launch_file(text)})
    assert [call[4] for call in site.calls() if call[3] == "queued-resources" and call[4] != "describe"] == [
        "create",
        "delete",
        "create",
        "delete",
    ]


def test_a_tpu_worker_that_dies_fails_the_job_with_its_log(site, caplog: pytest.LogCaptureFixture) -> None:
    text = TPU_VM.replace("v5litepod-8", "v3-16").format(folder=site.folder, python=site.dying)
    with pytest.raises(InputError, match=r"worker_vm-1\.log: the worker on vm-1 ended with status 7"):
        start(site.job, {"launch": site.launch_file(text)})
    assert "chip 3 is on fire" in caplog.text
    assert site.calls()[-1][4] == "delete"


def test_a_jobset_runs_its_pods(site) -> None:
    start(site.job, {"launch": site.launch_file(JOBSET.format(folder=site.folder, python=site.joining))})
    assert ended(site) == {"sum": 3, "steps": 5}
    assert not (site.cloud / "jobset.json").exists()
    assert "[pod-1] together: 3" in (site.folder / "results/logs/worker_jobset.log").read_text()
    assert "together: 3" in (site.folder / "results/logs/worker_pod-0.log").read_text()


def test_a_pod_that_dies_fails_the_job_with_its_log(site, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InputError, match=r"JobSet megabase-\w+ failed"):
        start(site.job, {"launch": site.launch_file(JOBSET.format(folder=site.folder, python=site.dying))})
    assert "[pod-1] chip 3 is on fire" in caplog.text
    assert not (site.cloud / "jobset.json").exists()


def test_a_launcher_told_to_stop_takes_the_jobset_back(site) -> None:
    place = site.launch_file(
        JOBSET.format(folder=site.folder, python=site.dying).replace("topology: 2x4", "topology: 2x2")
    )
    site.job.write(Path("job.json"))
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, place])
    deadline = time.monotonic() + 60
    while not list(site.cloud.glob("pod-0/pid")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(60) != 0 and not (site.cloud / "jobset.json").exists()


def test_the_jobset_fits_the_published_schema(site, shared: Path) -> None:
    import jsonschema

    definition = yaml.safe_load((shared / "reference/jobset-crd.yaml").read_text())
    schema = strict(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    text = JOBSET.format(folder="/mnt/repo", python="python").replace("2x4", "4x4")
    for more in ("", "service_account: trainer\nqueue: tpus\nslices: 2\n"):
        made = jobset.manifest(read(Path(site.launch_file(text + more))), Task(site.job, "tpu"))
        jsonschema.validate(made, schema)
        job = made["spec"]["replicatedJobs"][0]
        assert job["template"]["spec"]["parallelism"] == 4
        pod_name = f"{made['metadata']['name']}-{job['name']}-99-9999-abcde"
        assert len(pod_name) <= 63
    made["spec"]["replicatedJobs"][0]["template"]["spec"]["paralelism"] = 4
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(made, schema)


def strict(schema):
    """As Kubernetes reads it: numbers or words where either may stand, and no keys that it does not know."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made = {key: strict(value) for key, value in schema.items()}
    if "properties" in made and made.get("type") == "object" and made["properties"]:
        made.setdefault("additionalProperties", False)
    return made


def test_one_process_here_needs_no_launching(site, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(Job, "run", lambda job: ran.append(job))
    start(site.job, {"mem_mb": 1000})
    start(site.job, {"launch": site.launch_file("engine: local\n")})
    assert ran == [site.job, site.job] and Local().processes == 1
