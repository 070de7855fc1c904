"""The whole demo at its smallest: it runs, it stops, it goes on, and it reruns what a change touches and no more."""

from __future__ import annotations

import copy
import csv
import shutil
from pathlib import Path

import pytest
from workspace import Workspace, tiny

from megabase.bundles import BUNDLES

MODELS = ("fold_0", "teacher", "student")
WEIGHTS = "results/tiny/models/{}/weights.safetensors"
DATASET = "data/tiny"
EVALUATED = {
    "results/tiny/evaluation/fold_0/tracks.tsv",
    "results/tiny/evaluation/summary.tsv",
    "results/tiny/evaluation/variants.tsv",
    "results/tiny/evaluation/table_tracks.tsv",
    "results/tiny/evaluation/table_variants.tsv",
    *(f"results/tiny/scores/{model}/{own}.parquet" for model in MODELS[1:] for own in ("human", "mouse")),
    *(f"results/tiny/scores/student/{own}.background.parquet" for own in ("human", "mouse")),
    *(f"results/tiny/models/student/quantiles.{own}.parquet" for own in ("human", "mouse")),
    *(f"results/tiny/evaluation/{model}/{own}.variants.tsv" for model in MODELS[1:] for own in ("human", "mouse")),
    *(f"results/tiny/evaluation/student/{own}.distillation.tsv" for own in ("human", "mouse")),
    "results/tiny/report/index.html",
}
AFTER_THE_STORE = {*(WEIGHTS.format(model) for model in MODELS), *EVALUATED}


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
    workspace.folder, workspace.settings, workspace.config = folder, tiny(), folder / "tiny.yaml"
    return workspace


def changed(section: str, **keys: object) -> dict:
    """The smallest demo's config with other values in one section."""
    settings = copy.deepcopy(tiny())
    settings[section] |= keys
    return settings


def rows(path: Path) -> list[dict[str, str]]:
    with open(path) as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_the_demo_runs_and_then_has_nothing_to_do(finished: Workspace) -> None:
    assert (finished.folder / "results/tiny/report/index.html").stat().st_size > 10_000
    assert "Nothing to be done" in finished.run()
    summary = rows(finished.folder / "results/tiny/evaluation/summary.tsv")
    predicted = {
        own: {row["output_type"] for row in summary if row["organism"] == own} - {"ALL"} for own in ("human", "mouse")
    }
    assert predicted == {"human": set(BUNDLES), "mouse": set(BUNDLES) - {"PROCAP"}}


def test_the_manifest_has_the_tracks_that_were_asked_for_and_no_decoy(finished: Workspace) -> None:
    for organism in ("human", "mouse"):
        decoys = {row["accession"] for row in _experiments(organism) if row["decoy"]}
        assert decoys
        files = rows(finished.folder / f"{DATASET}/manifest/{organism}.files.tsv")
        taken = " ".join(row["path"] for row in files)
        assert not [accession for accession in decoys if accession in taken]
        counted = rows(finished.folder / f"{DATASET}/manifest/{organism}.tracks.tsv")
        expected = tiny()["organisms"][organism]["bundles"]
        for bundle in expected:
            if not bundle.startswith("SPLICE_SITE"):
                assert len([row for row in counted if row["bundle"] == bundle]) == expected[bundle]


def test_fetched_files_are_released(finished: Workspace) -> None:
    raw = finished.folder / DATASET / "raw" / "human"
    left = {path.name for path in raw.iterdir() if not path.name.startswith(".")}
    assert left == {"fasta.genome.fa.gz", "annotation.genes.gtf.gz", "polya.polya.tsv"}


def test_a_changed_answer_of_a_portal_rebuilds_its_block_only(copied: Workspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in (copied.folder / f"{DATASET}/signal").rglob("*.json")}
    slice = copied.folder / f"{DATASET}/manifest/parts/human.CAGE.0000.tsv"
    # One replicate less of K562.
    lines = slice.read_text().splitlines()
    gone = next(number for number, line in enumerate(lines) if "CNhs12335" in line)
    kept = [line for line in lines if "CNhs12335" not in line]
    assert gone and len(kept) == len(lines) - 2
    slice.write_text("\n".join(kept) + "\n")
    expected = {
        f"{DATASET}/manifest/human.files.tsv",
        f"{DATASET}/signal/human/CAGE.0000.json",
        f"{DATASET}/quality/human.tsv",
        f"{DATASET}/store/human/CAGE.0000.json",
        f"{DATASET}/shards/human/fold_0/train.zarr",
        f"{DATASET}/shards/human/all_folds/train.zarr",
    }
    assert copied.planned() == expected | AFTER_THE_STORE
    copied.run("signal")
    touched = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert touched and not [path for path in touched if "CAGE" not in str(path)]


def test_a_training_parameter_leaves_the_store_untouched(copied: Workspace) -> None:
    copied.write_config(changed("training", learning_rate=0.001))
    assert copied.planned() == AFTER_THE_STORE


def test_how_often_checkpoints_are_written_reruns_nothing(copied: Workspace) -> None:
    copied.write_config(changed("loop", checkpoint_steps=5))
    assert copied.planned() == set()


@pytest.mark.long
def test_a_run_killed_in_every_stage_ends_in_the_same_weights(finished: Workspace, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "killed")
    for moment in (
        f"{DATASET}/signal/human/DNASE/*",
        f"{DATASET}/signal/human/SPLICE_JUNCTIONS/*",
        f"{DATASET}/store/human.zarr/**/signal",
        "results/tiny/checkpoints/teacher/*/4*",
        "results/tiny/checkpoints/student/*/4*",
    ):
        workspace.kill_when(moment, "--rerun-incomplete")
        assert not (workspace.folder / WEIGHTS.format("student")).exists()
    workspace.run("--rerun-incomplete")
    for model in MODELS:
        assert workspace.read(WEIGHTS.format(model)) == finished.read(WEIGHTS.format(model))


def _experiments(organism: str) -> list[dict[str, str]]:
    table = Path(__file__).resolve().parents[2] / "config" / "demo" / f"{organism}.experiments.tsv"
    lines = [line for line in table.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t"))
