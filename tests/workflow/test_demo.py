"""The whole demo at its smallest: it runs, it stops, it goes on, and it reruns what a change touches and no more."""

from __future__ import annotations

import csv
import gzip
import shutil
from pathlib import Path

import pytest
from workspace import TINY, Workspace

WEIGHTS = "results/tiny/models/fold_0/weights.safetensors"
DATASET = "data/tiny"
AFTER_THE_STORE = {
    WEIGHTS,
    "results/tiny/evaluation/fold_0/tracks.tsv",
    "results/tiny/evaluation/summary.tsv",
    "results/tiny/report/index.html",
}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The demo, run to its end once; tests that change it take a copy."""
    workspace = Workspace(tmp_path_factory.mktemp("finished"))
    workspace.run()
    return workspace


@pytest.fixture
def copied(finished: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished demo, with its times."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, symlinks=True)
    workspace = Workspace.__new__(Workspace)
    workspace.folder, workspace.settings, workspace.config = folder, TINY, folder / "tiny.yaml"
    return workspace


def test_the_demo_runs_and_then_has_nothing_to_do(finished: Workspace) -> None:
    assert (finished.folder / "results/tiny/report/index.html").stat().st_size > 10_000
    assert "Nothing to be done" in finished.run()
    with open(finished.folder / "results/tiny/evaluation/summary.tsv") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {row["output_type"] for row in rows} == {"RNA_SEQ", "DNASE", "ATAC", "CAGE", "CHIP_TF", "CHIP_HISTONE"}


def test_a_changed_source_file_rebuilds_its_block_only(copied: Workspace) -> None:
    with open(copied.folder / f"{DATASET}/manifest/blocks/demo.CAGE.0000.tsv") as file:
        source = next(csv.DictReader(file, delimiter="\t"))["path"]
    before = {path: path.stat().st_mtime_ns for path in (copied.folder / f"{DATASET}/signal").rglob("*.json")}
    with gzip.open(copied.folder / source, "ab") as file:
        file.write(b"chr1\t100\t101\tadded\t5\t+\n")
    expected = {
        f"{DATASET}/manifest/blocks/demo.CAGE.0000.tsv",
        f"{DATASET}/manifest/demo.files.tsv",
        f"{DATASET}/signal/demo/CAGE.0000.json",
        f"{DATASET}/store/demo/CAGE.0000.json",
        f"{DATASET}/shards/demo/fold_0/train.zarr",
    }
    assert copied.planned() == expected | AFTER_THE_STORE
    copied.run("signal")
    changed = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed and not [path for path in changed if "CAGE" not in str(path)]


def test_a_training_parameter_leaves_the_store_untouched(copied: Workspace) -> None:
    copied.write_config({**TINY, "training": {**TINY["training"], "learning_rate": 0.001}})
    assert copied.planned() == AFTER_THE_STORE


def test_how_often_checkpoints_are_written_reruns_nothing(copied: Workspace) -> None:
    copied.write_config({**TINY, "loop": {**TINY["loop"], "checkpoint_steps": 5}})
    assert copied.planned() == set()


def test_a_run_killed_in_every_stage_ends_in_the_same_weights(finished: Workspace, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "killed")
    for moment in (
        f"{DATASET}/signal/demo/DNASE/*",
        f"{DATASET}/store/demo.zarr/**/signal",
        "results/tiny/checkpoints/fold_0/*/4*",
    ):
        workspace.kill_when(moment, "--rerun-incomplete")
        assert not (workspace.folder / WEIGHTS).exists()
    workspace.run("--rerun-incomplete")
    assert workspace.read(WEIGHTS) == finished.read(WEIGHTS)
