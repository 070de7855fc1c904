"""The run on one page that opens offline: no scripts, no fonts, no pictures from anywhere else."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import yaml

from megabase.artifacts import write_text
from megabase.evaluation.config import ReportConfig
from megabase.genome.reference import Reference
from megabase.report import contents, headlines
from megabase.report.ablations import ablations as compared_models
from megabase.report.benchmarks import benchmark_tables
from megabase.report.loci import draw_loci
from megabase.report.quality import comparisons, quality

logger = logging.getLogger(__name__)

HELD_OUT = "held_out_share"
"""Metric of the summary's rows about windows."""


def write_report(
    title: str,
    config: Mapping[str, Any],
    manifests: Mapping[str, tuple[Path, Path]],
    records: list[Path],
    leakage: list[Path],
    metrics: Mapping[str, Path],
    evaluations: Mapping[str, Path],
    summary: Path,
    models: Mapping[str, Path],
    references: Mapping[str, Path],
    benchmarks: list[Path],
    out: Path,
    variants: Sequence[Path] = (),
    distillation: Sequence[Path] = (),
    ablations: Sequence[Path] = (),
    checks: Mapping[str, Path] | None = None,
    compared: Mapping[str, Path] | None = None,
    comparison: Sequence[Path] = (),
) -> None:
    """Writes one HTML file to `out`.

    `config` is the run's merged config as plain values; a config with a `world` is marked as a demo. `manifests` has
    the tables of files and of tracks by organism, `records` the store's block records, `leakage` the split reports;
    `metrics` the training logs, `evaluations` the folders of tables and `models` those with `model.json`, by model;
    `references` the reference folders by organism, and `benchmarks` the folders of Snakemake's timing tables.
    `variants` and `distillation` are the tables of planted variants and of students against teachers, where there are
    any, and `ablations` those of models against the ones that they are like; `evaluations` has the models with held-out
    windows alone. `checks` has the tables of quality and `compared` those of the manifest against the release, by
    organism. `comparison` has the tables of the paper's evaluations.
    """
    shown = ReportConfig(**(config.get("report") or {}))
    files = {organism: contents.read_rows(paths[0]) for organism, paths in manifests.items()}
    tracks = contents.track_rows(records, contents.observed_pictures(evaluations))
    timings = contents.timings(benchmarks)
    loci = {}
    for model, folder in evaluations.items():
        logger.info("drawing held-out windows of %s", model)
        with np.load(folder / "loci.npz") as archive:
            for organism in contents.organisms_of(archive):
                reference = Reference.open(references[organism])
                loci[model, organism] = draw_loci(
                    archive,
                    organism,
                    reference.genes(),
                    reference.exons(),
                    loci=shown.loci,
                    tracks_per_locus=shown.tracks_per_locus,
                )
    rows = contents.metric_rows(summary)
    students = headlines.student_rows(distillation)
    page = environment().get_template("page.html.j2")
    text = page.render(
        title=title,
        demo=config.get("world") is not None,
        made=datetime.datetime.now(datetime.UTC).strftime("%d %B %Y, %H:%M UTC"),
        files=files,
        tracks=tracks,
        bytes=sum(int(row.get("bytes") or 0) for rows in files.values() for row in rows),
        seconds=sum(row["seconds"] for row in timings),
        headlines=headlines.headlines(rows),
        scores=[row for row in rows if row["metric"] != HELD_OUT],
        held_out=[row for row in rows if row["metric"] == HELD_OUT],
        has_splicing=any(row["output_type"].startswith("SPLICE_") for row in rows),
        has_contacts=any(row["output_type"] == "CONTACT_MAPS" for row in rows),
        variants=headlines.variant_tables(variants, [row["student"] for row in students]),
        students=students,
        ablations=compared_models(ablations),
        names=headlines.NAMES,
        main_metrics=headlines.MAIN_METRICS,
        track_scores={model: contents.track_scores(folder / "tracks.tsv") for model, folder in evaluations.items()},
        baselines=contents.BASELINES,
        lower_is_better=contents.LOWER_IS_BETTER,
        loci=loci,
        profiles={
            model: contents.profile_charts(folder, shown.tracks_per_locus) for model, folder in evaluations.items()
        },
        losses={model: contents.loss_charts(path) for model, path in metrics.items()},
        splits=contents.splits(leakage),
        models={
            model: list(contents.facts(json.loads((folder / "model.json").read_text())))
            for model, folder in models.items()
        },
        timings=timings,
        quality=quality(checks or {}),
        comparisons=comparisons(compared or {}),
        comparison=benchmark_tables(comparison),
        versions=contents.versions(),
        config=yaml.safe_dump(json.loads(json.dumps(config, default=str)), sort_keys=False, allow_unicode=True),
        limit=contents.SHOWN_ROWS,
    )
    write_text(out, text)
    logger.info("written: %s (%.1f MB)", out, len(text) / 1e6)


def environment() -> jinja2.Environment:
    """The templates of this folder, with filters for numbers, sizes and times."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("megabase.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"size": _size, "number": _number, "duration": _duration}
    return made


def _size(count: float) -> str:
    """Bytes for people: `1.2 MB`."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} B"


def _number(value: Any, digits: int = 3) -> str:
    """A number for a table cell: plain where it can be, a dash where there is none."""
    if value is None or value == "" or value != value:
        return "–"
    number = float(value)
    if number != 0 and not 1e-3 <= abs(number) < 1e6:
        return f"{number:.{digits - 1}e}"
    return f"{number:,.{digits}f}" if abs(number) < 100 else f"{number:,.0f}"


def _duration(seconds: float) -> str:
    """`48 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
