"""The checks of every track, and how the manifest compares with the release, as rows and pictures of the page."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from megabase.report.contents import read_rows
from megabase.report.drawing import Series, line_chart


def quality(tables: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """By organism: its tracks (`rows`), those that fail (`failing`), and a chart for each output type (`charts`)."""
    shown = {}
    for organism, table in tables.items():
        rows = read_rows(table)
        bundles: dict[str, list[dict[str, str]]] = {}
        for row in rows:
            bundles.setdefault(row["bundle"], []).append(row)
        charts = [chart for bundle, own in bundles.items() if (chart := _chart(bundle, own))]
        shown[organism] = {"rows": rows, "failing": [row for row in rows if row["fails"]], "charts": charts}
    return shown


def comparisons(tables: Mapping[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """By organism and output type, how many tracks of the release are found and missing, and how many are extra."""
    shown = {}
    for organism, table in tables.items():
        counted: dict[str, collections.Counter[str]] = {}
        for row in read_rows(table):
            counted.setdefault(row["output_type"], collections.Counter())[row["status"]] += 1
        shown[organism] = [
            {"output_type": bundle, "expected": count["found"] + count["missing"], **{s: count[s] for s in _STATUSES}}
            for bundle, count in counted.items()
        ]
    return shown


_STATUSES = ("found", "missing", "extra")


def _chart(bundle: str, rows: list[dict[str, str]]) -> dict[str, Any] | None:
    """Means against the release's where it has any, else shares of zeros: of all tracks, from the least."""
    means = [float(row["nonzero_mean"]) / float(row["released_mean"]) for row in rows if row["released_mean"]]
    zeros = [float(row["zeros"]) for row in rows if row["zeros"]]
    values, what = (means, "mean of non-zero values, over the release's") if means else (zeros, "share of zeros")
    if len(values) < 2:
        return None
    ranks = [float(rank) for rank in range(1, len(values) + 1)]
    series = [Series("observed", ranks, sorted(values), "observed")]
    return {"title": bundle, "what": what, "svg": line_chart(series, title=f"{bundle}: {what}", x_label="track")}
