"""What one model reaches on its held-out windows, in the paper's metrics: one number per output type and metric.

The tables of single tracks have what is plain (`megabase.evaluation.held_out`); here are the means over tracks, with
the interval of the mean from the same resampled windows, and the metrics that no single track has. A family's module
adds up windows and gives its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd
from jaxtyping import Float64

from megabase.evaluation.observed import Observed
from megabase.metrics.bootstrap import percentiles

MEASURE_COLUMNS = ["model", "organism", "split", "output_type", "resolution", "metric", "predictor", "value", "lower"]
MEASURE_COLUMNS += ["upper", "n", "unit", "command"]

Values = Mapping[str, np.ndarray]
"""Predictions of one window by predictor, in the shape of what was observed."""
Row = dict[str, Any]


class Family(Protocol):
    """Adds up windows, then says what they amount to."""

    def add(self, window: int, bundle: str, observed: Observed, values: Values) -> None:
        """Adds one bundle of one test window, at the finest resolution of its head."""

    def rows(self) -> Iterable[Row]:
        """One row per output type, resolution, metric and predictor."""


def measure(
    place: tuple[str, int, str], predictor: str, values: Float64[np.ndarray, " resamples+1"], n: int, unit: str
) -> Row:
    """A row from the value over all windows and those over resamples. `place`: output type, resolution, metric."""
    lower, upper = percentiles(np.asarray(values)[1:, None])
    named = dict(zip(("output_type", "resolution", "metric"), place, strict=True))
    found = {"value": float(values[0]), "lower": float(lower[0]), "upper": float(upper[0])}
    return {**named, "predictor": predictor, **found, "n": int(n), "unit": unit}


def table(rows: Iterable[Row]) -> pd.DataFrame:
    """The rows that have a value."""
    made = pd.DataFrame(list(rows), columns=[name for name in MEASURE_COLUMNS if name not in _NAMED])
    return made[made["value"].notna()]


_NAMED = ("model", "organism", "split", "command")
