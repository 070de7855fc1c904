"""The whole config: layers of YAML merged in order, checked once, and then plain frozen values.

Each section is a dataclass beside the module it configures; this file only puts them together. It is imported while
Snakemake parses, so it imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import pydantic
import yaml
from pydantic import Field

from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.evaluation.config import BenchmarksConfig, EvaluationConfig, ReportConfig
from megabase.evaluation.variant_sets.config import SetName, VariantSource
from megabase.genome.config import Organism, ReferenceKey
from megabase.model.config import NetworkConfig
from megabase.model.spec import at_resolutions
from megabase.portals.config import PortalsConfig, Query
from megabase.scoring.config import ScoringConfig
from megabase.settings import settings
from megabase.signal.config import SignalConfig
from megabase.signal.splicing.config import SplicingConfig
from megabase.simulate.config import WorldConfig
from megabase.store.config import ShardsConfig, StoreConfig
from megabase.training.config import DISTILLATION, LoopConfig, TrainedModel, TrainingConfig
from megabase.training.presets import PRESETS

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
    queries: dict[Name, list[Query]] = Field(default_factory=dict)
    """What the portals are asked for each organism that has no source table."""
    part_tracks: Annotated[int, Field(ge=2, multiple_of=2)] | None = None
    """Tracks that one job fetches and builds: neighbours in one block, whose size this divides; none: the block."""
    portals: PortalsConfig = Field(default_factory=PortalsConfig)
    """Where the portals are and how politely they are asked."""
    world: WorldConfig | None = None
    """The simulated genome and its assays; only in configs whose sources are simulated."""
    signal: SignalConfig = Field(default_factory=SignalConfig)
    """How source files become signal."""
    splicing: SplicingConfig = Field(default_factory=SplicingConfig)
    """How reads become splice junctions and the usage of splice sites."""
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
    pieces: dict[Name, list[Annotated[int, Field(ge=2)]]] = Field(default_factory=dict)
    """Entries of `models` whose test windows are also read in so many pieces: results of `{model}_in_{pieces}`."""
    scoring: ScoringConfig = Field(default_factory=ScoringConfig)
    """How variants are scored."""
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    """Metrics and baselines."""
    variant_sets: dict[SetName, VariantSource] = Field(default_factory=dict)
    """Published sets of variants to build, by name, and where their sources are."""
    benchmarks: BenchmarksConfig = Field(default_factory=BenchmarksConfig)
    """The paper's evaluations: sets of variants and other predictors."""
    report: ReportConfig = Field(default_factory=ReportConfig)
    """What the report shows."""

    @functools.cached_property
    def trained(self) -> dict[str, TrainedModel]:
        """Every single model: an entry of `models`, or each of its copies, which differ by their seed."""
        expanded: dict[str, TrainedModel] = {}
        for name, model in self.models.items():
            seed = int(model.training.get("seed", self.training.seed))  # type: ignore[arg-type]
            for copy, one in enumerate(self.copies(name)):
                own = {"seed": seed + copy} if model.copies > 1 else {}
                expanded[one] = dataclasses.replace(model, copies=1, training={**model.training, **own})
        return expanded

    def copies(self, name: str) -> list[str]:
        """The names of the single models of an entry of `models`."""
        count = self.models[name].copies
        return [name] if count == 1 else [f"{name}_{copy}" for copy in range(count)]

    def teachers(self, model: str) -> list[str]:
        """The frozen models that a student learns from; none for a model that learns from data."""
        own = self.trained[model]
        return self.copies(own.teachers)[: own.teacher_count] if own.teachers else []

    @property
    def benchmark_sets(self) -> dict[str, str]:
        """The sets of variants that benchmarks are of, by name: those that the config builds, and one's own files."""
        built = {name: f"{self.data}/{self.dataset}/variant_sets/{name}.parquet" for name in self.variant_sets}
        return built | self.benchmarks.sets

    @functools.cached_property
    def evaluations(self) -> dict[str, tuple[str, int]]:
        """Whose predictions are compared with data: models with held-out windows, and the number of pieces that each
        window is read in, by name."""
        made = {name: (name, 1) for name, model in self.trained.items() if model.fold != "all"}
        for entry, counts in self.pieces.items():
            for name in self.copies(entry):
                made |= {f"{name}_in_{count}": (name, count) for count in counts}
        return made

    @property
    def evaluated(self) -> list[str]:
        """The names of `evaluations`."""
        return list(self.evaluations)

    @functools.cached_property
    def bases(self) -> dict[str, str]:
        """What the result of a name of `evaluations` is compared with: that of the entry that its model is like, or,
        where windows are read in pieces, that of the same model on whole windows."""
        made = {}
        for name, (model, count) in self.evaluations.items():
            entry = next(entry for entry in self.models if model in self.copies(entry))
            like = self.models[entry].like
            base = model if count > 1 else self.copies(like)[0] if like else None
            if base in self.evaluations:
                made[name] = base
        return made

    @property
    def scoring_models(self) -> list[str]:
        """Models that variants are scored with: the students and, for comparison, their teachers."""
        students = [name for name, model in self.trained.items() if model.teachers]
        return [*students, *dict.fromkeys(teacher for student in students for teacher in self.teachers(student))]

    def recipe(self, model: str) -> TrainingConfig:
        """The training recipe of one model: the shared one, for students with what the paper does otherwise in
        distillation, and that model's own keys."""
        shared = pydantic.TypeAdapter(TrainingConfig).dump_python(self.training)
        taught = DISTILLATION if self.trained[model].teachers else {}
        return TrainingConfig(**_merge(shared | taught, self.trained[model].training))

    def blocks(self, organism: str, *, junctions: bool = False) -> list[tuple[str, int]]:
        """Every (bundle, block) of an organism, in order of the config: of signal and contact maps, or of junctions,
        which sites and usage follow from."""
        return self._pieces(organism, self.store.block_tracks, junctions)

    def parts(self, organism: str, *, junctions: bool = False) -> list[tuple[str, int]]:
        """Every (bundle, part) of an organism, likewise: a part is what one job fetches and builds."""
        return self._pieces(organism, self.part_size, junctions)

    def parts_of(self, organism: str, bundle: str, block: int) -> list[int]:
        """The parts that one block is put together from."""
        each = self.store.block_tracks // self.part_size
        last = -(-self.organisms[organism].bundles[bundle] // self.part_size)  # type: ignore[index]
        return list(range(block * each, min((block + 1) * each, last)))

    @property
    def part_size(self) -> int:
        """Tracks of a part."""
        return self.part_tracks or self.store.block_tracks

    def _pieces(self, organism: str, size: int, junctions: bool) -> list[tuple[str, int]]:
        return [
            (bundle, piece)
            for bundle, tracks in self.organisms[organism].bundles.items()
            if (bundle == "SPLICE_JUNCTIONS" if junctions else BUNDLES[bundle].kind != "splicing")
            for piece in range(-(-tracks // size))
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
        config = pydantic.TypeAdapter(Config).validate_python(_with_source_root(_with_likenesses(merged)))
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


def _with_likenesses(merged: Mapping[str, Any]) -> dict[str, Any]:
    """Models with the keys of their preset, and of the one that they are like, where they say nothing themselves."""
    models = merged.get("models")
    if not isinstance(models, Mapping):
        return dict(merged)

    def filled(model: Any) -> Any:
        if not isinstance(model, Mapping):
            return model
        base = models.get(model.get("like"))
        under = dict(base) if isinstance(base, Mapping) else {}
        preset = next((keys for name, keys in PRESETS.items() if name == model.get("preset")), {})
        return _merge(_merge(under, preset), model)

    return {**merged, "models": {name: filled(model) for name, model in models.items()}}


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
            for key in (*get_args(ReferenceKey), "truth", "variants", "common_variants"):
                if isinstance(organism.get(key), str) and ":" not in organism[key]:
                    organism[key] = os.path.normpath(os.path.join(base, organism[key]))
        rooted[name] = organism
    return {**merged, "organisms": rooted} | _rooted_sets(merged.get("variant_sets"), root)


def _rooted_sets(sets: Any, root: str) -> dict[str, Any]:
    """The sources of variant sets likewise."""
    if not isinstance(sets, Mapping):
        return {}
    rooted = {}
    for name, source in sets.items():
        files = source.get("files") if isinstance(source, Mapping) else None
        if isinstance(files, Mapping):
            own = {
                part: os.path.normpath(os.path.join(root, path)) if isinstance(path, str) and ":" not in path else path
                for part, path in files.items()
            }
            source = {**source, "files": own}
        rooted[name] = source
    return {"variant_sets": rooted}


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
    if config.store.block_tracks % config.part_size:
        raise InputError(
            f"parts of {config.part_size} tracks do not fill a block of {config.store.block_tracks}",
            where=_place(["part_tracks"], layers),
            remedy="set it to a divisor of store.block_tracks",
        )
    indices = sorted(organism.index for organism in config.organisms.values())
    if indices != list(range(len(indices))):
        where = _place(["organisms"], layers)
        raise InputError(f"organism indices are {indices}", where=where, remedy="number them 0, 1, ... without gaps")
    for name, own in config.organisms.items():
        if bool(own.sources) == bool(config.queries.get(name)):
            problem = "has no source files" if not own.sources else "has a source table and queries"
            raise InputError(
                f"`{name}` {problem}",
                where=_place(["organisms", name, "sources"], layers),
                remedy=f"give either organisms.{name}.sources or queries.{name}",
            )
    _check_pieces(config, layers)
    for set_name, source in config.variant_sets.items():
        if source.organism not in config.organisms:
            raise InputError(
                f"no organism `{source.organism}`",
                where=_place(["variant_sets", set_name, "organism"], layers),
                remedy=f"choose from {', '.join(config.organisms)}",
            )
    for name, model in config.models.items():
        for organism in model.organisms:
            if organism not in config.organisms:
                raise InputError(
                    f"no organism `{organism}`",
                    where=_place(["models", name, "organisms"], layers),
                    remedy=f"choose from {', '.join(config.organisms)}",
                )
            folds = len(config.organisms[organism].divisions)
            if model.fold != "all" and model.fold >= folds:
                raise InputError(
                    f"`{organism}` has no fold {model.fold}",
                    where=_place(["models", name, "fold"], layers),
                    remedy=f"choose from 0 to {folds - 1}, or add a fold to organisms.{organism}.folds",
                )
        if model.teachers and not _teaches(config, model):
            raise InputError(
                f"`{model.teachers}` cannot teach `{name}`",
                where=_place(["models", name, "teachers"], layers),
                remedy="name another entry of `models`, of the same organisms and fold, that learns from data",
            )
        if model.like and model.like not in config.models:
            raise InputError(
                f"no model `{model.like}`",
                where=_place(["models", name, "like"], layers),
                remedy=f"choose from {', '.join(config.models)}",
            )
        if model.start in config.models and not _begins(config, model):
            raise InputError(
                f"`{name}` cannot begin with `{model.start}`",
                where=_place(["models", name, "start"], layers),
                remedy="name an entry of `models` of the same fold, with one copy and no start of its own",
            )
        try:
            at_resolutions((), model.resolutions)
        except InputError as error:
            place = _place(["models", name, *error.where.split(".")], layers)
            raise InputError(error.what, where=place, remedy=error.remedy) from None
        if model.only and model.without:
            raise InputError(
                f"`{name}` names biosamples both ways",
                where=_place(["models", name, "without"], layers),
                remedy="give either `only` or `without`",
            )
        try:
            config.recipe(config.copies(name)[0])
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


def _check_pieces(config: Config, layers: list[Path]) -> None:
    """Only what is evaluated is read in pieces."""
    for name in config.pieces:
        if name not in config.models or config.models[name].fold == "all":
            raise InputError(
                f"no model `{name}` with held-out windows",
                where=_place(["pieces", name], layers),
                remedy=f"choose from {', '.join(own for own, model in config.models.items() if model.fold != 'all')}",
            )


def _teaches(config: Config, student: TrainedModel) -> bool:
    """Whether the entry that a student names has its organisms and fold, and learns from data."""
    teacher = config.models.get(student.teachers or "")
    if teacher is None or teacher.teachers or set(teacher.organisms) != set(student.organisms):
        return False
    # What a teacher was trained on, its student learns of.
    return teacher.fold == student.fold


def _begins(config: Config, model: TrainedModel) -> bool:
    """Whether the entry that a model starts from held out what this one holds out, and does not start from it."""
    origin = config.models[model.start or ""]
    return origin.fold == model.fold and origin.copies == 1 and origin.start is None and origin is not model
