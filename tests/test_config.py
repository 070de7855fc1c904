"""A wrong config fails at once and says which key, in which file, and what is allowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from megabase.config import Config, load
from megabase.errors import InputError
from megabase.model.config import NetworkConfig

OVERLAYS = ["demo", "region"]


@pytest.fixture
def layers(repo_root: Path) -> list[Path]:
    return [repo_root / "config/default.yaml", repo_root / "config/demo.yaml"]


def with_layer(layers: list[Path], tmp_path: Path, text: str) -> list[Path]:
    own = tmp_path / "own.yaml"
    own.write_text(text)
    return [*layers, own]


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_config_is_valid(repo_root: Path, name: str) -> None:
    config = load([repo_root / "config/default.yaml", repo_root / f"config/{name}.yaml"])
    assert isinstance(config, Config)
    for model in config.models:
        assert config.recipe(model).steps >= 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("training: {stepz: 5}", "own.yaml: training.stepz: unknown key `stepz`; allowed here: batch"),
        ("evaluations: {}", "own.yaml: evaluations: unknown key `evaluations`; allowed here: data"),
        ("training: {steps: 0}", "own.yaml: training.steps: 0 is not allowed: input should be greater than"),
        ("store: {codec: lzma}", "own.yaml: store.codec: 'lzma' is not allowed: input should be 'zstd-1'"),
        ("organisms: {demo: {bundles: {RNA: 2}}}", "own.yaml: organisms.demo.bundles.RNA"),
        ("organisms: {demo: {index: 3}}", "organism indices are [3]"),
        ("models: {fold_0: {organisms: [cow]}}", "own.yaml: models.fold_0.organisms: no organism `cow`"),
        ("models: {fold_0: {fold: 9}}", "own.yaml: models.fold_0.fold: `demo` has no fold 9"),
        ("models: {fold_0: {training: {lr: 1}}}", "own.yaml: models.fold_0.training"),
        ("run: 'a b'", "own.yaml: run: 'a b' is not allowed"),
        ("- a list", "own.yaml: not a mapping"),
        ("a: [", "own.yaml line 1: not YAML"),
    ],
)
def test_bad_configs_are_explained_in_one_line(layers: list[Path], tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        load(with_layer(layers, tmp_path, text))
    message = str(caught.value)
    assert says in message
    assert "\n" not in message


def test_a_missing_key_names_its_file(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("dataset: a\nrun: b\nmodels: {m: {organisms: [x], fold: 0}}\n")
    with pytest.raises(InputError, match=r"own\.yaml: organisms: this key is missing"):
        load([own])


def test_source_root_reaches_every_path(layers: list[Path], tmp_path: Path) -> None:
    config = load(with_layer(layers, tmp_path, "source_root: /somewhere"))
    organism = config.organisms["demo"]
    assert (organism.fasta, organism.source_root) == ("/somewhere/genome.fa", "/somewhere/.")


def test_the_model_presets_share_their_ratios() -> None:
    paper, demo = NetworkConfig.paper(), NetworkConfig.demo()
    assert paper.channels + 6 * paper.channel_step == 1536
    assert demo.channels + 6 * demo.channel_step == 64


def test_reading_a_config_imports_nothing_heavy() -> None:
    program = "import sys, megabase.config, megabase.portals.sources\nprint(' '.join(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"jax", "zarr", "pandas", "numpy", "tensorstore", "flax", "pysam"}
