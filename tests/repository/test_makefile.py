"""What people and CI machines start: make targets, the CI script, the files a catalogue reads."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml


def make(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments], cwd=cwd, capture_output=True, text=True, env=os.environ | environment, check=False
    )


def test_bare_make_explains_every_target(repo_root: Path) -> None:
    shown = make(cwd=repo_root).stdout
    documented = re.findall(r"^([a-z-]+):.*## ", (repo_root / "Makefile").read_text(), re.MULTILINE)
    assert {"setup", "demo", "region", "test", "test-long", "bench", "lock", "generate", "clean"} <= set(documented)
    for target in documented:
        assert f"make {target} " in shown


@pytest.mark.parametrize("target", ["setup", "demo", "region", "test", "test-long", "bench", "generate", "lock"])
def test_targets_can_be_planned(repo_root: Path, target: str) -> None:
    done = make("-n", target, cwd=repo_root)
    assert done.returncode == 0, done.stderr


def test_ci_runs_make_test_from_anywhere(repo_root: Path, tmp_path: Path) -> None:
    script = repo_root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    fake = tmp_path / "make"
    fake.write_text('#!/bin/sh\necho "$PWD $@"\nexit 5\n')
    fake.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        [script], cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PATH": path}, check=False
    )
    assert done.stdout.strip() == f"{repo_root} test"
    assert done.returncode == 5


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ('echo "Python 3.9.1"; case "$*" in *version_info*) exit 1;; esac', "Python 3.9.1 is too old"),
        ('case "$*" in *ensurepip*) exit 1;; esac', "apt-get install python3-venv"),
    ],
)
def test_an_unfit_python_is_named(repo_root: Path, tmp_path: Path, python: str, said: str) -> None:
    (tmp_path / "Makefile").symlink_to(repo_root / "Makefile")
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\n{python}\n")
    interpreter.chmod(0o755)
    done = make(".venv/bin/python", f"PYTHON={interpreter}", cwd=tmp_path)
    assert done.returncode != 0
    assert said in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_missing_bedtools_is_one_line(repo_root: Path, tmp_path: Path) -> None:
    (tmp_path / "Makefile").symlink_to(repo_root / "Makefile")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "mkdir", "touch", "rm", "cat", "env"):
        (tools / name).symlink_to(f"/bin/{name}" if Path(f"/bin/{name}").exists() else f"/usr/bin/{name}")
    whole = subprocess.run(["which", "make"], capture_output=True, text=True, check=True).stdout.strip()
    done = subprocess.run(
        [whole, ".tools/.bedtools"], cwd=tmp_path, capture_output=True, text=True, env={"PATH": str(tools)}, check=False
    )
    assert done.returncode != 0
    assert "error: no bedtools; install it: apt-get install bedtools, or brew install bedtools" in done.stderr
    assert not (tmp_path / ".tools" / ".bedtools").exists()


def test_the_catalogue_and_ci_files_hold_what_their_readers_need(repo_root: Path) -> None:
    catalogue = yaml.safe_load((repo_root / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(catalogue) >= {"mandatory-flags", "software-stack-deployment", "report"}
    assert (repo_root / "workflow" / "Snakefile").exists()
    assert (repo_root / "config" / "README.md").exists()
    steps = yaml.safe_load((repo_root / ".github/workflows/ci.yml").read_text())["jobs"]["test"]["steps"]
    assert any(step.get("run") == ".ci/run" for step in steps)
    profile = yaml.safe_load((repo_root / "profiles/default/config.yaml").read_text())
    assert profile["cores"] == "all"


def test_versions_agree(repo_root: Path) -> None:
    import megabase

    assert yaml.safe_load((repo_root / "CITATION.cff").read_text())["version"] == megabase.__version__
    assert f"## [{megabase.__version__}]" in (repo_root / "CHANGELOG.md").read_text()
