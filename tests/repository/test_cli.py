"""The `megabase` command: what it prints, what it writes, and the one line it ends with when the input is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from megabase import cli
from megabase.commands import doctor
from megabase.errors import InputError
from megabase.launch import devices

TRACKS = (
    "bundle\tindex\ttrack\tstrand\ttrack_id\tbiosample\tassay\ttarget\n"
    "DNASE\t0\tK562 DNase-seq\t.\tK562_DNase_seq\tK562\tDNase-seq\t\n"
    "DNASE\t1\tHepG2 DNase-seq\t.\tHepG2_DNase_seq\tHepG2\tDNase-seq\t\n"
    "CHIP_TF\t0\tK562 CTCF\t.\tK562_CTCF\tK562\tTF ChIP-seq\tCTCF\n"
)


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from megabase.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_help_is_quick_and_names_every_command() -> None:
    start = time.monotonic()
    done = run("--help")
    assert done.returncode == 0
    assert time.monotonic() - start < 5, "1.5 s on an idle machine; more means a heavy import"
    for command in ("check", "inspect", "tracks", "predict", "score", "doctor", "schema", "stages"):
        assert command in done.stdout


def test_help_imports_nothing_heavy() -> None:
    heavy = ("jax", "zarr", "pandas", "numpy", "snakemake")
    code = f"import sys, megabase.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["check", "inspect", "tracks", "predict", "score", "doctor", "schema", "stages"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: megabase {command}" in capsys.readouterr().out


def test_wrong_input_is_one_line_without_traceback(tmp_path: Path) -> None:
    done = run("inspect", str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path / 'model.json'}: no model here; give the folder")


def test_check_prints_the_plan_of_every_config(repo_root: Path) -> None:
    pytest.importorskip("megabase.portals.sources")
    for names, *said in (
        (["demo"], "model fold_0: human, mouse, fold 0;", "all folds, taught by teacher_0, teacher_1;"),
        (["demo", "demo_long"], "organism human: demohuman1, 8 chromosomes, 47 tracks", "queries of encode, fantom5"),
        (["region"], "organism yeast: sacCer3, 16 chromosomes", "rows of config/region/yeast.tsv"),
    ):
        done = run("check", *(f"config/{name}.yaml" for name in names), cwd=repo_root)
        assert done.returncode == 0, done.stderr
        for line in (*said, f"dataset {names[-1]}: data/{names[-1]}"):
            assert line in done.stdout


def test_check_names_a_wrong_key(repo_root: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("training: {stepz: 3}\n")
    done = run("check", "config/demo.yaml", str(config), cwd=repo_root)
    assert done.returncode == 1
    assert f"{config}: training.stepz: unknown key `stepz`" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_inspect_shows_the_start_of_long_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    description = {
        "model": {"channels": 16},
        "parameters": 1234567,
        "tracks": {"demo": [{"track_id": f"track_{i}", "strand": "+"} for i in range(40)]},
    }
    (tmp_path / "model.json").write_text(json.dumps(description))
    cli.main(["inspect", str(tmp_path)])
    out = capsys.readouterr().out
    assert "parameters: 1,234,567" in out
    assert "demo: 40 entries" in out
    assert "track_5" in out
    assert "track_6" not in out
    assert "34 more" in out
    assert "weights.safetensors is missing" in out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("k562", ["K562_DNase_seq", "K562_CTCF"]),
        ("K562 dnase", ["K562_DNase_seq"]),
        ("dnase-seq hepg2", ["HepG2_DNase_seq"]),
        ("chip-tf", ["K562_CTCF"]),
    ],
)
def test_tracks_are_found_by_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, found: list[str]
) -> None:
    (tmp_path / "human.tracks.tsv").write_text(TRACKS)
    cli.main(["tracks", words, "--manifest", str(tmp_path), "--tsv"])
    header, *rows = capsys.readouterr().out.splitlines()
    place = header.split("\t").index("track_id")
    assert [row.split("\t")[place] for row in rows] == found
    assert all(row.startswith("human\t") for row in rows)
    cli.main(["tracks", words, "--manifest", str(tmp_path / "human.tracks.tsv")])
    shown = capsys.readouterr().out
    assert all(track in shown for track in found)
    assert "strand" in shown


def test_tracks_that_do_not_exist(tmp_path: Path) -> None:
    assert "build one with `snakemake manifest`" in run("tracks", "k562", "--manifest", str(tmp_path)).stderr
    (tmp_path / "human.tracks.tsv").write_text(TRACKS)
    done = run("tracks", "k562 atac", "--manifest", str(tmp_path))
    assert done.returncode == 1
    assert "no track has all of `k562 atac`" in done.stderr


def test_doctor_fails_when_the_expected_device_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_tool", lambda: "v2.30.0 (/usr/bin/bedtools)")
    monkeypatch.setattr(devices, "seen", lambda: ({"cpu"}, "1 x cpu"))
    assert any("bedtools: v2.30.0" in line for line in doctor.diagnose("cpu"))
    with pytest.raises(InputError, match=r"no gpu is seen, only cpu.*EXTRAS=dev,cuda"):
        list(doctor.diagnose("gpu"))
    monkeypatch.setattr(doctor, "find_tool", lambda: None)
    with pytest.raises(InputError, match="bedtools: not found"):
        list(doctor.diagnose(None))


def test_doctor_can_do_without_star(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise InputError("not found", where="STAR", remedy="install it")

    monkeypatch.setattr(doctor, "find_tool", lambda: "v2.30.0 (/usr/bin/bedtools)")
    monkeypatch.setattr(devices, "seen", lambda: ({"cpu"}, "1 x cpu"))
    monkeypatch.setattr("megabase.signal.splicing.star.find_star", absent)
    assert any(line.startswith("STAR: missing; splicing needs it") for line in doctor.diagnose(None))


def test_doctor_sees_this_machine() -> None:
    platforms, said = devices.seen()
    assert "cpu" in platforms
    assert "cpu" in said


def test_a_platform_that_jax_cannot_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("Unable to initialize backend 'tpu': no chips")

    monkeypatch.setattr("jax.devices", fails)
    with pytest.raises(InputError, match="jax: cannot start: Unable to initialize backend 'tpu'"):
        devices.require("tpu")


def test_schema_is_the_committed_one(repo_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["schema"])
    assert capsys.readouterr().out == (repo_root / "config/schemas/config.json").read_text()
