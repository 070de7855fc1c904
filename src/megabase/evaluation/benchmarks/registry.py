"""What the paper evaluates: a row per evaluation in `resources/benchmarks.tsv`, read and checked.

Imports nothing heavy: the workflow reads it while Snakemake parses.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import megabase
from megabase.errors import InputError

TABLE = Path(megabase.__file__).resolve().parents[2] / "resources" / "benchmarks.tsv"

Kind = Literal["track", "variant"]
Status = Literal["established", "unknown"]
Model = Literal["fold", "student"]
LESS_IS_BETTER = ("profile_jsd",)
"""Metrics of which less is better."""
METRICS: dict[Kind, tuple[str, ...]] = {
    "track": (
        *("pearson", "profile_jsd", "count_pearson", "gene_across_tracks", "covr_spearman", "site_auprc"),
        *("ssu_pearson", "junction_auprc", "contact_pearson", "contact_difference"),
    ),
    "variant": (
        *("auprc", "tissue_auprc", "tissue_auroc", "tissue_spearman", "tissue_sign_auroc", "matched_auprc", "pearson"),
        *("lasso_pearson", "forest_auroc", "ebm_auprc"),
    ),
}
"""What a value may be, by kind; `docs/benchmarks.md` and `megabase.metrics` define each."""
SPLITS = (
    *("borzoi_fold_1", "enformer", "chrombpnet_fold_0", "chr1,3,5,7,9 within fold 1", "chr9,10 within fold 0"),
    *("test chromosomes", "all chromosomes", "train and test chromosomes", "CAGI5 train and test"),
)
"""Names of splits; `splits.py` says what each demands of a model."""
_COMPUTES = re.compile(r"^(def (score|value)\(variants|class \w+:\n(?s:.*)    def rows\(self\))", re.MULTILINE)
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}|unpinned: .+")
_REQUIRED = ("title", "modality", "source", "checksum", "aggregation", "split", "metric")
_PAPERS = ("published", "baseline", "baseline_value")
"""Asked of the paper's own evaluations, T and V, besides."""


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One evaluation of the paper."""

    id: str
    kind: Kind
    number: str
    """T1 to T24 and V1 to V26, in the order of the evaluation reference; another letter for one's own."""
    modality: str
    title: str
    family: str
    """The module of this package that computes it; none where nothing is known."""
    status: Status
    metric: str
    model: Model
    """`fold`: the pretrained model that held the windows out; `student`: the distilled model."""
    scorer: str
    tracks: str
    """Which rows of a score table concern a variant: `tissue`, `gene`, `curie:...`, `target:...`; all where empty."""
    aggregation: str
    split: str
    set: str
    """The set of variants, of which all count or, after a colon, one category (its `group`)."""
    source: str
    checksum: str
    """Of the source file without compression, or why there is none."""
    n: int | None
    positives: int | None
    random: float | None
    """What chance reaches; None where it is a share of positives that the paper does not give."""
    published: float | None
    """AlphaGenome's value."""
    baseline: str
    baseline_value: float | None
    measure: str
    """What of one's own run stands for it: `output type/resolution/metric` of held-out windows, or
    `modality/scorer` of planted variants; nothing where no part of a run does."""
    missing: str
    """What could not be found out."""
    reference: str

    @property
    def less_is_better(self) -> bool:
        """Whether a smaller value wins."""
        return self.metric in LESS_IS_BETTER

    @property
    def source_set(self) -> str:
        """The set of variants, whatever counts of it."""
        return self.set.partition(":")[0]

    @property
    def category(self) -> str:
        """What counts of the set; all of it where empty."""
        return self.set.partition(":")[2]

    @property
    def command(self) -> str:
        """What computes it."""
        return f"snakemake benchmark_{self.id}"


COLUMNS = tuple(field.name for field in dataclasses.fields(Benchmark))


@functools.cache
def benchmarks() -> dict[str, Benchmark]:
    """Every row of `resources/benchmarks.tsv`, by id."""
    return {one.id: one for one in read_benchmarks(TABLE)}


def families() -> tuple[str, ...]:
    """Modules that compute benchmarks: those of this package that score variants, or add up windows."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return tuple(path.stem for path in modules if _COMPUTES.search(path.read_text()))


def benchmark(name: str) -> Benchmark:
    """One evaluation. Raises InputError for a name that the registry does not have."""
    known = benchmarks()
    if name not in known:
        raise InputError(f"no benchmark `{name}`", where=TABLE, remedy=f"choose from {', '.join(known)}")
    return known[name]


def read_benchmarks(path: Path) -> list[Benchmark]:
    """The rows of a registry. Raises InputError that names the first row and key that is not as it must be."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        wrong = sorted(set(COLUMNS) ^ set(reader.fieldnames or ())) or ["their order"]
        raise InputError(f"columns differ: {', '.join(wrong)}", where=path, remedy=f"have {', '.join(COLUMNS)}")
    found: list[Benchmark] = []
    for number, row in enumerate(reader, 1):
        found.append(_checked(row, f"{path} row {number}"))
        for key in ("id", "number"):
            if [getattr(one, key) for one in found].count(row[key]) > 1:
                raise _wrong(f"`{row[key]}` is there twice", f"{path} row {number}", key, "give each row its own")
    return found


def _checked(row: Mapping[str, str | None], where: str) -> Benchmark:
    if None in row.values() or None in row:
        raise InputError("a column is missing or one is too many", where=where, remedy="separate columns by one tab")
    text = {key: str(value) for key, value in row.items()}
    kind = _one_of(text, "kind", get_args(Kind), where)
    status = _one_of(text, "status", get_args(Status), where)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", text["id"]):
        raise _wrong(f"{text['id']!r} is not a name", where, "id", "use small letters, digits and `_`")
    _one_of(text, "model", get_args(Model), where)
    if not re.fullmatch(r"[A-Z][0-9]+", text["number"]):
        raise _wrong(f"{text['number']!r} is not a number", where, "number", "give a capital letter and a number")
    for key, allowed in (("family", families()), ("metric", METRICS[kind]), ("split", SPLITS)):  # type: ignore[index]
        if text[key] or status == "established":
            _one_of(text, key, allowed, where)
    if status == "unknown" and not text["missing"]:
        raise _wrong("nothing is said", where, "missing", "say what is not known")
    if status == "established":
        of_variants = ("set", "scorer") if kind == "variant" else ()
        for key in (*_REQUIRED, *of_variants, *(_PAPERS if text["number"][0] in "TV" else ())):
            if not text[key]:
                raise _wrong("empty", where, key, "fill it in, or set the status to unknown and say what is missing")
    if text["checksum"] and not _CHECKSUM.fullmatch(text["checksum"]):
        raise _wrong(f"{text['checksum']!r}", where, "checksum", "give sha256:... or `unpinned: ` and the reason")
    numbers = {key: _number(text, key, where) for key in ("published", "baseline_value")}
    counts = {key: _count(text, key, where) for key in ("n", "positives")}
    if text["measure"] and text["measure"].count("/") != (2 if kind == "track" else 1):
        raise _wrong(f"{text['measure']!r}", where, "measure", "give type/resolution/metric or modality/scorer")
    random: float | None
    if text["random"] == "prevalence":
        known = counts["n"] and counts["positives"]
        random = counts["positives"] / counts["n"] if known else None  # type: ignore[operator]
    else:
        random = _number(text, "random", where)
    return Benchmark(**{**text, **numbers, **counts, "random": random})  # type: ignore[arg-type]


def _one_of(row: Mapping[str, str], key: str, allowed: tuple[str, ...], where: str) -> str:
    if row[key] not in allowed:
        raise _wrong(f"{row[key]!r} is not allowed", where, key, f"choose from {', '.join(allowed)}")
    return row[key]


def _number(row: Mapping[str, str], key: str, where: str) -> float | None:
    try:
        return float(row[key]) if row[key] else None
    except ValueError:
        raise _wrong(f"{row[key]!r} is not a number", where, key, "correct it") from None


def _count(row: Mapping[str, str], key: str, where: str) -> int | None:
    if row[key] and not row[key].isdigit():
        raise _wrong(f"{row[key]!r} is not a count", where, key, "give a whole number, or leave it empty")
    return int(row[key]) if row[key] else None


def _wrong(what: str, where: str, key: str, remedy: str) -> InputError:
    return InputError(f"{key}: {what}", where=where, remedy=remedy)
