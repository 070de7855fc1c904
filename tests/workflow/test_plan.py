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
    "table_tracks",
    "table_variants",
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
    "draw_common_variants",
    "choose_background",
    "score_background",
    "calibrate_scores",
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
    of_the_paper |= {"build_variant_set", "write_set_vcf", "score_set", "link_set"}
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
    assert len((repo_root / "Snakefile").read_text().splitlines()) <= 115
    assert len((repo_root / "workflow/Snakefile").read_text().splitlines()) == 2


OVERLAYS = {
    "ablations/resolution": {"fold_0_2bp", "fold_0_8bp", "fold_0_32bp", "fold_0_128bp"},
    "ablations/sequence_length": {"fold_0_half", "fold_0_eighth"},
    "ablations/modalities": {"fold_0_accessibility", "fold_0_expression", "fold_0_splicing", "fold_0_histone"},
    "ablations/no_mutation": {"student", "student_unmutated", "teacher_0", "teacher_1"},
    "ablations/teachers": {"student", "student_of_1", "teacher_0", "teacher_1"},
    "presets/borzoi_32bp": {"fold_1_borzoi_32bp"},
    "presets/enformer_128bp": {"fold_0_enformer_128bp"},
    "demo_finetune": {"unseen_teacher", "unseen_student", "scratch", "tuned", "tuned_heads", "tuned_adapters"},
}
"""Models that an overlay studies, beside what they are like."""


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_s_target_trains_what_it_studies_and_no_more(tmp_path: Path, repo_root: Path, name: str) -> None:
    layers = ["config/demo.yaml", f"config/{name}.yaml"]
    snakefile = str(repo_root / "Snakefile")
    done = dry_run(tmp_path, repo_root, "--snakefile", snakefile, "ablations", "--configfile", *layers)
    assert done.returncode == 0, done.stderr
    trained = set(re.findall(r"models/(\w+)/weights\.safetensors", done.stdout))
    folds = {own for own in trained if re.fullmatch(r"fold_\d", own)}
    assert trained - folds == OVERLAYS[name] and len(folds) == (0 if "student" in str(OVERLAYS[name]) else 1)
    assert ("evaluation/compared.tsv" in done.stdout) == ("student" not in OVERLAYS[name])
    assert ("compare_student" in rules(done.stdout)) == ("student" in OVERLAYS[name])


def test_windows_in_pieces_are_evaluated_beside_whole_ones(tmp_path: Path, repo_root: Path) -> None:
    snakefile = str(repo_root / "Snakefile")
    layers = ["config/demo.yaml", "config/ablations/sequence_length.yaml"]
    done = dry_run(tmp_path, repo_root, "--snakefile", snakefile, "ablations", "--configfile", *layers)
    assert done.returncode == 0, done.stderr
    evaluated = set(re.findall(r"evaluation/(\w+)/tracks\.tsv", done.stdout))
    of_pieces = {"fold_0_in_2", "fold_0_in_8", "fold_0_half_in_2", "fold_0_eighth_in_8"}
    assert evaluated == {"fold_0", "fold_0_half", "fold_0_eighth", *of_pieces}


def test_three_students_with_and_three_without_mutations_plan_on_the_long_demo(tmp_path: Path, repo_root: Path) -> None:
    layers = ["config/demo.yaml", "config/demo_long.yaml", "config/ablations/distillation.yaml"]
    snakefile = str(repo_root / "Snakefile")
    done = dry_run(tmp_path, repo_root, "--snakefile", snakefile, "ablations", "--configfile", *layers)
    assert done.returncode == 0, done.stderr
    trained = set(re.findall(r"models/(\w+)/weights\.safetensors", done.stdout))
    students = {f"{kind}_{seed}" for kind in ("student", "student_unmutated") for seed in range(3)}
    assert trained == students | {"teacher_0", "teacher_1"}
    tables = set(re.findall(r"evaluation/(\w+)/(\w+)\.distillation\.tsv", done.stdout))
    assert tables == {(kind, own) for kind in ("student", "student_unmutated") for own in ("human", "mouse")}
