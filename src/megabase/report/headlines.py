"""The few numbers that the page begins with, and those of variants and students, as plain rows."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from megabase.report.drawing import Interval, interval_chart

MAIN_METRICS = ("pearson", "auprc")
HEADLINE = {"SPLICE_SITES": "auprc", "SPLICE_JUNCTIONS": "auprc"}
"""The metric of an output type that stands for it, if not `pearson`; always at its coarsest resolution."""
NAMES = {"pearson": "Pearson r", "auprc": "auPRC", "auroc": "auROC"}
_BESIDE = ("track_mean", "local_gc", "oracle")


def headlines(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per organism and output type: the mean over models and their range, beside constants, GC and oracle.

    `rows`: those of the summary. `beats` is whether the models' mean is above both baselines.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["metric"] == HEADLINE.get(row["output_type"], "pearson"):
            groups.setdefault((row["organism"], row["output_type"]), []).append(row)
    made = []
    for (organism, output_type), found in groups.items():
        coarsest = max(int(row["resolution"]) for row in found)
        own = [row for row in found if int(row["resolution"]) == coarsest]
        values = [float(row["value"]) for row in own]
        made_row: dict[str, Any] = {"organism": organism, "output_type": output_type, "resolution": coarsest}
        made_row |= {"metric": NAMES[own[0]["metric"]], "models": len(own)}
        made_row |= {"value": sum(values) / len(values), "low": min(values), "high": max(values)}
        for name in _BESIDE:
            beside = [float(row[name]) for row in own if row.get(name)]
            made_row[name] = sum(beside) / len(beside) if beside else ""
        made_row["beats"] = all(made_row["value"] > made_row[name] for name in _BESIDE[:2] if made_row[name] != "")
        made.append(made_row)
    return made


def variant_tables(paths: Sequence[Path], first: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """By model, those of `first` and their copies before others: `rows`, one per organism, modality and scorer with a
    cell per metric, and `picture`, the auROC of each with its interval."""
    tables: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}
    for path in paths:
        for row in _read(path):
            key = row["organism"], row["modality"], row["scorer"]
            own = tables.setdefault(row["model"], {}).setdefault(key, {**row})
            own |= {row["metric"]: row["value"], f"{row['metric']}_range": (row["lower"], row["upper"])}
    leading = {model for model in tables for name in first if model == name or model.startswith(f"{name}_")}
    order = sorted(tables, key=lambda model: (model not in leading, model))
    return {
        model: {"rows": list(tables[model].values()), "picture": _auroc_chart(tables[model].values())}
        for model in order
    }


def student_rows(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Students against teachers, with `apart`: ahead, behind, or neither if the interval includes 0."""
    rows: list[dict[str, Any]] = []
    for path in paths:
        for row in _read(path):
            known = row["lower"] and row["upper"]
            ahead, behind = known and float(row["lower"]) > 0, known and float(row["upper"]) < 0
            rows.append({**row, "apart": "ahead" if ahead else "behind" if behind else "level"})
    return rows


def _auroc_chart(rows: Iterable[Mapping[str, Any]]) -> Markup:
    """By organism and scorer; 0.5 is what chance gives."""
    shown = [
        Interval(f"{row['modality']}: {row['scorer']} ({row['organism']})", float(row["auroc"]), *_bounds(row))
        for row in rows
        if row.get("auroc")
    ]
    return interval_chart(shown, title="auROC of planted variants against controls", mark=0.5)


def _bounds(row: Mapping[str, Any]) -> tuple[float, float]:
    lower, upper = row["auroc_range"]
    return float(lower or row["auroc"]), float(upper or row["auroc"])


def _read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))
