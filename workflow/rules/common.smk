# Read before every stage: the checked config, the axes of the DAG, and the values that each stage depends on.
import dataclasses
import importlib
import sys
from types import SimpleNamespace

from megabase.config import parse as parse_config
from megabase.errors import InputError
from megabase.evaluation.benchmarks.registry import benchmarks
from megabase.evaluation.benchmarks.splits import SPLITS
from megabase.genome.config import GENOMES, REFERENCE_FILES
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
STUDENTS = [name for name, model in settings.trained.items() if model.teachers]
# A student, or several that differ in their seeds alone.
STUDENT_GROUPS = {name: settings.copies(name) for name, model in settings.models.items() if model.teachers}
# Those that an ablation is about: like another one, or several; and what they are like.
STUDIED = dict.fromkeys(
    student
    for name in STUDENT_GROUPS
    if settings.models[name].like or len(STUDENT_GROUPS[name]) > 1
    for student in (settings.models[name].like or name, name)
)
TEACHERS = sorted({teacher for student in STUDENTS for teacher in settings.teachers(student)})
FINETUNED = [name for name, model in settings.trained.items() if model.start and name not in STUDENTS + TEACHERS]
# Scored where the effects of variants are known: organisms of simulated worlds.
SCORED = [name for name, organism in settings.organisms.items() if organism.variants and STUDENTS]
# The paper's evaluations, by id, and the distilled model that variants are judged by.
BENCHMARKS = or_exit(benchmarks)
STUDENT = STUDENTS[0] if STUDENTS else ""

# Scores come with quantiles where it is known which variants are common.
CALIBRATED = [name for name, organism in settings.organisms.items() if organism.common_variants and STUDENTS]


pathvars:
    dataset=DATASET,
    results=RESULTS,


def any_of(names):
    """A pattern for these names; one that matches nothing for none."""
    return "|".join(names) or "(?!)"


wildcard_constraints:
    organism=any_of(settings.organisms),
    model=any_of(settings.trained),
    evaluation=any_of(settings.evaluations),
    fold=r"fold_\d+|all_folds",
    bundle="[A-Z_]+",
    block=r"\d{4}",
    part=r"\d{4}",
    split="train|valid|test",


def block_files(pattern, organisms=settings.organisms, kinds=(False, True)):
    """`pattern` for every block of the organisms: of signal (False) and of junctions (True)."""
    return [
        pattern.format(organism=organism, bundle=bundle, block=f"{block:04d}")
        for organism in organisms
        for junctions in kinds
        for bundle, block in settings.blocks(organism, junctions=junctions)
    ]


def organism_blocks(pattern, *kinds):
    """Input function: `pattern` for every block of the organism."""
    return lambda wildcards: block_files(pattern, [wildcards.organism], kinds or (False, True))


def part_files(pattern, organisms=settings.organisms, kinds=(False, True)):
    """`pattern` for every part of the organisms, what one job fetches and builds; kinds as for blocks."""
    return [
        pattern.format(organism=organism, bundle=bundle, part=f"{part:04d}")
        for organism in organisms
        for junctions in kinds
        for bundle, part in settings.parts(organism, junctions=junctions)
    ]


def organism_parts(pattern, *kinds):
    """Input function: `pattern` for every part of the organism."""
    return lambda wildcards: part_files(pattern, [wildcards.organism], kinds or (False, True))


def parts_of_block(pattern):
    """Input function: `pattern` for the parts of one block."""

    def files(wildcards):
        place = {"organism": wildcards.organism, "bundle": wildcards.bundle}
        parts = settings.parts_of(**place, block=int(wildcards.block))
        return [pattern.format(part=f"{part:04d}", **place) for part in parts]

    return files


def version(stage):
    """The version of a stage's code: a bump reruns the stage."""
    return importlib.import_module(f"megabase.{stage}").STAGE_VERSION


def plain(section):
    """A config section as plain values, for `params`."""
    return dataclasses.asdict(section)


def organism_keys(*keys):
    """Params function: these settings of the organism, so that a change of any other reruns nothing."""
    return lambda wildcards: {key: getattr(settings.organisms[wildcards.organism], key) for key in keys}


def memory(least, per_base):
    """Resource function: MB of a job on a genome; of a whole one, with so many bytes for each of its bases."""

    def megabytes(wildcards):
        assembly = settings.organisms[wildcards.organism].assembly
        return round(least + per_base * GENOMES.get(assembly, 0) / 1e6)

    return megabytes


def quantiles_of_model(wildcards):
    """Input function: the table of quantiles of a student; teachers have none."""
    calibrated = wildcards.model in STUDENTS and wildcards.organism in CALIBRATED
    return f"{RESULTS}/models/{wildcards.model}/quantiles.{wildcards.organism}.parquet" if calibrated else []


def quantile_tables():
    """The tables of quantiles of all students."""
    places = [(model, organism) for model in STUDENTS for organism in CALIBRATED]
    return [f"{RESULTS}/models/{model}/quantiles.{organism}.parquet" for model, organism in places]


def world_catalog():
    """What the simulated portals serve, where the sources are simulated."""
    return [f"{settings.source_root}/portals/catalog.json"] if settings.world else []


def reference_files(*keys):
    """Input function: the organism's own reference files; those behind a URL are fetched by the job."""

    def local(wildcards):
        given = [getattr(settings.organisms[wildcards.organism], key) for key in keys]
        return [path for path in given if path and ":" not in path]

    return local


def variant_set_files(wildcards):
    """Input function: the local files of a set of variants; those behind a URL are fetched by the job."""
    return [path for path in settings.variant_sets[wildcards.variant_set].files.values() if ":" not in path]


def source_table(wildcards):
    """Input function: the rows of all source files of an organism: pinned from the portals, or listed by hand, where
    where `rows_of_part` says whether those of a part have changed."""
    own = settings.organisms[wildcards.organism].sources
    return ancient(own) if own else f"{DATASET}/manifest/{wildcards.organism}.sources.tsv"


def files_of_part(wildcards):
    """Input function: the local source files of one part; none where they come from portals."""
    organism = settings.organisms[wildcards.organism]
    if not organism.sources:
        return []
    return or_exit(sources.block_files, organism, wildcards.bundle, int(wildcards.part), settings.part_size)


def rows_of_part(wildcards):
    """Params function: what a source table says of one part, so that other rows rerun nothing."""
    organism = settings.organisms[wildcards.organism]
    if not organism.sources:
        return None
    place = (wildcards.bundle, int(wildcards.part), settings.part_size)
    return [dataclasses.asdict(track) for track in or_exit(sources.block_tracks, organism, *place)]


def splicing_record(wildcards):
    """Input function: the splicing tables of an organism that has any."""
    organism = wildcards.organism
    return [f"{DATASET}/store/{organism}/splicing.json"] if settings.blocks(organism, junctions=True) else []


def places_of_windows(wildcards):
    """Input function: the reference of an organism that names the places of windows."""
    own = settings.organisms[wildcards.organism]
    return [f"{DATASET}/reference/{wildcards.organism}"] if own.intervals else []


def compared_tracks():
    """The comparisons of manifests with the release, of organisms that are in it."""
    released = [name for name, organism in settings.organisms.items() if organism.released]
    return [f"{DATASET}/manifest/{name}.compared.tsv" for name in released]


def released_manifest(wildcards):
    """Input function: files and released tracks, where the organism is in the release."""
    organism = wildcards.organism
    released = [f"{DATASET}/manifest/released/{organism}.tsv"] if settings.organisms[organism].released else []
    return [f"{DATASET}/manifest/{organism}.files.tsv", *released] if released else []


def fold_of(wildcards):
    """The fold that a folder of shards is named after, as the config writes it."""
    return "all" if wildcards.fold == "all_folds" else int(wildcards.fold.removeprefix("fold_"))


def shard_files(*splits, models=settings.trained):
    """The windows of these models in every organism they learn from; models of one fold share theirs."""
    places = [
        (organism, settings.trained[model].fold_name)
        for model in models
        for organism in settings.trained[model].organisms
    ]
    return [
        f"<dataset>/shards/{organism}/{fold}/{split}.zarr"
        for organism, fold in dict.fromkeys(places)
        for split in splits or ("train", "valid", "test")
    ]


def model_shards(*splits):
    """Input function: the windows of one model."""
    return lambda wildcards: shard_files(*splits, models=[wildcards.model])


def evaluated(function):
    """Input function: that of the model behind the name of an evaluation."""
    return lambda wildcards: function(SimpleNamespace(model=settings.evaluations[wildcards.evaluation][0]))


def model_files(wildcards):
    """Input function: what describes a model, and its weights."""
    return [f"<results>/models/{wildcards.model}/{file}" for file in ("model.json", "weights.safetensors")]


def scores_of(models, organism):
    """The scores of variants by several models."""
    return [f"<results>/scores/{model}/{organism}.parquet" for model in models]


def teacher_files(wildcards):
    """Input function: the weights of a student's teachers, and what describes them."""
    return [
        f"<results>/models/{teacher}/{file}"
        for teacher in settings.teachers(wildcards.model)
        for file in ("weights.safetensors", "model.json")
    ]


def start_files(wildcards):
    """Input function: what describes the model that a model begins with, and its weights; nothing for most."""
    start = settings.trained[wildcards.model].start
    if not start:
        return []
    folder = f"<results>/models/{start}" if start in settings.models else start
    return [f"{folder}/model.json", f"{folder}/weights.safetensors"]


def references_of_model(wildcards):
    """Input function: the references of a model's organisms."""
    return [f"<dataset>/reference/{organism}" for organism in settings.trained[wildcards.model].organisms]


def truths_of_model(wildcards):
    """Input function: the true rates, where the organism is simulated."""
    organisms = [settings.organisms[name] for name in settings.trained[wildcards.model].organisms]
    return [organism.truth for organism in organisms if organism.truth]


def leakage_files():
    """The leakage reports of all folds."""
    return [path.replace("train.zarr", "leakage.json") for path in shard_files("train")]


def measured_models(names):
    """The models whose held-out windows these benchmarks are read from: of the fold that each names, where there is
    one, and else the first."""
    found = []
    for name in names:
        one = BENCHMARKS[name]
        if one.kind == "track" and one.measure:
            wanted = SPLITS[one.split].fold if one.split else ""
            whole = [model for model, pieces in settings.evaluations.values() if pieces == 1]
            own = [model for model in whole if f"FOLD_{settings.trained[model].fold}" == wanted]
            found += (own or whole)[:1]
    return list(dict.fromkeys(found))


def sets_of(names):
    """Sets that these benchmarks are of and that the config has."""
    return sorted({BENCHMARKS[name].source_set for name in names} & set(settings.benchmark_sets))


def planted_of(names):
    """Organisms with planted variants, if any of these benchmarks has a part that they stand for."""
    wanted = any(BENCHMARKS[name].kind == "variant" and BENCHMARKS[name].measure for name in names)
    return SCORED if wanted and settings.world else []


def benchmark_files(names):
    """Everything that these benchmarks are computed from, by the part it has."""
    models, sets, planted = measured_models(names), sets_of(names), planted_of(names)
    judged = [STUDENT] if STUDENT and (sets or planted) else []
    return {
        "measures": [f"<results>/evaluation/{model}/measures.tsv" for model in models],
        "models": [f"<results>/models/{model}/model.json" for model in models + judged],
        "scores": [f"<results>/scores/{STUDENT}/{organism}.parquet" for organism in planted],
        "planted": [settings.organisms[organism].variants for organism in planted],
        "sets": [settings.benchmark_sets[name] for name in sets],
        "set_scores": [f"<results>/scores/{STUDENT}/sets/{name}.parquet" for name in sets if STUDENT],
        "predictions": [path for name in sets for path in settings.benchmarks.predictions.get(name, {}).values()],
        "references": [f"<dataset>/reference/{organism}" for organism in (settings.organisms if sets else planted)],
    }


def benchmark_params(names):
    """What else they depend on: their own rows of the registry, and the settings."""
    return {
        "rows": [dataclasses.asdict(BENCHMARKS[name]) for name in names],
        "demo": settings.world is not None,
        "student": STUDENT,
        "benchmarks": plain(settings.benchmarks),
    }


def of_kind(kind):
    """The benchmarks of tracks, or of variants."""
    return [name for name, one in BENCHMARKS.items() if one.kind == kind]
