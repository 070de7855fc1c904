"""One score per variant, whoever gives it: the common table of models, baselines and controls.

Columns: `variant_id`, `predictor`, `score`. A baseline is anything that writes such a table: a program whose output is
read by an adapter, a table computed elsewhere, or a simple control.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from megabase.errors import InputError
from megabase.evaluation.benchmarks.programs import READERS
from megabase.evaluation.benchmarks.registry import Benchmark
from megabase.genome.annotation import unversioned

SCORE_COLUMNS = ("variant_id", "predictor", "score")

Scorer = Callable[[pd.DataFrame, pd.DataFrame, Benchmark], pd.Series]
"""Of variants (rows of a set), rows of a score table and a benchmark: a score for each variant, NaN where unscored."""


def model_scores(variants: pd.DataFrame, rows: pd.DataFrame, benchmark: Benchmark) -> pd.Series:
    """A model's score of each row of a set, by the `score` of the benchmark's family.

    `rows`: what `megabase.scoring.variants.score_variants` wrote.
    """
    score: Scorer = importlib.import_module(f"{__package__}.{benchmark.family}").score
    made = score(variants.reset_index(drop=True), rows[np.isfinite(rows["raw_score"])], benchmark)
    return made.reindex(range(len(variants))).set_axis(variants.index)


def read_scores(path: Path, predictor: str) -> pd.DataFrame:
    """A table computed elsewhere: TSV or Parquet with `variant_id` and `score`, a predictor's own name if it has none;
    or the annotated VCF of a program that `programs.py` knows.

    Raises InputError for a missing column and for a score that is not a number.
    """
    if path.suffix in (".vcf", ".gz") and predictor in READERS:
        return READERS[predictor](path)
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, sep="\t")
    for name in ("variant_id", "score"):
        if name not in table:
            raise InputError(f"no column {name}", where=path, remedy=f"have {', '.join(SCORE_COLUMNS)}")
    scores = pd.to_numeric(table["score"], errors="coerce")
    wrong = (scores.isna() & table["score"].notna()).to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"score: {table['score'].iloc[row]!r}", where=f"{path} row {row + 1}", remedy="give a number")
    made = pd.DataFrame({"variant_id": table["variant_id"].astype(str), "score": scores})
    return made.assign(predictor=table.get("predictor", predictor))[list(SCORE_COLUMNS)]


def placed(variants: pd.DataFrame, scores: pd.DataFrame) -> pd.Series:
    """The scores of one predictor at the rows of a set: of several of a variant, the largest in magnitude."""
    own = scores.assign(size=scores["score"].abs()).sort_values("size", kind="stable")
    return variants["variant_id"].map(own.groupby("variant_id")["score"].last())


def concerning(variants: pd.DataFrame, rows: pd.DataFrame, benchmark: Benchmark, scorer: str = "") -> pd.DataFrame:
    """Rows of the scorer that concern each variant, with `place`, the variant's row in the set.

    What `tracks` of the benchmark asks: `gene`, the variant's own gene (versions do not count); `tissue`, a track whose
    biosample, name or ontology term is the variant's group; `curie:X` and `target:X`, tracks of that term or target.
    """
    own = rows[rows["scorer"].astype(str) == (scorer or benchmark.scorer)]
    for condition in filter(None, benchmark.tracks.split(",")):
        key, _, value = condition.partition(":")
        if key in ("curie", "target"):
            own = own[own["ontology_curie" if key == "curie" else "target"].astype(str) == value]
    known = variants[["variant_id", "group", "gene_id"]].assign(place=np.arange(len(variants)))
    found = known.merge(own, on="variant_id", suffixes=("", "_of_row"))
    if "gene" in benchmark.tracks.split(","):
        found = found[gene_ids(found["gene_id"]) == gene_ids(found["gene_id_of_row"])]
    if "tissue" in benchmark.tracks.split(","):
        wanted = _plain(found["group"])
        names = [_plain(found[name]) for name in ("biosample", "track_name", "ontology_curie") if name in found]
        same = np.logical_or.reduce([(wanted == name).to_numpy() for name in names])
        found = found.iloc[np.flatnonzero(same)]
    return found


def largest(found: pd.DataFrame) -> pd.Series:
    """By place, the score of largest magnitude, with its sign."""
    own = found.assign(size=found["raw_score"].abs()).sort_values("size", kind="stable")
    return own.groupby("place")["raw_score"].last()


def mean(found: pd.DataFrame) -> pd.Series:
    """By place, the mean over tracks."""
    return found.groupby("place")["raw_score"].mean()


def gene_ids(genes: pd.Series) -> pd.Series:
    """Identifiers without their versions; of none, an empty one."""
    return genes.astype(object).fillna("").astype(str).map(unversioned)


def _plain(names: pd.Series) -> pd.Series:
    """Small letters and digits alone: `Brain_Cortex` and `brain cortex` are one."""
    return names.astype(object).fillna("").astype(str).str.lower().str.replace(r"[^a-z0-9]", "", regex=True)
