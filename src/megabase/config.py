"""The whole config: layers of YAML merged in order, checked once, and then plain frozen values.

Each section is a dataclass beside the module it configures; this file only puts them together. It is imported while
Snakemake parses, so it imports nothing heavy.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pydantic
import yaml
from pydantic import Field

from megabase.errors import InputError
from megabase.evaluation.config import EvaluationConfig, ReportConfig
from megabase.genome.config import Organism
from megabase.model.config import NetworkConfig
from megabase.settings import settings
from megabase.signal.config import SignalConfig
from megabase.simulate.config import WorldConfig
from megabase.store.config import ShardsConfig, StoreConfig
from megabase.training.config import LoopConfig, TrainedModel, TrainingConfig

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


@settings
class Config:
    """Everything one run of the workflow needs to know."""

    dataset: Name
    """Name of everything before training; its files are under `{data}/{dataset}`, shared by all runs on it."""
    run: Name
    """Name of everything after; its files are under `{results}/{run}`."""
    data: str = "data"
    """Folder of datasets."""
    results: str = "results"
    """Folder of runs."""
    source_root: str = "."
    """Folder that the paths of reference and source files start from."""
    organisms: Annotated[dict[Name, Organism], Field(min_length=1)]
    """The genomes, by name."""
    world: WorldConfig | None = None
    """The simulated genome and its assays; only in configs whose sources are simulated."""
    signal: SignalConfig = Field(default_factory=SignalConfig)
    """How source files become signal."""
    store: StoreConfig = Field(default_factory=StoreConfig)
    """Layout of the store."""
    shards: ShardsConfig = Field(default_factory=ShardsConfig)
    """Windows into the store."""
    model: NetworkConfig = Field(default_factory=NetworkConfig)
    """Size of the network."""
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    """The recipe shared by all models."""
    loop: LoopConfig = Field(default_factory=LoopConfig)
    """Checkpoints, logging and prefetching; nothing here changes the weights."""
    models: Annotated[dict[Name, TrainedModel], Field(min_length=1)]
    """The models to train, by name."""
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    """Metrics and baselines."""
    report: ReportConfig = Field(default_factory=ReportConfig)
    """What the report shows."""

    def recipe(self, model: str) -> TrainingConfig:
        """The training recipe of one model: the shared one with that model's own keys."""
        shared = pydantic.TypeAdapter(TrainingConfig).dump_python(self.training)
        return TrainingConfig(**(shared | self.models[model].training))

    def blocks(self, organism: str) -> list[tuple[str, int]]:
        """Every (bundle, block) of an organism, in order of the config."""
        size = self.store.block_tracks
        return [
            (bundle, block)
            for bundle, tracks in self.organisms[organism].bundles.items()
            for block in range(-(-tracks // size))
        ]


def load(paths: Iterable[str | Path]) -> Config:
    """The config of YAML layers, each merged over the one before.

    Raises InputError for a file that is not YAML, an unknown key, a value out of range, or keys that contradict.
    """
    files = [Path(path) for path in paths]
    merged: dict[str, Any] = {}
    for file in files:
        merged = _merge(merged, _read(file))
    return parse(merged, files)


def parse(merged: Mapping[str, Any], files: Iterable[str | Path] = ()) -> Config:
    """The config of an already merged mapping; `files` are its layers, searched to say where a bad key stands."""
    layers = [Path(file) for file in files]
    try:
        config = pydantic.TypeAdapter(Config).validate_python(_with_source_root(merged))
    except pydantic.ValidationError as error:
        raise _explained(error, layers) from None
    _check_references(config, layers)
    return config


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise InputError("no such file", where=file, remedy="give the path of a config file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file} line {mark.line + 1}" if mark else file
        raise InputError(f"not YAML: {getattr(error, 'problem', error)}", where=place, remedy="correct it") from None
    if not isinstance(content, dict):
        raise InputError("not a mapping of keys to values", where=file, remedy="start from config/demo.yaml")
    return content


def _merge(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged key by key, everything else is replaced: the rule Snakemake follows."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged


def _with_source_root(merged: Mapping[str, Any]) -> dict[str, Any]:
    """Organisms with the shared root filled in, so that every path is ready to open."""
    root = str(merged.get("source_root", "."))
    organisms = merged.get("organisms")
    if not isinstance(organisms, Mapping):
        return dict(merged)
    rooted: dict[str, Any] = {}
    for name, organism in organisms.items():
        if isinstance(organism, Mapping):
            organism = dict(organism)
            base = organism["source_root"] = os.path.join(root, str(organism.get("source_root", ".")))
            for key in ("fasta", "annotation", "excluded", "truth"):
                if isinstance(organism.get(key), str):
                    organism[key] = os.path.normpath(os.path.join(base, organism[key]))
        rooted[name] = organism
    return {**merged, "organisms": rooted}


def _explained(error: pydantic.ValidationError, layers: list[Path]) -> InputError:
    problems = error.errors(include_url=False)
    first = problems[0]
    path = [str(part) for part in first["loc"] if not str(part).startswith(("function-", "dict["))]
    path = [part for part in path if part != "[key]"]
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        what, remedy = f"unknown key `{path[-1]}`", _allowed_keys(path[:-1])
    elif first["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        what, remedy = "this key is missing", "add it; config/README.md says what it is"
    else:
        what = f"{first['input']!r} is not allowed: {first['msg'][0].lower()}{first['msg'][1:]}"
        remedy = "correct the value; config/README.md says what it may be"
    if len(problems) > 1:
        remedy += f" ({len(problems) - 1} more like it)"
    return InputError(what, where=_place(path, layers), remedy=remedy)


def _allowed_keys(section: list[str]) -> str:
    """The keys of the section that holds the unknown one, read from the schema."""
    schema = pydantic.TypeAdapter(Config).json_schema()
    node = schema
    for part in section:
        node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
        for option in [node, *node.get("anyOf", []), *node.get("allOf", [])]:
            if "$ref" in option:
                node = schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
    keys = sorted(node.get("properties", {}))
    return f"allowed here: {', '.join(keys)}" if keys else "remove it"


def _place(path: list[str], layers: list[Path]) -> str:
    """`file: key.path`, with the last layer that has the key (or, for a missing one, the section it belongs to)."""
    key = ".".join(path)
    for depth in range(len(path), 0, -1):
        for layer in reversed(layers):
            if _has(_read(layer), path[:depth]):
                return f"{layer}: {key}"
    return f"{layers[-1]}: {key}" if layers else f"config: {key}"


def _has(content: Any, path: list[str]) -> bool:
    for part in path:
        if isinstance(content, list) and part.isdigit() and int(part) < len(content):
            content = content[int(part)]
        elif isinstance(content, Mapping) and part in content:
            content = content[part]
        else:
            return False
    return True


def _check_references(config: Config, layers: list[Path]) -> None:
    """What one section says about another must be true."""
    indices = sorted(organism.index for organism in config.organisms.values())
    if indices != list(range(len(indices))):
        where = _place(["organisms"], layers)
        raise InputError(f"organism indices are {indices}", where=where, remedy="number them 0, 1, ... without gaps")
    for name, model in config.models.items():
        for organism in model.organisms:
            if organism not in config.organisms:
                raise InputError(
                    f"no organism `{organism}`",
                    where=_place(["models", name, "organisms"], layers),
                    remedy=f"choose from {', '.join(config.organisms)}",
                )
            folds = len(config.organisms[organism].folds)
            if model.fold >= folds:
                raise InputError(
                    f"`{organism}` has no fold {model.fold}",
                    where=_place(["models", name, "fold"], layers),
                    remedy=f"choose from 0 to {folds - 1}, or add a fold to organisms.{organism}.folds",
                )
        try:
            config.recipe(name)
        except (pydantic.ValidationError, TypeError) as error:
            detail = (
                error.errors()[0] if isinstance(error, pydantic.ValidationError) else {"loc": (), "msg": str(error)}
            )
            key = [str(part) for part in detail["loc"]]
            raise InputError(
                f"not a training setting: {detail['msg']}",
                where=_place(["models", name, "training", *key], layers),
                remedy=_allowed_keys(["training"]),
            ) from None
