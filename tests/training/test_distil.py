"""Students learn what their teachers predict for mutated windows, whoever teaches on which device."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lessons import LENGTH, SITES, batch_of, config_of, model_of
from small_run import run
from whole_loss import objective

from megabase.errors import InputError
from megabase.model.weights import export
from megabase.training.config import DISTILLATION, TrainingConfig
from megabase.training.distil import Distiller, Teachers, teaching_mesh
from megabase.training.losses import taught
from megabase.training.optimizer import schedule

ROWS = {"a": 0, "b": 1}
RECIPE = TrainingConfig(batch=1, steps=4, warmup=1, seed=1)
WEIGHTS = "weights.safetensors"

# Two devices, a window and a teacher for each: row by row what the teachers predict on their own. Then two devices that
# share each window: the shapes that one of them holds.
TWO_DEVICES = """
import json, sys
from pathlib import Path
import jax, numpy as np
from flax import nnx
from lessons import batch_of, config_of, model_of
from megabase.training.config import TrainingConfig
from megabase.training.distil import Distiller, Teachers, teaching_mesh
from megabase.training.step import make_mesh, on_mesh, one_hot
config, mesh = config_of("CAGE"), teaching_mesh(2)
folders = [Path(folder) for folder in sys.argv[1:]]
teachers = Teachers(folders, config, {"a": 0, "b": 1}, mesh)
distiller = Distiller(model_of(config), TrainingConfig(batch=2), mesh, teachers)
batch = batch_of(config, organisms=(0, 1))
with jax.set_mesh(mesh):
    asked = jax.jit(distiller._asked)(teachers.at(0), batch["sequence"], batch["organism_index"])
for row, seed in enumerate((10, 11)):
    graph, state = nnx.split(model_of(config, seed))
    one = one_hot(batch["sequence"][row : row + 1]), batch["organism_index"][row : row + 1]
    alone, _ = jax.jit(lambda state, *one: nnx.merge(graph, state)(*one))(state, *one)
    for name, values in alone["cage"].items():
        assert np.allclose(asked["cage"][name][row], values[0], atol=1e-4 * float(values.max())), name
print(json.dumps(dict(mesh.shape)))
batch = batch_of(config_of("CAGE", "CHIP_TF", "CONTACT_MAPS", "SPLICE_JUNCTIONS"), organisms=(0, 1))
placed = on_mesh(batch, make_mesh())
print(json.dumps(jax.tree.map(lambda x: x.addressable_shards[0].data.shape, placed)))
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two teachers that were never trained."""
    made = [tmp_path_factory.mktemp("teachers") / f"teacher_{copy}" for copy in range(2)]
    for copy, folder in enumerate(made):
        export(folder, model_of(config_of("CAGE"), 10 + copy), {"organisms": ROWS})
    return made


@pytest.fixture(scope="module")
def on_two_devices(folders: list[Path]) -> list[dict]:
    """What a process with two devices prints."""
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    command = [sys.executable, "-c", TWO_DEVICES, *map(str, folders)]
    made = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return [json.loads(line) for line in made.stdout.splitlines()]


def test_the_loss_is_least_where_the_student_agrees() -> None:
    """Of every head, at the teacher's own predictions, among them junctions with totals above the compression."""
    config = config_of("CAGE", "RNA_SEQ", "CONTACT_MAPS", "SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS")
    draw, index = np.random.default_rng(0), jnp.zeros(1, int)
    shape = (1, 512)
    tracks = {
        f"scaled_predictions_{r}bp": jnp.asarray(draw.gamma(1, 9, (1, 512 // r, 3)), jnp.float32) for r in (1, 128)
    }
    classes, usage = (draw.normal(size=(*shape, width)).astype(np.float32) for width in (5, 4))
    taken = {
        "cage": tracks,
        "rna_seq": tracks,
        "contact_maps": {"predictions": jnp.asarray(draw.normal(size=(1, 2, 2, 3)), jnp.float32)},
        "splice_sites_classification": {"logits": classes, "predictions": jax.nn.softmax(classes)},
        "splice_sites_usage": {"logits": usage, "predictions": jax.nn.sigmoid(usage).astype(jnp.float16)},
        "splice_sites_junction": {
            "predictions": jnp.asarray(draw.gamma(1, 20, (1, 3, 4, 4)), jnp.float32),
            "splice_junction_mask": np.ones((1, 3, 4, 4), bool),
        },
    }
    genes = np.zeros((1, 512, 2, 1), bool)
    genes[:, 100:200, 0] = True
    wanted, recipe = taught(taken, index, config.heads), TrainingConfig(multinomial_window=512)
    moved = jax.tree.map(lambda x: x * draw.uniform(0.7, 1.3, x.shape).astype(x.dtype) if x.dtype != bool else x, taken)
    losses = [
        objective(predictions, wanted, genes, index, config.heads, recipe, compressed=True)[1]
        for predictions in (taken, moved)
    ]
    assert losses[0].keys() == {*taken, "genes"}
    assert all(losses[0][head] < losses[1][head] for head in losses[0])


def test_teachers_take_turns_and_are_arguments_of_one_program(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, mesh = config_of("CAGE"), teaching_mesh(1)
    teachers = Teachers(folders, config, ROWS, mesh)
    distiller = Distiller(model_of(config, dropout=0.1), RECIPE, mesh, teachers)
    batch = batch_of(config)
    # The targets of the store are neither looked at nor needed.
    batch["targets"] = {}
    first = [sum(float(jnp.abs(x).sum()) for x in jax.tree.leaves(teachers.at(step))) for step in range(3)]
    assert first[0] == first[2] != first[1]
    text = distiller.program(batch)
    called = []
    monkeypatch.setattr(distiller, "_update_program", lambda *arguments: called.append(arguments) or arguments)
    for turn in (0, 1):
        distiller.update(distiller.initial, batch, turn)
        assert all(jax.tree.leaves(jax.tree.map(np.array_equal, called[turn][-1], teachers.at(turn))))
    swapped = Distiller(model_of(config, dropout=0.1), RECIPE, mesh, Teachers(folders[::-1], config, ROWS, mesh))
    assert swapped.program(batch) == text


def test_each_device_has_a_teacher_of_its_own(on_two_devices: list[dict]) -> None:
    assert on_two_devices[0] == {"data": 2, "sequence": 1}


def test_devices_divide_what_lies_along_the_window(on_two_devices: list[dict]) -> None:
    held = on_two_devices[1]
    half = LENGTH // 2
    assert held["sequence"] == [2, half] and held["organism_index"] == [2]
    assert held["targets"]["cage"] == [2, half, 3] and held["masks"]["cage"] == [2, half, 1]
    assert held["targets"]["chip_tf"] == [2, half // 128, 3]
    assert held["targets"]["contact_maps"] == [2, 1, 2, 3]
    assert held["targets"]["splice_sites_junction"] == [2, SITES // 2, SITES, 4]
    assert held["splice_site_positions"] == [2, 4, SITES]


def test_teachers_of_other_tracks_are_refused(folders: list[Path]) -> None:
    with pytest.raises(InputError, match="teacher_0: this teacher does not predict the student's tracks"):
        Teachers(folders, config_of("CAGE", "DNASE"), ROWS, teaching_mesh(1))


def test_the_paper_s_schedule_has_three_phases() -> None:
    rate = schedule(TrainingConfig(**DISTILLATION))
    assert np.allclose([rate(0), rate(2_500), rate(5_000), rate(125_000)], [0, 0.001, 0.002, 0.002])
    assert np.allclose([rate(187_500), rate(250_000)], [0.001, 0], atol=1e-9)
    short = schedule(TrainingConfig(**DISTILLATION | {"steps": 10, "warmup": 4, "constant": 100}))
    assert np.allclose(short(8), 0.002)


def test_a_student_goes_on_where_it_was(shards: Path, unbroken: Path, tmp_path: Path) -> None:
    teacher = unbroken
    recipe = {"steps": 6, "constant": 2}
    student = run(shards, tmp_path / "student", recipe=recipe, loop={"keep": 3}, teachers=[teacher])
    described = json.loads((student / "model.json").read_text())
    own = json.loads((teacher / "model.json").read_text())
    assert described["teachers"] == {teacher.name: own["weights_sha256"]} and own["teachers"] == {}
    assert described["fold"] == 0 and described["held_out"]["made"].keys() == {"valid", "test"}
    expected = (student / WEIGHTS).read_bytes()
    assert expected != (teacher / WEIGHTS).read_bytes()
    (checkpoints,) = (tmp_path / "student/checkpoints").iterdir()
    shutil.rmtree(checkpoints / "6")
    (student / "model.json").unlink()
    again = run(shards, tmp_path / "student", recipe=recipe, loop={"keep": 3}, teachers=[teacher])
    assert (again / WEIGHTS).read_bytes() == expected
    lines = [json.loads(line) for line in (tmp_path / "student/logs/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5, 6]
