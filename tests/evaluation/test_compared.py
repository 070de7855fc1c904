"""Models against the one that they are like, track by track."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from megabase.errors import InputError
from megabase.evaluation.compared import COLUMNS, compare_models


def write(folder: Path, model: str, values: dict[str, float], **more: object) -> Path:
    """A table of tracks with one value each, those of a baseline and of an error beside them."""
    rows = [
        {"model": model, "organism": "demo", "output_type": "DNASE", "track": track, "strand": ".", "resolution": 1}
        | {"predictor": predictor, "metric": metric, "value": value + shift, "n": 10}
        | more
        for track, value in values.items()
        for predictor, metric, shift in (("model", "pearson", 0), ("ridge", "pearson", 9), ("model", "mse", 5))
    ]
    path = folder / f"{model}.tsv"
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return path


def test_differences_are_means_over_the_tracks_that_both_have(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    base = {f"t{i}": float(value) for i, value in enumerate(draw.uniform(0, 1, 30))}
    gained = draw.normal(0.1, 0.05, 30)
    ahead = {track: value + gain for (track, value), gain in zip(base.items(), gained, strict=True)}
    tables = [
        write(tmp_path, "base", base),
        write(tmp_path, "ahead", ahead | {"other": 3.0}),
        write(tmp_path, "alone", {"t3": base["t3"] - 0.5}),
    ]
    out = tmp_path / "compared.tsv"
    compare_models(tables, {"ahead": "base", "alone": "base"}, out, command="again")
    table = pd.read_csv(out, sep="\t")
    assert list(table.columns) == COLUMNS and set(table["metric"]) == {"pearson"}
    rows = table.set_index("model")
    assert rows["tracks"]["ahead"] == 30 and np.isclose(rows["difference"]["ahead"], gained.mean(), rtol=1e-4)
    error = gained.std() / np.sqrt(30)
    assert np.isclose(rows["lower"]["ahead"], gained.mean() - 1.96 * error, atol=0.3 * error)
    assert np.isclose(rows["upper"]["ahead"], gained.mean() + 1.96 * error, atol=0.3 * error)
    assert np.isclose(rows["difference"]["alone"], -0.5) and np.isnan(rows["lower"]["alone"]), (
        "one track has no interval"
    )
    with pytest.raises(InputError, match="no track of `ahead` is one of `far`"):
        compare_models([tables[1], write(tmp_path, "far", {"else": 1.0})], {"ahead": "far"}, out)
