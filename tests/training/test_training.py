"""Training can be killed anywhere: the next run goes on and ends in the same bytes."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from small_run import curve, run, start
from small_store import SmallStore

from megabase.errors import InputError
from megabase.model.weights import load
from megabase.scoring.predict import Predictor
from megabase.store.reader import Shards

WEIGHTS = "weights.safetensors"


def wait_for(out: Path, pattern: str, child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not any(out.glob(pattern)):
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.005)


def trained_steps(out: Path) -> list[int]:
    """The updates that the log of a run has, each once if all is well."""
    return list(curve(out))


def test_weights_describe_themselves(unbroken: Path, shards: Path) -> None:
    _, described = load(unbroken)
    own = Shards.open(shards / "train.zarr")
    assert described["split_hashes"] == {"made": own.split_hash}
    assert described["store_digests"] == {"made": own.store_digest}
    assert [row["track_id"] for row in described["tracks"]["made"]["CAGE"]] == ["caps.plus", "caps.minus"]
    lines = [json.loads(line) for line in (unbroken.parent / "logs/metrics.jsonl").read_text().splitlines()]
    assert trained_steps(unbroken.parent) == list(range(1, 9))
    assert any("valid" in line for line in lines)
    of_a_step = next(line for line in lines if "loss" in line)
    assert of_a_step.keys() >= {"losses", "gradient_norm", "learning_rate", "examples_per_second", "data_wait"}


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.long)])
def test_sigkill_at_any_moment_costs_only_steps(shards: Path, unbroken: Path, tmp_path: Path, kills: int) -> None:
    """Killed again and again, and started again: in the middle of an update, of a checkpoint, of starting."""
    draw, tries = np.random.default_rng(kills), 0
    while kills:
        out = tmp_path / str(tries)
        logged = out / "logs/metrics.jsonl"
        child = start(shards, out)
        lines = int(draw.integers(0, 16))
        while child.poll() is None and (not logged.exists() or len(logged.read_bytes().splitlines()) < lines):
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.3))
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            kills -= 1
        child.wait()
        if (out / "model/model.json").exists():
            assert (out / "model" / WEIGHTS).read_bytes() == (unbroken / WEIGHTS).read_bytes()
            tries += 1
    again = run(shards, out)
    assert (again / WEIGHTS).read_bytes() == (unbroken / WEIGHTS).read_bytes()
    assert trained_steps(out) == list(range(1, 9))


def test_sigterm_saves_and_says_so(shards: Path, tmp_path: Path) -> None:
    child = start(shards, tmp_path)
    wait_for(tmp_path, "checkpoints/*/2.json", child)
    child.send_signal(signal.SIGTERM)
    assert child.stderr is not None
    said = child.stderr.read()
    assert child.wait() != 0 and "Traceback" not in said
    stopped = re.search(r"training stopped by a signal after step (\d)", said)
    assert stopped and trained_steps(tmp_path)[-1] == int(stopped[1])
    assert next((tmp_path / "checkpoints").iterdir()).joinpath(f"{stopped[1]}.json").exists()


def test_a_broken_checkpoint_is_passed_over(shards: Path, unbroken: Path, tmp_path: Path) -> None:
    shutil.copytree(unbroken.parent, tmp_path, dirs_exist_ok=True)
    (folder,) = (tmp_path / "checkpoints").iterdir()
    (tmp_path / "model/model.json").unlink()
    newest = folder / "8"
    largest = max((path for path in newest.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    largest.write_bytes(b"\0" * largest.stat().st_size)
    before = (folder / "6.json").stat().st_mtime_ns
    again = run(shards, tmp_path)
    assert (again / WEIGHTS).read_bytes() == (unbroken / WEIGHTS).read_bytes()
    assert (folder / "6.json").stat().st_mtime_ns == before, "it went on from the one before"


def test_another_recipe_does_not_resume_this_one(shards: Path, unbroken: Path, tmp_path: Path) -> None:
    shutil.copytree(unbroken.parent, tmp_path, dirs_exist_ok=True)
    other = run(shards, tmp_path, recipe={"seed": 4})
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    assert (other / WEIGHTS).read_bytes() != (unbroken / WEIGHTS).read_bytes()
    assert trained_steps(tmp_path) == list(range(1, 9)), "from the start"


def test_a_loss_that_is_no_number_stops_and_is_remembered(shards: Path, tmp_path: Path) -> None:
    """Here because a source file held infinity; a step that is too long does the same."""
    broken = SmallStore(tmp_path / "store", infinite="DNASE").shards()["train"].parent
    for _ in range(2):  # The second try reads the record of the first.
        with pytest.raises(InputError, match=r"diverged\.json: the loss of dnase is not a number at step 1, on .*chr1"):
            run(broken, tmp_path)
    assert not (tmp_path / "model/model.json").exists()


def test_exported_weights_are_checked(unbroken: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    arrays = load_file(str(unbroken / WEIGHTS))
    (tmp_path / "model.json").write_bytes((unbroken / "model.json").read_bytes())
    name = next(iter(sorted(arrays)))
    save_file({key: value for key, value in arrays.items() if key != name}, str(tmp_path / WEIGHTS))
    with pytest.raises(InputError, match=f"the array {name} is missing"):
        load(tmp_path)
    save_file(arrays | {"extra": np.zeros(1)}, str(tmp_path / WEIGHTS))
    with pytest.raises(InputError, match="the array extra is not part of the model"):
        load(tmp_path)
    save_file(arrays | {name: np.zeros((1, 2, 3, 4, 5))}, str(tmp_path / WEIGHTS))
    with pytest.raises(InputError, match=r"has shape \(1, 2, 3, 4, 5\), the model"):
        load(tmp_path)


def test_averaged_predictions_know_no_strand(unbroken: Path, shards: Path) -> None:
    predictor = Predictor.load(unbroken)
    own = Shards.open(shards / "test.zarr")
    forward, turned = own.read(0), own.read(0, reverse_complement=True)
    here = predictor.predict(forward.sequence[None], "made")
    there = predictor.predict(turned.sequence[None], "made")
    assert set(here) == {"dnase", "cage", "chip_tf", "contact_maps"}
    assert here["cage"][1].shape == (1, 4096, 2) and here["chip_tf"][128].shape == (1, 32, 1)
    assert np.allclose(here["cage"][1], there["cage"][1][:, ::-1, ::-1], rtol=1e-3)
    assert np.allclose(here["dnase"][1][:, 2:], there["dnase"][1][:, ::-1][:, 1:-1], rtol=1e-3)
    assert np.allclose(here["contact_maps"][2048], there["contact_maps"][2048][:, ::-1, ::-1], atol=1e-5)
    with pytest.raises(InputError, match="knows no organism `cow`; choose from made"):
        predictor.predict(forward.sequence[None], "cow")
