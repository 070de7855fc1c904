"""The tables of all models in one: a row per model, organism, output type, resolution and metric."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from megabase.artifacts import write_text

PREDICTORS = ("track_mean", "local_gc", "ridge", "distance", "gt_ag", "oracle")
"""Columns beside the model's own value; empty where a predictor does not apply."""
ERRORS = ("mse", "mae")
"""Metrics of which less is better."""

_FIRST = ("model", "organism", "output_type", "split", "resolution", "metric", "value", "n")
COLUMNS = (*_FIRST, *PREDICTORS, "ratio_to_oracle", "command")

_ROW = ["model", "organism", "output_type", "split", "resolution", "metric", "command"]


def summarise(tables: Sequence[Path], out: Path) -> None:
    """Writes `COLUMNS`: each value is the mean over the `n` tracks with usable positions (architecture reference 10).

    `value` is the model's; the baselines and the oracle stand beside it, as means over the same tracks.
    `ratio_to_oracle` is value / oracle; not of errors.
    """
    rows = pd.concat([pd.read_csv(table, sep="\t") for table in tables])
    rows = rows[(rows["n"] > 0) & rows["value"].notna()]
    means = rows.pivot_table(index=_ROW, columns="predictor", values="value", aggfunc="mean", sort=False)
    model = rows[rows["predictor"] == "model"].groupby(_ROW, sort=False)["value"]
    table = means.assign(n=model.size()).rename(columns={"model": "value"}).reset_index()
    table = table.reindex(columns=list(COLUMNS))
    told = (table["oracle"] > 0) & ~table["metric"].isin(ERRORS)
    table["ratio_to_oracle"] = np.where(told, table["value"] / table["oracle"].where(told, 1.0), np.nan)
    write_text(out, table.to_csv(sep="\t", index=False, float_format="%.6g"))


def gather(tables: Sequence[Path], out: Path) -> None:
    """Writes the rows of several tables of variants, or of students, as one."""
    rows = pd.concat([pd.read_csv(table, sep="\t") for table in tables])
    write_text(out, rows.to_csv(sep="\t", index=False, float_format="%.6g"))
