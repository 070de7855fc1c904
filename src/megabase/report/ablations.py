"""Models against the one that they are like, as rows and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from megabase.report.contents import read_rows
from megabase.report.drawing import Interval, interval_chart
from megabase.report.headlines import HEADLINE, NAMES


def ablations(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """By model: `base`, `rows` with `main` and `apart`, and `picture`, how far it is ahead by output type.

    `paths`: tables of `megabase.evaluation.compared`. `main` rows have the measure that stands for an output type; the
    picture has these at their finest resolution. `apart`: ahead or behind where the interval leaves 0 out, else level.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for path in paths:
        for row in read_rows(path):
            lower, upper = row["lower"], row["upper"]
            apart = "" if not lower else "ahead" if float(lower) > 0 else "behind" if float(upper) < 0 else "level"
            main = row["metric"] == HEADLINE.get(row["output_type"], "pearson")
            named = {"measure": NAMES.get(row["metric"], row["metric"].replace("_", " ")), "apart": apart, "main": main}
            found.setdefault(row["model"], []).append({**row, **named})
    return {
        model: {"base": rows[0]["base"], "rows": rows, "picture": _picture(model, rows)}
        for model, rows in found.items()
    }


def _picture(model: str, rows: Sequence[dict[str, Any]]) -> Markup:
    finest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = row["organism"], row["output_type"]
        if row["main"] and int(row["resolution"]) <= int(finest.get(key, row)["resolution"]):
            finest[key] = row
    shown = [
        Interval(
            f"{row['output_type']}, {row['resolution']} bp ({row['organism']})",
            float(row["difference"]),
            float(row["lower"] or row["difference"]),
            float(row["upper"] or row["difference"]),
        )
        for row in finest.values()
    ]
    most = max((abs(end) for one in shown for end in (one.value, one.lower, one.upper)), default=0.0) or 1.0
    return interval_chart(shown, title=f"{model} less {rows[0]['base']}", mark=0.0, limits=(-most, most))
