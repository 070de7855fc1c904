"""Rows of the comparison: what the paper's model reaches, what ours does, and what simpler things do, on the same data.

A row is one predictor's value of one benchmark. `data` says of what: `demo`, a simulated world whose numbers say
nothing of the paper's; `own windows`, a run's own tracks on its own test windows; `set`, the benchmark's variants.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from megabase.artifacts import write_text
from megabase.evaluation.benchmarks import enhancers, statistics, supervised
from megabase.evaluation.benchmarks.controls import control_scores
from megabase.evaluation.benchmarks.registry import Benchmark, benchmark
from megabase.evaluation.benchmarks.scores import model_scores, placed, read_scores
from megabase.evaluation.benchmarks.sets import planted_set
from megabase.evaluation.benchmarks.splits import ANY, SPLITS, check_model, check_variants, fold_name
from megabase.evaluation.variant_sets.table import read_variant_set
from megabase.evaluation.variants import variant_scores
from megabase.genome.reference import Reference
from megabase.metrics.comparison import relative_improvement

logger = logging.getLogger(__name__)

_FACTS = ["benchmark", "number", "kind", "modality", "title", "status", "metric", "data", "model", "organism"]
_VALUES = ["predictor", "value", "lower", "upper", "n", "positives", "imputed", "random", "against", "relative"]
_PAPER = ["published", "baseline", "baseline_value", "published_relative", "held_out", "note", "command"]
RESULT_COLUMNS = [*_FACTS, *_VALUES, *_PAPER]
MODEL = "model"
CONSTANT = "track_mean"
_NOT_RIVALS = (MODEL, "oracle")


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What the benchmarks of a run are computed from; what is absent leaves rows without a value."""

    demo: bool
    """Whether the run is of a simulated world."""
    models: Mapping[str, Path]
    """`model.json` by name of model."""
    measures: Mapping[str, Path]
    """`measures.tsv` of models of single folds."""
    student: str = ""
    scores: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    """The student's scores of planted variants, by organism."""
    planted: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    """VCFs of planted variants, by organism."""
    references: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    sets: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    """Sets of variants by name."""
    set_scores: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    """The student's scores of the sets."""
    predictions: Mapping[str, Mapping[str, Path]] = dataclasses.field(default_factory=dict)
    """Score tables of other predictors: by set, then by predictor."""
    resamples: int = 200


def evaluate_benchmarks(names: Sequence[str], inputs: Inputs, out: Path) -> None:
    """Writes `RESULT_COLUMNS` of the named benchmarks: the model's row first, then what it is compared with.

    A benchmark that this run has nothing for has one row without a value, and `note` says what is missing.
    """
    rows = [row for name in names for row in _rows(benchmark(name), inputs)]
    table = pd.DataFrame(rows, columns=RESULT_COLUMNS)
    write_text(out, table.to_csv(sep="\t", index=False, float_format="%.6g"))
    logger.info("%d of %d benchmarks have a value", table[table["value"].notna()]["benchmark"].nunique(), len(names))


def _rows(one: Benchmark, inputs: Inputs) -> Iterator[dict[str, Any]]:
    made = list(_of_windows(one, inputs) if one.kind == "track" else _of_variants(one, inputs))
    for row in made:
        if row["predictor"] == MODEL:
            row |= _against(one, row, [other for other in made if other["organism"] == row["organism"]])
    if not made:
        yield _named(one, "", "", "") | {"note": _lacking(one)}
    yield from (_named(one, "", "", "") | row for row in made)


def _against(one: Benchmark, row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The best of what is compared with the model on the same data, and how much better the model is."""
    rivals = [other for other in rows if other["predictor"] not in _NOT_RIVALS and np.isfinite(other["value"])]
    if not rivals:
        return {}
    best = max(rivals, key=lambda other: -other["value"] if one.less_is_better else other["value"])
    return {"against": best["predictor"], "relative": _relative(one, row["value"], best["value"], row["random"])}


def _of_windows(one: Benchmark, inputs: Inputs) -> Iterator[dict[str, Any]]:
    """From the measures of the model whose fold the benchmark names, or else of the first."""
    if not one.measure or not inputs.measures:
        return
    described = {name: json.loads(inputs.models[name].read_text()) for name in inputs.measures}
    wanted = SPLITS[one.split].fold if one.split else ANY
    fitting = [name for name, own in described.items() if wanted in (ANY, fold_name(own))]
    if not fitting:
        return
    model = fitting[0]
    held_out = check_model(one, described[model])
    output_type, resolution, metric = one.measure.split("/")
    table = pd.read_csv(inputs.measures[model], sep="\t")
    wanted_rows = (table["output_type"] == output_type) & (table["resolution"] == int(resolution))
    table = table[wanted_rows & (table["metric"] == metric)]
    # A constant finds positives as often as they are there: of average precision it is what chance reaches.
    constant = table[table["predictor"] == CONSTANT].set_index("organism")["value"]
    for row in table[table["predictor"] != CONSTANT].to_dict("records"):
        note = f"{row['metric']} of {row['output_type']} at {row['resolution']} bp, n in {row['unit']}"
        values = {key: row[key] for key in ("predictor", "value", "lower", "upper", "n")}
        random = constant.get(row["organism"], np.nan) if metric.endswith("auprc") else 0.0
        said = held_out if not inputs.demo else "test windows of the model's own fold"
        made = _named(one, "demo" if inputs.demo else "own windows", model, str(row["organism"]))
        yield made | values | {"random": random, "held_out": said, "note": note}


def _of_variants(one: Benchmark, inputs: Inputs) -> Iterator[dict[str, Any]]:
    if one.source_set in inputs.sets:
        yield from _of_set(one, inputs)
    elif one.measure and inputs.demo and inputs.student:
        yield from _of_planted(one, inputs)


def _of_planted(one: Benchmark, inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Planted variants of a modality against their controls, in every organism that has them."""
    check_model(one, json.loads(inputs.models[inputs.student].read_text()))
    modality, scorer = one.measure.split("/")
    for organism, vcf in inputs.planted.items():
        scored = variant_scores(inputs.scores[organism], vcf)
        scored = scored[(scored["modality"] == modality) & (scored["scorer"] == scorer)].set_index("variant_id")
        variants = planted_set(vcf, organism)
        variants = variants[variants["variant_id"].isin(scored.index)].reset_index(drop=True)
        if variants.empty:
            continue
        if one.metric.startswith("tissue_"):
            variants = variants.assign(group="all")
        scores = {MODEL: variants["variant_id"].map(scored["score"])}
        imputed = int(variants["variant_id"].map(scored["imputed"]).sum())
        controls = _controls(one, variants, inputs.references[organism])
        note = f"planted variants: {modality}, scored by {scorer}"
        for name, series in {**scores, **controls}.items():
            row = _judged(one, variants, series, inputs.resamples)
            row |= {"imputed": imputed if name == MODEL else 0, "held_out": "planted; never trained on", "note": note}
            yield _named(one, "demo", inputs.student, organism) | row | {"predictor": name}


def _of_set(one: Benchmark, inputs: Inputs) -> Iterator[dict[str, Any]]:
    """A set of variants: the student, other predictors, controls. The unscored have the score 0 and are counted."""
    where = inputs.sets[one.source_set]
    variants = check_variants(one, read_variant_set(where).table, where)
    if one.category:
        variants = variants[variants["group"] == one.category]
    if variants.empty:
        return
    variants = variants.reset_index(drop=True)
    organism = str(variants["organism"].iloc[0])
    made = _named(one, "demo" if inputs.demo else "set", inputs.student, organism)
    made |= {"held_out": SPLITS[one.split].says}
    if one.source_set in inputs.set_scores:
        check_model(one, json.loads(inputs.models[inputs.student].read_text()))
        rows = pd.read_parquet(inputs.set_scores[one.source_set])
        if one.family == "enhancers":
            yield made | _filled(one, variants, enhancers.score(variants, rows, one), inputs, MODEL)
        elif one.family == "supervised" and one.metric in supervised.METRICS:
            row = {"value": supervised.value(variants, rows, one), "n": len(variants)}
            yield made | row | {"predictor": MODEL, "random": statistics.chance(one.metric, variants)}
        elif one.family != "supervised":
            yield made | _filled(one, variants, model_scores(variants, rows, one), inputs, MODEL)
    # What others learnt from their own scores has no protocol here, but for one that is judged like any score.
    rivals = inputs.predictions.get(one.source_set, {}) if one.metric in statistics.METRICS else {}
    for name, path in rivals.items():
        for predictor, own in read_scores(path, name).groupby("predictor", sort=False):
            yield made | _filled(one, variants, placed(variants, own), inputs, str(predictor))
    if organism in inputs.references:
        for name, series in _controls(one, variants, inputs.references[organism]).items():
            yield made | _filled(one, variants, series, inputs, name)


def _controls(one: Benchmark, variants: pd.DataFrame, reference: Path) -> dict[str, pd.Series]:
    """None where signs are judged, which no control tells."""
    judged = one.metric in statistics.METRICS and one.metric not in statistics.OF_POSITIVES
    return control_scores(variants, Reference.open(reference)) if judged else {}


def _filled(one: Benchmark, variants: pd.DataFrame, scores: pd.Series, inputs: Inputs, name: str) -> dict[str, Any]:
    row = _judged(one, variants, scores.fillna(0.0), inputs.resamples)
    return row | {"predictor": name, "imputed": int(scores.isna().sum())}


def _judged(one: Benchmark, variants: pd.DataFrame, scores: pd.Series, resamples: int) -> dict[str, Any]:
    table = variants.assign(score=scores.to_numpy(float))
    if one.metric in statistics.OF_POSITIVES:
        table = table[table["label"].fillna(False).astype(bool)]
    value, lower, upper = statistics.with_interval(statistics.METRICS[one.metric], table, resamples)
    counts = {"n": len(table), "positives": int(table["label"].fillna(False).astype(bool).sum())}
    return {"value": value, "lower": lower, "upper": upper, **counts, "random": statistics.chance(one.metric, table)}


def _named(one: Benchmark, data: str, model: str, organism: str) -> dict[str, Any]:
    facts = {key: getattr(one, key) for key in ("number", "kind", "modality", "title", "status", "metric", "command")}
    paper = {key: getattr(one, key) for key in ("published", "baseline", "baseline_value")}
    relative = np.nan
    if one.published is not None and one.baseline_value is not None and one.random is not None:
        relative = _relative(one, one.published, one.baseline_value, one.random)
    given = {"data": data, "model": model, "organism": organism} if data else {}
    return {"benchmark": one.id, **facts, **paper, "published_relative": relative, "note": "", **given}


def _relative(one: Benchmark, value: float, baseline: float, random: float) -> float:
    return relative_improvement(value, baseline, random, less_is_better=one.less_is_better)


def _lacking(one: Benchmark) -> str:
    if one.status == "unknown" or not (one.measure or one.set):
        return f"missing: {one.missing}"
    if one.metric == "ebm_auprc":
        return f"boosting machines are not learnt here: give benchmarks.predictions.{one.source_set}"
    if one.kind == "variant":
        return f"no set: give benchmarks.sets.{one.source_set}"
    return "this run has no such output type, or no model of that fold"
