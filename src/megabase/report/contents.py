"""What the page says, read from the files of the run into plain rows."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import megabase
from megabase.report.drawing import Series, line_chart, sparkline
from megabase.report.headlines import MAIN_METRICS

LOWER_IS_BETTER = ("mse", "mae")
BASELINES = ("track_mean", "local_gc", "ridge", "distance", "gt_ag")
SHOWN_ROWS = 400
"""Rows of a table on the page at most; the files themselves have all."""

_PACKAGES = ("jax", "flax", "optax", "zarr", "tensorstore", "alphagenome", "snakemake", "numpy", "pandas")


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a tab-separated table with a header."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def metric_rows(summary: Path) -> list[dict[str, Any]]:
    """The summary's rows, each with `best`: the predictor that wins among the model (`value`) and its baselines."""
    rows: list[dict[str, Any]] = []
    for row in read_rows(summary):
        contest = {name: float(row[name]) for name in ("value", *BASELINES) if row.get(name)}
        sign = -1 if row["metric"] in LOWER_IS_BETTER else 1
        best = max(contest, key=lambda name: sign * contest[name]) if contest else None
        rows.append({**row, "best": best})
    return rows


def track_scores(table: Path) -> list[dict[str, Any]]:
    """Pearson and auPRC of every track at every resolution: the model's with its interval, and the ridge's and the
    oracle's."""
    rows = [row for row in read_rows(table) if row["metric"] in MAIN_METRICS]
    scores: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("organism", "output_type", "track", "strand", "resolution", "metric"))
        score = scores.setdefault(key, {**row, "value": "", "lower": "", "upper": ""})
        if row["predictor"] == "model":
            score |= {name: row[name] for name in ("value", "lower", "upper")}
        else:
            score[row["predictor"]] = row["value"]
    return list(scores.values())


def track_rows(records: list[Path], pictures: Mapping[tuple[str, str, str, str], np.ndarray]) -> list[dict[str, Any]]:
    """One row per stored track, with a picture of its observed values in a held-out window where there is one."""
    rows = []
    for path in records:
        record = json.loads(path.read_text())
        organism = record.get("organism") or path.parent.name
        for track in record["tracks"]:
            metadata = track.get("metadata") or {}
            flat = {**metadata, **track, "organism": organism, "bundle": record["bundle"]}
            key = (organism, record["bundle"], str(flat.get("track", "")), str(flat.get("strand", ".")))
            covered = track.get("covered")
            flat["region"] = "whole genome" if covered is None else ", ".join(_region(*place) for place in covered)
            flat["picture"] = sparkline(pictures[key]) if key in pictures else ""
            rows.append(flat)
    return rows


def observed_pictures(evaluations: Mapping[str, Path]) -> dict[tuple[str, str, str, str], np.ndarray]:
    """Observed values of the first kept window, by (organism, bundle, track, strand)."""
    found: dict[tuple[str, str, str, str], np.ndarray] = {}
    for folder in evaluations.values():
        with np.load(folder / "loci.npz") as archive:
            for organism in organisms_of(archive):
                for bundle, tracks in json.loads(str(archive[f"{organism}/tracks"])).items():
                    name = f"{organism}/0/{bundle}/observed"
                    if bundle == "CONTACT_MAPS" or name not in archive:
                        continue
                    values = archive[name]
                    for column, row in enumerate(tracks):
                        found.setdefault((organism, bundle, row["track"], row["strand"]), values[:, column])
    return found


def organisms_of(archive: Mapping[str, np.ndarray]) -> list[str]:
    """Organisms that an evaluation's `loci.npz` is about."""
    return [name.removesuffix("/loci") for name in archive if name.endswith("/loci")]


def splits(leakage: list[Path]) -> list[dict[str, Any]]:
    """Each leakage report (`shards/{organism}/{fold}/leakage.json`) as pairs of key and value."""
    return [
        {
            "organism": path.parent.parent.name,
            "fold": path.parent.name,
            "facts": list(facts(json.loads(path.read_text()))),
        }
        for path in leakage
    ]


def loss_charts(metrics: Path) -> list[dict[str, Any]]:
    """One chart per loss of a model's `metrics.jsonl` (JSON objects with `step`), validation beside training."""
    if not metrics.exists():
        return []
    lines = [dict(facts(json.loads(line))) for line in metrics.read_text().splitlines() if line.strip()]
    charts: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for line in lines:
        for key, value in line.items():
            if "loss" in key and isinstance(value, int | float):
                split = "valid" if "valid" in key else "train"
                name = re.sub(r"^(train|valid|validation)[ ._/]+|[ ._/]+(train|valid)$", "", key)
                charts.setdefault(name, {}).setdefault(split, []).append((line.get("step", 0), value))
    drawn = []
    for name, by_split in sorted(charts.items(), key=lambda item: (item[0].count("."), item[0])):
        series = [
            Series(split, [x for x, _ in points], [y for _, y in points], split) for split, points in by_split.items()
        ]
        drawn.append({"title": name, "svg": line_chart(series, title=f"{name} by step", x_label="step")})
    return drawn


def profile_charts(folder: Path, limit: int) -> list[dict[str, Any]]:
    """Mean profiles around gene starts of up to `limit` tracks per organism, one of each bundle before a second."""
    rows = read_rows(folder / "profiles.tsv")
    charts: list[dict[str, Any]] = []
    with np.load(folder / "profiles.npz") as archive:
        for organism in dict.fromkeys(row["organism"] for row in rows):
            tracks: dict[str, dict[tuple[str, str], dict[str, dict[str, str]]]] = {}
            for row in rows:
                if row["organism"] == organism:
                    of_bundle = tracks.setdefault(row["output_type"], {})
                    of_bundle.setdefault((row["track"], row["strand"]), {})[row["predictor"]] = row
            order = [(column, bundle, track) for bundle, rows_ in tracks.items() for column, track in enumerate(rows_)]
            chosen = sorted(order, key=lambda item: item[0])[:limit]
            for column, bundle, track in sorted(chosen, key=lambda item: (list(tracks).index(item[1]), item[0])):
                scores = tracks[bundle][track]
                offsets = archive[f"{organism}/offsets"]
                series = [
                    Series(name, offsets, archive[f"{organism}/{bundle}/{name}"][:, column], style)
                    for name, style in (
                        ("ridge", "baseline"),
                        ("oracle", "oracle"),
                        ("model", "model"),
                        ("observed", "observed"),
                    )
                    if f"{organism}/{bundle}/{name}" in archive
                ]
                svg = line_chart(series, title=f"{track[0]} around starts", x_label="bp from gene start", zero=True)
                if svg:
                    charts.append(
                        {
                            "organism": organism,
                            "output_type": bundle,
                            "track": track[0],
                            "strand": track[1],
                            "scores": scores,
                            "svg": svg,
                        }
                    )
    return charts


def timings(folders: list[Path]) -> list[dict[str, Any]]:
    """Seconds and memory per rule, from Snakemake's benchmark tables `{job}.{rule}.tsv`, the longest first."""
    jobs = []
    for folder in folders:
        for path in sorted(folder.rglob("*.tsv")) if folder.is_dir() else []:
            for row in read_rows(path):
                memory = pd.to_numeric(row.get("max_rss", ""), errors="coerce")
                jobs.append({"rule": path.stem.rsplit(".", 1)[-1], "seconds": float(row["s"]), "memory": memory})
    if not jobs:
        return []
    table = (
        pd.DataFrame(jobs)
        .groupby("rule")
        .agg(jobs=("seconds", "size"), seconds=("seconds", "sum"), longest=("seconds", "max"), memory=("memory", "max"))
    )
    rows = table.sort_values("seconds", ascending=False).reset_index().to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def versions() -> dict[str, str]:
    """Versions of what made the page."""
    found = {"megabase": megabase.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # The page's own environment need not hold what the other stages use.
    return found


def facts(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Pairs of key and value: nested keys joined by dots, long lists by their length."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from facts(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list):
        yield prefix, ", ".join(map(str, value)) if len(value) <= 6 else f"{len(value):,} entries"
    else:
        yield prefix, value


def _region(chrom: str, start: int, end: int) -> str:
    return f"{chrom}:{start:,}-{end:,}"
