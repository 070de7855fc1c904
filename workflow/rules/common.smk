# Read before every stage: the checked config, the axes of the DAG, and the values that each stage depends on.
import dataclasses
import importlib
import sys

from megabase.config import parse as parse_config
from megabase.errors import InputError
from megabase.portals import sources


def or_exit(function, *arguments):
    """The result of `function`; what is wrong with the user's files ends the run in one line."""
    try:
        return function(*arguments)
    except InputError as error:
        sys.exit(f"error: {error}")


settings = or_exit(parse_config, config, workflow.configfiles)
DATASET = f"{settings.data}/{settings.dataset}"
RESULTS = f"{settings.results}/{settings.run}"


pathvars:
    dataset=DATASET,
    results=RESULTS,


wildcard_constraints:
    organism="|".join(settings.organisms),
    model="|".join(settings.models),
    bundle="[A-Z_]+",
    block=r"\d{4}",
    split="train|valid|test",


def block_files(pattern, organisms=settings.organisms):
    """`pattern` for every block of the organisms."""
    return [
        pattern.format(organism=organism, bundle=bundle, block=f"{block:04d}")
        for organism in organisms
        for bundle, block in settings.blocks(organism)
    ]


def organism_blocks(pattern):
    """Input function: `pattern` for every block of the organism."""
    return lambda wildcards: block_files(pattern, [wildcards.organism])


def version(stage):
    """The version of a stage's code: a bump reruns the stage."""
    return importlib.import_module(f"megabase.{stage}").STAGE_VERSION


def shard_files(splits=("train", "valid", "test")):
    """The windows of every model in every organism it learns from."""
    return [
        f"<dataset>/shards/{organism}/{model}/{split}.zarr"
        for model, trained in settings.models.items()
        for organism in trained.organisms
        for split in splits
    ]


def model_shards(*splits):
    """Input function: the windows of one model."""
    return lambda wildcards: [path for path in shard_files(splits) if f"/{wildcards.model}/" in path]


def organism_keys(*keys):
    """Params function: these settings of the organism, so that a change of any other reruns nothing."""
    return lambda wildcards: {key: getattr(settings.organisms[wildcards.organism], key) for key in keys}


def plain(section):
    """A config section as plain values, for `params`."""
    return dataclasses.asdict(section)


def files_of_block(wildcards):
    """Input function: the source files of one block."""
    organism = settings.organisms[wildcards.organism]
    place = (wildcards.bundle, int(wildcards.block), settings.store.block_tracks)
    return or_exit(sources.block_files, organism, *place)


def rows_of_block(wildcards):
    """Params function: what the source table says of one block, so that other rows rerun nothing."""
    organism = settings.organisms[wildcards.organism]
    place = (wildcards.bundle, int(wildcards.block), settings.store.block_tracks)
    return [dataclasses.asdict(track) for track in or_exit(sources.block_tracks, organism, *place)]


def world_files():
    """Every file of the simulated world: references, source files and the indices beside alignments."""
    files = []
    for organism in settings.organisms.values():
        listed = or_exit(sources.read_sources, organism.sources, organism.source_root)
        paths = {path for source in listed for path in source.paths}
        files += [organism.fasta, organism.annotation, *sorted(paths)]
        files += sorted(f"{path}.bai" for path in paths if path.endswith(".bam"))
    return files


def fold_of_model(wildcards):
    """Params function: the regions a model's windows are cut from."""
    fold = settings.models[wildcards.model].fold
    return plain(settings.organisms[wildcards.organism].folds[fold])


def references_of_model(wildcards):
    """Input function: the references of a model's organisms."""
    return [f"<dataset>/reference/{organism}" for organism in settings.models[wildcards.model].organisms]


def truths_of_model(wildcards):
    """Input function: the true rates, where the organism is simulated."""
    organisms = [settings.organisms[name] for name in settings.models[wildcards.model].organisms]
    return [organism.truth for organism in organisms if organism.truth]


def leakage_files():
    """The leakage reports of all models."""
    return [path.replace("train.zarr", "leakage.json") for path in shard_files(["train"])]
