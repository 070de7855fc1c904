"""Folds and teachers are one program: compiled once, by one of the processes that need it, on the cores they have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lessons import batch_of, config_of, model_of

from megabase.training.config import TrainingConfig
from megabase.training.step import Trainer, make_mesh

# A program with a compilation long enough to be kept, between `ready` and `go`, so that processes start at once.
CHILD = """
import sys, time
from pathlib import Path
from megabase.training.config import LoopConfig
from megabase.training.programs import Program, prepare
own, cache, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
prepare(LoopConfig(compilation_cache=cache, threads=threads))
import jax, jax.numpy as jnp
events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
def slow(x):
    for i in range(60):
        x = jnp.sort(x * (i + 1.5), axis=i % 2) @ x
    return x
x = jnp.ones((8, 8))
(own / "ready").touch()
while not (own.parent / "go").exists():
    time.sleep(0.01)
events.clear()  # those of small programs
Program(slow)(x)
seen = [event.rsplit("/", 1)[1] for event in events if "compilation_cache/cache_" in event]
used, wall = time.process_time(), time.monotonic()
many = jax.jit(lambda x: jnp.sin(x).sum())
for _ in range(20):
    many(jnp.ones(3_000_000)).block_until_ready()
share = (time.process_time() - used) / (time.monotonic() - wall)
print(*seen, share)
"""


def start(own: Path, cache: Path, threads: int = 1) -> subprocess.Popen[str]:
    own.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "JAX_COMPILATION_CACHE_DIR"}
    command = [sys.executable, "-c", CHILD, str(own), str(cache), str(threads)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def wait_for(path: Path, child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.01)


def test_models_that_differ_by_seed_are_one_program() -> None:
    config = config_of("CAGE", "SPLICE_SITES", "SPLICE_JUNCTIONS")
    texts = []
    for seed in (0, 1):
        trainer = Trainer(model_of(config, seed, 0.1), TrainingConfig(batch=1, seed=seed), make_mesh())
        texts.append(trainer.program(batch_of(config, seed)))
    assert texts[0] == texts[1]
    other = Trainer(model_of(config, 0, 0.2), TrainingConfig(batch=1), make_mesh())
    assert other.program(batch_of(config)) != texts[0]


def test_one_process_compiles_and_the_others_read(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    children = [start(tmp_path / name, cache) for name in "ab"]
    for name, child in zip("ab", children, strict=True):
        wait_for(tmp_path / name / "ready", child)
    (tmp_path / "go").touch()
    said = [child.communicate(timeout=120)[0].split() for child in children]
    assert all(child.returncode == 0 for child in children)
    assert len(list(cache.glob("jit_slow-*-cache"))) == 1
    assert sorted("cache_hits" in words for words in said) == [False, True]


def test_a_dead_process_holds_up_nobody(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (tmp_path / "go").touch()
    holder = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True)"
    first = start(tmp_path / "a", cache)
    assert first.wait(120) == 0
    (lock,) = cache.glob("*.lock")
    dead = subprocess.Popen(
        [sys.executable, "-c", f"{holder}; time.sleep(600)", str(lock)], stdout=subprocess.PIPE, text=True
    )
    assert dead.stdout is not None and dead.stdout.readline()
    waiting = start(tmp_path / "b", cache)
    wait_for(tmp_path / "b" / "ready", waiting)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(2)
    dead.send_signal(signal.SIGKILL)
    assert waiting.wait(120) == 0


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_job_of_one_core_uses_one(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    child = start(tmp_path / "a", tmp_path / "cache")
    share = float(child.communicate(timeout=120)[0].split()[-1])
    assert child.returncode == 0 and share < 1.25
