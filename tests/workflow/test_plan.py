"""Every config plans on a fresh clone, and bare `snakemake` means the whole demo."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

RULES = {
    "build_reference",
    "pin_part",
    "assemble_manifest",
    "build_signal",
    "check_signal",
    "store_frame",
    "store_block",
    "write_shards",
    "train_model",
    "evaluate_model",
    "summarise",
    "write_report",
    "all",
}

OF_THE_DEMO = {
    "simulate_world",
    "query_portals",
    "index_splices",
    "count_junctions",
    "store_splicing",
    "train_teacher",
    "distil_student",
    "score_variants",
    "evaluate_variants",
    "gather_variants",
    "compare_student",
}
"""Rules of what the other config has none of: portals, splicing, students, planted variants."""


def dry_run(folder: Path, repo_root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A dry run in an empty folder that sees only the project's config."""
    (folder / "config").symlink_to(repo_root / "config")
    program = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "2", "--directory", str(folder)]
    return subprocess.run([*program, *arguments], capture_output=True, text=True, cwd=folder)


def rules(printed: str) -> set[str]:
    """The rules in the table of job counts."""
    table = printed.split("job", 1)[1].split("total")[0]
    return {line.split()[0] for line in table.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit()}


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_both_snakefiles_plan_the_whole_demo(tmp_path: Path, repo_root: Path, snakefile: str) -> None:
    done = dry_run(tmp_path, repo_root, "--snakefile", str(repo_root / snakefile))
    assert done.returncode == 0, done.stderr
    assert rules(done.stdout) == RULES | OF_THE_DEMO


def test_the_region_plans_and_simulates_nothing(tmp_path: Path, repo_root: Path, shared: Path) -> None:
    done = dry_run(
        tmp_path,
        repo_root,
        "--snakefile",
        str(repo_root / "Snakefile"),
        "--configfile",
        "config/region.yaml",
        "--config",
        f"source_root={shared / 'real'}",
    )
    assert done.returncode == 0, done.stderr
    assert rules(done.stdout) == RULES


def test_the_long_demo_plans(tmp_path: Path, repo_root: Path) -> None:
    layers = ["config/demo.yaml", "config/demo_long.yaml"]
    snakefile = str(repo_root / "Snakefile")
    done = dry_run(tmp_path, repo_root, "--snakefile", snakefile, "--configfile", *layers)
    assert done.returncode == 0, done.stderr
    assert rules(done.stdout) == RULES | OF_THE_DEMO


def test_the_paper_plans_in_low_thousands_of_jobs(tmp_path: Path, repo_root: Path) -> None:
    """On a fresh clone, with no answer of any portal yet; `make bench-dag` measures what it takes."""
    snakefile = str(repo_root / "Snakefile")
    done = dry_run(tmp_path, repo_root, "--snakefile", snakefile, "--configfile", "config/paper.yaml")
    assert done.returncode == 0, done.stderr
    of_the_paper = {"query_portals", "index_splices", "count_junctions", "store_splicing"}
    of_the_paper |= {"train_teacher", "distil_student", "compare_manifest", "released_tracks"}
    assert rules(done.stdout) == RULES | of_the_paper
    jobs = int(re.findall(r"^total +(\d+)", done.stdout, re.MULTILINE)[-1])
    assert 1000 < jobs < 3000
    assert not list(tmp_path.glob("data*"))


def test_a_bad_key_stops_before_anything_runs(tmp_path: Path, repo_root: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("training: {stepz: 1}\n")
    snakefile = str(repo_root / "Snakefile")
    done = dry_run(tmp_path, repo_root, "--snakefile", snakefile, "--configfile", "config/demo.yaml", str(own))
    assert done.returncode != 0
    line = next(line for line in done.stderr.splitlines() if "stepz" in line)
    assert "own.yaml: training.stepz: unknown key `stepz`; allowed here: " in line
    assert "Traceback" not in done.stderr


def test_the_snakefile_is_a_table_of_contents(repo_root: Path) -> None:
    assert len((repo_root / "Snakefile").read_text().splitlines()) <= 95
    assert len((repo_root / "workflow/Snakefile").read_text().splitlines()) == 2
