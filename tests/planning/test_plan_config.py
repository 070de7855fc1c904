"""The plan of a config: jobs as the DAG has them, sizes as the manifest has them, training as the paper paid for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from megabase.config import Config, load
from megabase.errors import InputError
from megabase.planning.costs import trainings
from megabase.planning.plan import genome_length, jobs, plan
from megabase.planning.tables import devices, estimates
from megabase.portals.sources import COLUMNS

PAPER_FORWARD = 77.2e12
"""Operations of the released model on one window (architecture reference 12)."""


@pytest.fixture
def paper(repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The paper's config where nothing was built yet."""
    monkeypatch.chdir(tmp_path)
    return load(repo_root / f"config/{name}.yaml" for name in ("default", "paper"))


@pytest.mark.parametrize("names", [["demo"], ["paper"]], ids=lambda names: names[-1])
def test_jobs_are_those_of_the_dag(repo_root: Path, tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "config").symlink_to(repo_root / "config")
    program = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--directory", str(tmp_path)]
    program += ["--snakefile", str(repo_root / "Snakefile"), "--configfile", f"config/{names[0]}.yaml"]
    done = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path, check=True)
    table = [line.split() for line in done.stdout.split("Job stats:")[1].splitlines()]
    counted = {row[0]: int(row[1]) for row in table if len(row) == 2 and row[1].isdigit()}
    expected = jobs(load(repo_root / f"config/{name}.yaml" for name in ("default", *names)))
    assert {rule: counted.get(rule) for rule in expected} == expected


def test_estimates_stand_where_there_is_no_manifest(paper: Config) -> None:
    found = plan(paper)
    assert not any(share.known for share in found.shares)
    tracks = {(share.organism, share.bundle, share.portal): share.tracks for share in found.shares}
    assert tracks["human", "RNA_SEQ", "recount3"] == tracks["human", "SPLICE_JUNCTIONS", "recount3"] == 54
    assert tracks["human", "RNA_SEQ", "encode"] == 613
    for name, organism in paper.organisms.items():
        made = sum(count for (own, _, _), count in tracks.items() if own == name)
        assert made + 4 + 2 * organism.bundles["SPLICE_JUNCTIONS"] == sum(organism.bundles.values())
    coverage = next(share for share in found.shares if (share.bundle, share.portal) == ("RNA_SEQ", "recount3"))
    assert coverage.files > 15_000
    signal = [share for share in found.shares if share.bundle not in ("CHIP_TF", "CHIP_HISTONE", "CONTACT_MAPS")]
    human = sum(share.store_bytes for share in signal if share.organism == "human")
    assert human == pytest.approx(330e9, rel=0.1), "data reference 6, item 9"
    assert 2e12 < found.bytes < 1e14 and found.peak_disk(64) > 2 * found.store_bytes


def test_the_manifest_is_taken_where_there_is_one(paper: Config, tmp_path: Path) -> None:
    table = tmp_path / "data/paper/manifest/mouse.sources.tsv"
    table.parent.mkdir(parents=True)
    row = dict.fromkeys(COLUMNS, "") | {"bundle": "CAGE", "portal": "fantom5", "track": "a"}
    rows = [
        row | {"strand": "+", "file": "a.gz", "bytes": "7000000"},
        row | {"strand": "-", "file": "a.gz", "bytes": "7000000"},
        row | {"strand": "+", "file": "b.gz", "bytes": "3000000"},
    ]
    lines = ["# questions 0123", "\t".join(COLUMNS), *("\t".join(one.values()) for one in rows)]
    table.write_text("\n".join(lines))
    (share,) = [one for one in plan(paper).shares if (one.organism, one.bundle) == ("mouse", "CAGE")]
    assert (share.known, share.files, share.tracks, share.bytes) == (True, 2, 2, 10_000_000), "a file is fetched once"
    assert share.largest == 7e6
    table.write_text(table.read_text().replace("3000000", ""))
    (share,) = [one for one in plan(paper).shares if (one.organism, one.bundle) == ("mouse", "CAGE")]
    assert not share.known and share.bytes == 7_000_000 + 8_000_000


def test_local_files_are_not_fetched(repo_root: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo_root)
    config = load([repo_root / "config/default.yaml", repo_root / "config/region.yaml"])
    with pytest.raises(InputError, match="the length of sacCer3 is not known"):
        genome_length(config, "yeast")


def test_lengths_of_simulated_genomes_are_their_own(repo_root: Path) -> None:
    config = load([repo_root / "config/default.yaml", repo_root / "config/demo.yaml"])
    assert genome_length(config, "mouse") == 8 * 120_000


def test_training_costs_what_it_cost_the_paper(paper: Config) -> None:
    """About 4 h on 512 cores of TPU v3 for a model, and about 3 days on 64 H100 for the student (paper section 10)."""
    made = {one.name: one for one in trainings(paper, PAPER_FORWARD)}
    chips = {one.device: one for one in devices()}
    assert set(chips) == {"TPU v3", "TPU v5e", "TPU v5p", "TPU v6e", "H100"}
    fold, student = made["fold_0"], made["student"]
    assert (fold.examples, student.examples) == (960_000, 16_000_000)
    assert made["teacher"].copies == 64 and made["teacher"].flops == fold.flops
    assert fold.flops == pytest.approx(232e12 * 960_000, rel=0.01)
    # A chip of TPU v3 has two cores; the paper's rate is "close to half" of their peak.
    assert fold.device_hours(chips["TPU v3"], 0.5) / 256 == pytest.approx(4, rel=0.1)
    assert student.device_hours(chips["H100"], 0.3) / 64 == pytest.approx(72, rel=0.1)


def test_every_output_type_has_an_estimate(paper: Config) -> None:
    known = {(one.bundle, one.portal) for one in estimates()}
    asked = {(query.bundle, query.portal) for queries in paper.queries.values() for query in queries}
    assert asked <= known
