"""The paper's evaluations beside the run's: rows for the page, and the picture of who is better than what."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from megabase.report.drawing import Bar, bar_chart

KINDS = {"track": "Tracks", "variant": "Variants"}
NAMES = {
    "auprc": "auPRC",
    "site_auprc": "auPRC, mean of classes",
    "tissue_auprc": "auPRC by tissue",
    "matched_auprc": "auPRC, matched pairs",
    "junction_auprc": "auPRC",
    "ebm_auprc": "auPRC, boosted",
    "tissue_auroc": "auROC by tissue",
    "tissue_sign_auroc": "auROC of signs",
    "forest_auroc": "auROC, random forest",
    "pearson": "Pearson r",
    "ssu_pearson": "Pearson r",
    "count_pearson": "Pearson r of counts",
    "contact_pearson": "Pearson r by window",
    "contact_difference": "Pearson r of difference",
    "lasso_pearson": "Pearson r, LASSO",
    "gene_across_tracks": "Pearson r across tracks",
    "tissue_spearman": "Spearman ρ by tissue",
    "covr_spearman": "Spearman ρ of COVR",
    "profile_jsd": "JS distance ↓",
}
_RUN = ("model", "organism", "data", "held_out", "note")


def benchmark_tables(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """One entry per kind: `title`, `rows`, a row per benchmark and organism, `unknown`, those without a value, and
    `picture`. A row has the model's value as `ours` and the best of what it is compared with as `rival`."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path in paths:
        with open(path, newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                groups.setdefault(row["kind"], []).append(row)
    return [_entry(kind, rows) for kind, rows in groups.items()]


def _entry(kind: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    made = []
    for row in rows:
        same = [one for one in rows if (one["benchmark"], one["organism"]) == (row["benchmark"], row["organism"])]
        # A set that only others scored has rows, but none of the model.
        first = next((one for one in same if one["predictor"] == "model"), same[0])
        if row is first and row["value"]:
            rival = next((one for one in same if one["predictor"] == row["against"]), {})
            others = [one for one in same if one is not row]
            ours = row if row["predictor"] == "model" else {}
            made.append({**row, "measured": NAMES.get(row["metric"], row["metric"]), "rival": rival, "others": others})
            made[-1]["ours"] = ours
    known = {row["benchmark"] for row in made}
    unknown = [row for row in rows if row["benchmark"] not in known]
    for row in unknown:
        row["measured"] = NAMES.get(row["metric"], row["metric"])
    return {"title": KINDS[kind], "rows": made, "unknown": unknown, "picture": _picture(made, unknown)}


def _picture(made: Iterable[Mapping[str, Any]], unknown: Iterable[Mapping[str, Any]]) -> Markup:
    """Relative improvement by benchmark: the paper's, and the run's (the mean over organisms) below it."""
    bars: dict[str, dict[str, Any]] = {}
    for row in (*made, *unknown):
        bar = bars.setdefault(
            row["benchmark"], {"title": row["title"], "number": row["number"], "own": [], "demo": False}
        )
        if row["published_relative"]:
            bar["paper"] = float(row["published_relative"])
        if row["relative"] and row.get("ours"):
            bar["own"].append(float(row["relative"]))
            bar["demo"] = row["data"] == "demo"
    shown = []
    for bar in sorted(bars.values(), key=lambda bar: (bar["number"][0], int(bar["number"][1:]))):
        values = []
        if "paper" in bar:
            values.append(("paper", bar["paper"]))
        if bar["own"]:
            values.append(("demo" if bar["demo"] else "model", sum(bar["own"]) / len(bar["own"])))
        if values:
            shown.append(Bar(f"{bar['number']} {bar['title']}", values))
    return bar_chart(shown, title="Relative improvement over the best baseline, in percent")
