"""A wrong config fails at once and says which key, in which file, and what is allowed."""

from __future__ import annotations

import collections
import csv
import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from megabase.config import Config, load
from megabase.errors import InputError
from megabase.model.config import NetworkConfig
from megabase.training.config import DISTILLATION

OVERLAYS = [["demo"], ["demo", "demo_long"], ["region"], ["paper"]]
RELEASED = {
    "human": {
        "ATAC": 167,
        "CAGE": 546,
        "DNASE": 305,
        "RNA_SEQ": 667,
        "PROCAP": 12,
        "CHIP_HISTONE": 1116,
        "CHIP_TF": 1617,
        "CONTACT_MAPS": 28,
        "SPLICE_SITES": 4,
        "SPLICE_SITE_USAGE": 734,
        "SPLICE_JUNCTIONS": 367,
    },
    "mouse": {
        "ATAC": 18,
        "CAGE": 188,
        "DNASE": 67,
        "RNA_SEQ": 173,
        "CHIP_HISTONE": 183,
        "CHIP_TF": 127,
        "CONTACT_MAPS": 8,
        "SPLICE_SITES": 4,
        "SPLICE_SITE_USAGE": 180,
        "SPLICE_JUNCTIONS": 90,
    },
}
"""Tracks of the release without padding (paper section 1.1)."""


@pytest.fixture
def layers(repo_root: Path) -> list[Path]:
    return [repo_root / "config/default.yaml", repo_root / "config/demo.yaml"]


def with_layer(layers: list[Path], tmp_path: Path, text: str) -> list[Path]:
    own = tmp_path / "own.yaml"
    own.write_text(text)
    return [*layers, own]


@pytest.mark.parametrize("names", OVERLAYS, ids=lambda names: names[-1])
def test_every_config_is_valid(repo_root: Path, names: list[str]) -> None:
    config = load(repo_root / f"config/{name}.yaml" for name in ["default", *names])
    assert isinstance(config, Config)
    for model in config.trained:
        assert config.recipe(model).steps >= 1
    assert config.dataset == names[-1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("training: {stepz: 5}", "own.yaml: training.stepz: unknown key `stepz`; allowed here: "),
        ("evaluations: {}", "own.yaml: evaluations: unknown key `evaluations`; allowed here: benchmarks, data"),
        ("training: {steps: 0}", "own.yaml: training.steps: 0 is not allowed: input should be greater than"),
        ("store: {codec: lzma}", "own.yaml: store.codec: 'lzma' is not allowed: input should be 'zstd-1'"),
        ("organisms: {human: {bundles: {RNA: 2}}}", "own.yaml: organisms.human.bundles.RNA"),
        ("organisms: {human: {index: 3}}", "organism indices are [1, 3]"),
        (
            "organisms: {human: {bundles: {SPLICE_JUNCTIONS: 5}}}",
            "5 SPLICE_JUNCTIONS make 10 tracks of SPLICE_SITE_US",
        ),
        ("organisms: {human: {sections: [[chr1], [chr2]]}}", "2 sections: there must be 8"),
        (
            "organisms: {human: {sources: mine.tsv}}",
            "own.yaml: organisms.human.sources: `human` has a source table",
        ),
        (
            "queries: {mouse: []}",
            "`mouse` has no source files; give either organisms.mouse.sources or queries.mouse",
        ),
        ("queries: {mouse: [{portal: fdn, bundle: CAGE}]}", "own.yaml: queries.mouse.0"),
        ("queries: {mouse: [{portal: recount3, bundle: RNA_SEQ}]}", "name the `projects` of recount3"),
        ("models: {fold_0: {organisms: [cow]}}", "own.yaml: models.fold_0.organisms: no organism `cow`"),
        ("models: {fold_0: {fold: 9}}", "own.yaml: models.fold_0.fold: `human` has no fold 9"),
        ("models: {fold_0: {training: {lr: 1}}}", "own.yaml: models.fold_0.training"),
        ("models: {student: {teachers: nobody}}", "own.yaml: models.student.teachers: `nobody` cannot teach `student`"),
        ("models: {student: {organisms: [human]}}", "models.student.teachers: `teacher` cannot teach `student`"),
        ("models: {fold_0: {teachers: student}}", "own.yaml: models.fold_0.teachers: `student` cannot teach `fold_0`"),
        ("part_tracks: 24", "own.yaml: part_tracks: parts of 24 tracks do not fill a block of 64"),
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
    config = load(with_layer(layers, tmp_path, "source_root: /somewhere\norganisms: {mouse: {fasta: genome.fa}}"))
    human, mouse = config.organisms["human"], config.organisms["mouse"]
    assert (human.truth, human.variants) == ("/somewhere/human/truth", "/somewhere/human/variants.vcf")
    assert (mouse.fasta, mouse.source_root) == ("/somewhere/genome.fa", "/somewhere/.")
    assert human.fasta == "references:/human/genome.fa.gz", "a URL is no path"


def test_copies_differ_by_their_seed_and_nothing_else(layers: list[Path]) -> None:
    config = load(layers)
    assert config.copies("teacher") == config.teachers("student") == ["teacher_0", "teacher_1"]
    assert "teacher" not in config.trained
    first, second = config.recipe("teacher_0"), config.recipe("teacher_1")
    assert (first.seed, second.seed) == (10, 11)
    assert dataclasses.replace(second, seed=10) == first
    assert config.trained["teacher_0"].fold_name == "all_folds"


def test_a_student_starts_from_the_papers_recipe_of_distillation(layers: list[Path], tmp_path: Path) -> None:
    own = "training: {batch: 3}\nmodels: {student: {training: {steps: 7}}}"
    config = load(with_layer(layers, tmp_path, own))
    recipe = config.recipe("student")
    assert (recipe.steps, recipe.batch) == (7, 3), "its own keys, then the shared ones"
    assert recipe.weight_decay == DISTILLATION["weight_decay"] == 0.04
    assert config.recipe("fold_0").batch == 3


def test_only_models_with_held_out_windows_are_evaluated_on_them(layers: list[Path]) -> None:
    config = load(layers)
    assert config.evaluated == ["fold_0", "fold_1", "fold_2", "fold_3"]
    assert config.scoring_models == ["student", "teacher_0", "teacher_1"]


def test_the_paper_config_is_the_papers(repo_root: Path, shared: Path) -> None:
    config = load(repo_root / f"config/{name}.yaml" for name in ("default", "paper"))
    assert {name: organism.bundles for name, organism in config.organisms.items()} == RELEASED
    assert [organism.tracks for organism in config.organisms.values()] == [5930, 1128]
    for name, counts in RELEASED.items():
        with open(shared / f"reference/tracks/{name}.tsv", newline="") as file:
            listed = csv.DictReader(file, delimiter="\t")
            rows = [row for row in listed if not row["name"].lower().startswith("padding")]
        assert collections.Counter(row["output_type"] for row in rows) == counts
        pinned = [one for query in config.queries[name] if query.portal == "fdn" for one in query.accessions]
        assert [f"4dn:{one}" for one in pinned] == [r["name"] for r in rows if r["output_type"] == "CONTACT_MAPS"]
        asked = {query.bundle for query in config.queries[name]}
        assert asked == {bundle for bundle in counts if bundle not in ("SPLICE_SITES", "SPLICE_SITE_USAGE")}
    assert config.model == NetworkConfig.paper() and config.model.dtype == "bfloat16"
    assert (config.shards.window, config.shards.max_shift) == (1_048_576, 1024)
    assert len(config.teachers("student")) == 64
    assert len({config.recipe(teacher).seed for teacher in config.teachers("student")}) == 64
    pretrained, student = config.recipe("fold_0"), config.recipe("student")
    assert (pretrained.steps, pretrained.batch, pretrained.learning_rate) == (15_000, 64, 0.004)
    assert (pretrained.warmup, pretrained.constant, pretrained.weight_decay) == (5_000, 0, 0.4)
    assert (pretrained.dropout, pretrained.gene_weight, pretrained.clip_norm) == (0.3, 0.1, None)
    assert (student.steps, student.batch, student.learning_rate) == (250_000, 64, 0.002)
    assert (student.warmup, student.constant, student.weight_decay, student.dropout) == (5_000, 120_000, 0.04, 0.1)
    assert (student.mutation_rate, student.structural_variants) == (0.04, 1.0)
    human = config.organisms["human"].divisions
    assert [(fold.valid, fold.test) for fold in human] == [
        (["fold0"], ["fold1"]),
        (["fold3"], ["fold4"]),
        (["fold2"], ["fold5"]),
        (["fold6"], ["fold7"]),
    ]


def test_no_demo_value_survives_in_the_paper_config(repo_root: Path) -> None:
    """Neither by inheritance nor by copy: what both say at one place is true of any dataset, and listed here."""
    paper, demo = (
        dict(leaves(dataclasses.asdict(load(repo_root / f"config/{one}.yaml" for one in ("default", name)))))
        for name in ("paper", "demo")
    )
    given = dict(leaves(yaml.safe_load((repo_root / "config/demo.yaml").read_text())))
    same = {place for place, value in given.items() if place in paper and paper[place] == demo[place] == value}
    neutral = r"organisms\.\w+\.(index|bundles\.SPLICE_SITES|chromosomes\.\d+)|queries\.\w+\.\d+\.(portal|bundle)"
    neutral += r"|signal\.bam_index|store\.block_tracks|shards\.max_shift|models\.\w+\.(fold|teachers|organisms\.\d+)"
    assert [place for place in sorted(same) if not re.fullmatch(neutral, place)] == []
    assert not [place for place, value in paper.items() if "demo" in str(value).lower() and "{" not in str(value)]
    assert all(paper[place] is None for place in ("world", "organisms.human.truth", "organisms.human.variants"))


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every plain value with its dotted place."""
    if isinstance(value, dict | list):
        named = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in named:
            yield from leaves(inner, f"{path}.{key}".lstrip("."))
    else:
        yield path, value


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
