"""A folder in which the workflow runs for a test: the project's config and rules, its own data and results."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]

SECTIONS = [f"chr{number}" for number in range(1, 9)]


def tiny() -> dict:
    """The demo at its smallest: every rule and every output type, one fold, one teacher; nothing is learnt."""
    settings = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    settings |= {
        "dataset": "tiny",
        "run": "tiny",
        "source_root": "data/tiny/world",
        "loop": {
            "checkpoint_steps": 4,
            "log_steps": 2,
            "compilation_cache": str(ROOT / ".cache" / "jax"),
            "threads": 1,
        },
        "evaluation": {"bootstrap": 10, "start_flank": 512},
        "scoring": {"background": {"most": 6}},
        "report": {"loci": 1, "tracks_per_locus": 3},
        "shards": {"window": 4096, "stride": 2048, "max_shift": 256},
    }
    settings["world"]["variants"] = 2
    for organism, length in (("human", 40_000), ("mouse", 24_000)):
        settings["world"]["organisms"][organism]["chromosomes"] = dict.fromkeys(SECTIONS, length)
    narrow = {"channels": 8, "channel_step": 4, "blocks": 2, "heads": 2, "key_channels": 8, "value_channels": 8}
    settings["model"] |= narrow
    settings["training"] |= {"steps": 12, "warmup": 2}
    settings["models"] = {
        "fold_0": {"organisms": ["human", "mouse"], "fold": 0},
        "teacher": {"organisms": ["human", "mouse"], "fold": "all", "training": {"seed": 10}},
        "student": {"organisms": ["human", "mouse"], "fold": "all", "teachers": "teacher", "training": {"steps": 8}},
    }
    return settings


class Workspace:
    """Runs the workflow in a folder of its own."""

    def __init__(self, folder: Path, settings: dict | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for shared in ("config", "resources", ".tools"):
            (folder / shared).symlink_to(ROOT / shared)
        self.settings = settings or tiny()
        self.config = folder / "tiny.yaml"
        self.write_config(self.settings)

    def write_config(self, settings: dict) -> None:
        """Replaces the config."""
        self.config.write_text(yaml.safe_dump(settings))

    def command(self, *arguments: str) -> list[str]:
        """The command line of a run."""
        program = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
        program += ["--workflow-profile", str(ROOT / "profiles" / "default")]
        return [*program, "--directory", str(self.folder), *arguments, "--configfile", str(self.config)]

    def run(self, *arguments: str, ok: bool = True) -> str:
        """Runs the workflow to its end; its output, both streams together."""
        done = subprocess.run(
            self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder
        )
        assert (done.returncode == 0) == ok, done.stdout
        return done.stdout

    def planned(self, *arguments: str) -> set[str]:
        """The first output of every job that a dry run lists."""
        printed = self.run(*arguments, "--dry-run")
        return {line.split(",")[0] for line in re.findall(r"^    output: (.+)$", printed, re.MULTILINE)}

    def kill_when(self, appears: str, *arguments: str, timeout: float = 300.0) -> None:
        """Starts the workflow and kills it, with everything it started, once a file that matches exists."""
        process = subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            start_new_session=True,
        )
        deadline = time.monotonic() + timeout
        while not any(self.folder.glob(appears)):
            assert process.poll() is None, f"the run ended before {appears} appeared"
            assert time.monotonic() < deadline, f"{appears} never appeared"
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.run("--unlock")

    def read(self, path: str) -> bytes:
        """The bytes of a file of the workspace."""
        return (self.folder / path).read_bytes()
