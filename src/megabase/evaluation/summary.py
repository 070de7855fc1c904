"""The tables of all models in one: a row per model, output type, resolution and metric."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from megabase.artifacts import write_text

PREDICTORS = ("track_mean", "local_gc", "ridge", "distance", "oracle")
"""Columns beside the model's own value; empty where a predictor does not apply."""

COLUMNS = ("model", "organism", "output_type", "resolution", "split", "metric", "value", "n", *PREDICTORS, "command")

_ROW = ["model", "organism", "output_type", "resolution", "split", "metric", "command"]


def summarise(tables: list[Path], out: Path) -> None:
    """Writes `COLUMNS`: each value is the mean over the `n` tracks with usable positions (architecture reference 10).

    `value` is the model's; the baselines and the oracle stand beside it, as means over the same tracks.
    """
    rows = pd.concat([pd.read_csv(table, sep="\t") for table in tables])
    rows = rows[(rows["n"] > 0) & rows["value"].notna()]
    means = rows.pivot_table(index=_ROW, columns="predictor", values="value", aggfunc="mean", sort=False)
    model = rows[rows["predictor"] == "model"].groupby(_ROW, sort=False)["value"]
    table = means.assign(n=model.size()).rename(columns={"model": "value"}).reset_index()
    table = table.reindex(columns=list(COLUMNS))
    write_text(out, table.to_csv(sep="\t", index=False, float_format="%.6g"))
