"""Models that differ in one thing, on the same held-out windows: how far each is ahead of the one it is like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from megabase.artifacts import write_text
from megabase.errors import InputError
from megabase.evaluation.summary import ERRORS
from megabase.metrics.bootstrap import percentiles, window_counts

COLUMNS = ["model", "base", "organism", "output_type", "resolution", "metric", "tracks", "value", "base_value"]
COLUMNS += ["difference", "lower", "upper", "command"]
RESAMPLES = 2000
"""Draws of the tracks behind each interval."""
_GROUP = ["organism", "output_type", "resolution", "metric"]
_TRACK = ["track", "strand"]


def compare_models(tables: Sequence[Path], bases: Mapping[str, str], out: Path, command: str = "") -> None:
    """Writes `COLUMNS`: per model, output type, resolution and metric, means over the tracks that both models have.

    `tables`: the `tracks.tsv` of all models named; `bases`: by model, the one that it is compared with. The 95 %
    interval of `difference` is that of a paired bootstrap over tracks: both models on the same draws of them. One track
    alone has none. Errors, of which less is better, are left out.
    Raises InputError for a pair with no track in common.
    """
    rows = pd.concat([pd.read_csv(table, sep="\t") for table in tables])
    rows = rows[(rows["predictor"] == "model") & (rows["n"] > 0) & rows["value"].notna()]
    rows = rows[~rows["metric"].isin((*ERRORS, "held_out_share"))]
    made = []
    for model, base in bases.items():
        own, other = (rows.loc[rows["model"] == name, [*_GROUP, *_TRACK, "value"]] for name in (model, base))
        pairs = own.merge(other, on=[*_GROUP, *_TRACK], suffixes=("", "_base"))
        if pairs.empty:
            remedy = "compare models with tracks in common"
            raise InputError(f"no track of `{model}` is one of `{base}`", where="models", remedy=remedy)
        for group, shared in pairs.groupby(_GROUP, sort=False):
            gained = (shared["value"] - shared["value_base"]).to_numpy()
            counts = window_counts(len(gained), RESAMPLES if len(gained) > 1 else 0)
            lower, upper = percentiles((counts[1:] @ gained / len(gained))[:, None])
            values = {"tracks": len(shared), "value": shared["value"].mean(), "base_value": shared["value_base"].mean()}
            values |= {"difference": gained.mean(), "lower": lower[0], "upper": upper[0]}
            made.append({"model": model, "base": base, **dict(zip(_GROUP, group, strict=True)), **values})
    table = pd.DataFrame(made, columns=[column for column in COLUMNS if column != "command"]).assign(command=command)
    write_text(out, table.to_csv(sep="\t", index=False, float_format="%.6g"))
