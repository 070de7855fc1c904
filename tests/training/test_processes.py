"""However devices and processes divide a batch, it is the same batch, and the same training."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_run import RECIPE, curve, job, run, start

from megabase.errors import InputError
from megabase.launch.config import Local
from megabase.launch.local import free_port
from megabase.launch.local import run as launched
from megabase.launch.task import Task
from megabase.store.batches import Batches
from megabase.store.reader import Shards
from megabase.training.accumulation import in_parts
from megabase.training.config import LoopConfig, TrainingConfig
from megabase.training.run import training_mesh

TWO = {"batch": 2, "steps": 6}
EACH_A_WINDOW = {"sequence": 1}
WEIGHTS = "weights.safetensors"


def devices(count: int) -> dict[str, str]:
    return {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}


@pytest.fixture(scope="module")
def alone(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one device learns from two windows an update."""
    out = tmp_path_factory.mktemp("alone")
    run(shards, out, TWO, EACH_A_WINDOW | {"keep": 3})
    return out


def test_hosts_read_their_rows_of_one_batch(shards: Path) -> None:
    own = Shards.open(shards / "train.zarr")
    widths = {"dnase": 1, "cage": 2, "chip_tf": 1, "contact_maps": 1}
    batches = Batches({"made": own}, widths, batch=4, seed=1, max_shift=50, reverse_complement=0.5)
    for step in (0, 7):
        whole = batches(step)
        for hosts in (1, 2, 4):
            each = 4 // hosts
            read = [batches(step, range(host * each, (host + 1) * each)) for host in range(hosts)]
            together = jax.tree.map(lambda *parts: np.concatenate(parts), *map(dict, read))
            assert jax.tree.all(jax.tree.map(np.array_equal, dict(whole), together))


def test_two_processes_learn_what_one_learns(shards: Path, alone: Path, tmp_path: Path) -> None:
    """Both on a mesh of two devices; and two devices what one does. Then their checkpoint goes on on one device."""
    child = start(shards, tmp_path / "one", {"recipe": TWO, "loop": EACH_A_WINDOW}, **devices(2))
    assert child.wait() == 0, child.stderr and child.stderr.read()
    together = job(shards, tmp_path / "two", TWO, EACH_A_WINDOW | {"keep": 3})
    task = Task(together, None)
    together.write(task.file)
    launched(Local(processes=2), task)
    ours, theirs, lone = (list(curve(out).values()) for out in (tmp_path / "two", tmp_path / "one", alone))
    assert np.allclose(ours, theirs, rtol=1e-5, atol=0) and np.allclose(ours, lone, rtol=1e-3, atol=0)
    assert (tmp_path / "two/model" / WEIGHTS).exists()
    assert "6 of 6" in task.log(1).read_text(), "both were there"
    (folder,) = (tmp_path / "two/checkpoints").iterdir()
    for later in ("6", "4"):
        shutil.rmtree(folder / later)
    run(shards, tmp_path / "two", TWO, EACH_A_WINDOW | {"keep": 3})
    assert np.allclose(list(curve(tmp_path / "two").values()), lone, rtol=1e-3, atol=0)


def test_parts_of_a_batch_are_averaged() -> None:
    batch = {"x": jnp.arange(8.0).reshape(4, 2)}

    def compute(part: dict, key: jax.Array) -> tuple:
        return jnp.square(part["x"]).mean(), jax.random.normal(key)

    whole, _ = compute(batch, jax.random.key(0))
    parts, drawn = in_parts(compute, batch, jax.random.key(0), 2)
    own = [jax.random.normal(jax.random.fold_in(jax.random.key(0), part)) for part in range(2)]
    assert np.allclose(parts, whole) and np.allclose(drawn, np.mean(own))
    lines = str(jax.make_jaxpr(lambda key: in_parts(compute, batch, key, 1))(jax.random.key(0)))
    assert "scan" not in lines


@pytest.mark.parametrize(
    ("batch", "accumulate", "sequence", "said"),
    [
        (3, 2, None, "3 windows are not 2 equal parts"),
        (4, 1, 2, "do not divide over 1 devices"),
    ],
)
def test_what_does_not_divide_is_refused(batch: int, accumulate: int, sequence: int | None, said: str) -> None:
    recipe = TrainingConfig(batch=batch, accumulate=accumulate)
    with pytest.raises(InputError, match=said):
        training_mesh(recipe, LoopConfig(sequence=sequence))


@pytest.mark.long
def test_a_signal_to_one_process_stops_both(shards: Path, alone: Path, tmp_path: Path) -> None:
    own = job(shards, tmp_path, TWO, EACH_A_WINDOW)
    task = Task(own, None)
    own.write(task.file)
    address = f"localhost:{free_port()},2"
    workers = [
        subprocess.Popen(task.program(sys.executable, f"{address},{number}", 2), stderr=subprocess.PIPE, text=True)
        for number in range(2)
    ]
    deadline = time.monotonic() + 400
    while not list(tmp_path.glob("checkpoints/*/2.json")):
        assert time.monotonic() < deadline and workers[0].poll() is None
        time.sleep(0.02)
    workers[1].send_signal(signal.SIGUSR1)
    said = [worker.communicate(timeout=120)[1] for worker in workers]
    assert all("training stopped by a signal after step" in words for words in said)
    launched(Local(processes=2), task)
    assert np.allclose(list(curve(tmp_path).values()), list(curve(alone).values()), rtol=1e-3, atol=0)


@pytest.mark.long
def test_fifty_steps_on_any_mesh(shards: Path, tmp_path: Path) -> None:
    """(1,1), (2,1), (1,2) and (2,4); in parts; and from the middle on another mesh."""
    recipe = {"batch": 2, "steps": 50, "warmup": 10, "learning_rate": RECIPE["learning_rate"] / 10}
    loop = {"checkpoint_steps": 25}
    curves = {}
    for mesh, count, sequence in (("1x1", 1, 1), ("2x1", 2, 1), ("1x2", 2, 2), ("2x4", 8, 4)):
        out = tmp_path / mesh
        child = start(shards, out, {"recipe": recipe, "loop": loop | {"sequence": sequence}}, **devices(count))
        assert child.wait() == 0, child.stderr and child.stderr.read()
        curves[mesh] = list(curve(out).values())
        assert len(curves[mesh]) == 50 and np.allclose(curves[mesh], curves["1x1"], rtol=1e-3, atol=0), mesh
    other = tmp_path / "2x4"
    (folder,) = (other / "checkpoints").iterdir()
    shutil.rmtree(folder / "50")
    (other / "model/model.json").unlink()
    child = start(shards, other, {"recipe": recipe, "loop": loop | {"sequence": 2}}, **devices(2))
    assert child.wait() == 0 and np.allclose(list(curve(other).values()), curves["1x1"], rtol=1e-3, atol=0)
    parts = []
    for count in (1, 2):
        out = tmp_path / f"parts on {count}"
        own = recipe | {"batch": 4, "accumulate": 2, "steps": 20}
        child = start(shards, out, {"recipe": own, "loop": {"sequence": 1}}, **devices(count))
        assert child.wait() == 0, child.stderr and child.stderr.read()
        parts.append(list(curve(out).values()))
    assert np.allclose(*parts, rtol=1e-3, atol=0)
