"""Quantiles of scores among those of common variants (paper section 7): they make scores of tracks comparable.

The table has for each scorer and track the values at 1,000 probabilities, close together at both ends.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq
from jaxtyping import Float, Float64, Int

from megabase.artifacts import atomic_path, file_sha256
from megabase.errors import InputError
from megabase.scoring.config import EXTRA, SCORERS, Scorer

KNOTS = 1000
FLOOR = 1e-5
"""No score is further out than all but this share of the background: quantiles end at 0.99999 (signed: +-0.99999)."""
_TOGETHER = 256
"""Tracks whose background is held in memory at once."""
_SCHEMA = pa.schema(
    [("scorer", pa.string()), ("track", pa.int32()), ("count", pa.int64()), ("values", pa.list_(pa.float32(), KNOTS))]
)
# What the background's file says of itself and the table repeats.
_ABOUT = ("weights_sha256", "model", "organism", "assembly", "annotation_sha256", "window", "reverse_complement")


def signed(scorer: Scorer) -> bool:
    """Whether the sign of a score has a meaning."""
    return scorer.aggregation in ("DIFF_MEAN", "DIFF_SUM", "DIFF_SUM_LOG2", "DIFF_LOG2_SUM", "LFC", "SIGNED")


def probabilities(floor: float = FLOOR) -> Float64[np.ndarray, " knots"]:
    """The shares of the background below each knot: evenly spaced on the scale of log odds."""
    end = np.log((1 - floor) / floor)
    return 1 / (1 + np.exp(-np.linspace(-end, end, KNOTS)))


def calibrate(scores: Path, out: Path) -> None:
    """Writes the table of quantiles of a background that `megabase score` scored; NaN does not count.

    Raises InputError for a file that is none of its.
    """
    about = _record(scores)
    data = pyarrow.dataset.dataset(scores)
    metadata = {"megabase": json.dumps({key: about.get(key) for key in _ABOUT} | {"background": file_sha256(scores)})}
    known = SCORERS | EXTRA
    schema = _SCHEMA.with_metadata(metadata)
    with atomic_path(out) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for name in about["scorers"]:
            floor = FLOOR / 2 if signed(known[name]) else FLOOR
            own = pc.field("scorer").cast(pa.string()) == name
            tracks = sorted(pc.unique(data.to_table(["track"], filter=own)["track"]).to_pylist())
            for first in range(0, len(tracks), _TOGETHER):
                chosen = tracks[first : first + _TOGETHER]
                rows = data.to_table(["track", "raw_score"], filter=own & pc.field("track").isin(chosen))
                track, score = (rows[column].to_numpy() for column in ("track", "raw_score"))
                order = np.argsort(track, kind="stable")
                pieces = np.split(score[order], np.searchsorted(track[order], chosen[1:]))
                made = [piece[np.isfinite(piece)] for piece in pieces]
                knots = [np.quantile(piece, probabilities(floor)) if len(piece) else np.zeros(KNOTS) for piece in made]
                flat = pa.array(np.concatenate(knots).astype(np.float32))
                columns = [pa.array([name] * len(chosen)), pa.array(chosen, pa.int32())]
                columns += [pa.array([len(piece) for piece in made]), pa.FixedSizeListArray.from_arrays(flat, KNOTS)]
                writer.write_table(pa.table(columns, schema=schema))


class Calibration:
    """A table of quantiles, opened."""

    def __init__(self, path: Path, description: Mapping[str, Any], organism: str) -> None:
        """Raises InputError for a table of another model or organism."""
        record = _record(path)
        if record["weights_sha256"] != description["weights_sha256"] or record["organism"] != organism:
            what = f"quantiles of {record['organism']} by {record['model']}, not of {organism} by this model"
            raise InputError(what, where=path, remedy="make them anew: score a background, then megabase calibrate")
        table = pq.read_table(path)
        self._knots = np.asarray(table["values"].combine_chunks().flatten()).reshape(-1, KNOTS)
        columns = (table[name].to_pylist() for name in ("scorer", "track", "count"))
        self._rows = {(name, track): i for i, (name, track, n) in enumerate(zip(*columns, strict=True)) if n}
        self.name = f"{path.name} {file_sha256(path)}"
        """What names the table in what it is used for."""

    def quantiles(
        self, scorer: Scorer, scores: Float[np.ndarray, " n"], tracks: Int[np.ndarray, " n"] | None = None
    ) -> Float[np.ndarray, " n"]:
        """Of raw scores of these tracks (all of the output type if None); NaN where there is no background.

        From 0 to 1, or with a sign from -1 to 1. Of equal knots one is drawn, the same one for the same scores.
        """
        scores = np.ascontiguousarray(scores, np.float32)
        shares = probabilities(FLOOR / 2) * 2 - 1 if signed(scorer) else probabilities()
        places = np.arange(len(scores)) if tracks is None else tracks
        rows = np.array([self._rows.get((scorer.name, int(track)), -1) for track in places], int)
        known = (rows >= 0) & ~np.isnan(scores)
        knots, own = self._knots[rows[known]], scores[known, None]
        below, up_to = (knots < own).sum(axis=1), (knots <= own).sum(axis=1)
        draws = np.random.default_rng(zlib.crc32(scores.tobytes())).random(len(scores))[known]
        drawn = shares[np.minimum(below + (draws * (up_to - below)).astype(int), KNOTS - 1)]
        left, right = np.clip(below - 1, 0, KNOTS - 1), np.clip(below, 0, KNOTS - 1)
        ends = (np.take_along_axis(knots, x[:, None], axis=1)[:, 0] for x in (left, right))
        low, high = ends
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(high > low, (own[:, 0] - low) / (high - low), 0).clip(0, 1)
        between = shares[left] + part * (shares[right] - shares[left])
        made = np.full(len(scores), np.nan, np.float32)
        made[known] = np.where(up_to > below, drawn, between)
        return made


def _record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(pq.read_schema(path).metadata[b"megabase"])
        record["weights_sha256"], record["organism"]
    except (OSError, pa.ArrowInvalid, TypeError, KeyError, ValueError):
        raise InputError("no scores of ours here", where=path, remedy="make them with megabase score") from None
    return dict(record)
