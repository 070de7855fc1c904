"""Scores as rows of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Int

from megabase.scoring.calibration import Calibration
from megabase.scoring.config import Scorer
from megabase.scoring.genes import matching
from megabase.scoring.scorers import Score
from megabase.scoring.vcf import Variant

_WORD = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("variant_id", pa.string()),
        ("chrom", _WORD),
        ("position", pa.int64()),  # 1-based
        ("ref", pa.string()),
        ("alt", pa.string()),
        ("scorer", _WORD),
        ("output_type", _WORD),
        ("gene_id", _WORD),  # null without a gene
        ("junction_start", pa.int64()),  # of the intron, 0-based half-open; null without one
        ("junction_end", pa.int64()),
        ("track", pa.int32()),  # row in the model's table of the output type
        ("track_name", _WORD),
        ("strand", _WORD),  # of the track; of junctions, that of the gene
        ("ontology_curie", _WORD),
        ("biosample", _WORD),
        ("target", _WORD),
        ("raw_score", pa.float32()),
    ]
)
"""The columns."""
VALUES = (("ref_value", pa.float32()), ("alt_value", pa.float32()))
"""Two more columns, where they are asked for: what REF and ALT predict. Sums over the window (scorers of a window),
mean contacts of the variant's bin, mean coverage of the exons, the value where a gene's largest change is, reads of the
junction, coverage before a gene's polyadenylation sites."""
_ROWS = 200_000
_TRACK_COLUMNS = ("track_name", "strand", "ontology_curie", "biosample", "target")


class _Piece(NamedTuple):
    """Rows that differ only in their track."""

    same: tuple[Any, ...]
    """Values of `_SAME`, in its order."""
    strand: str | None
    """Of junctions, whose tracks have none."""
    rows: Int[np.ndarray, " n"]
    scores: Float32[np.ndarray, " n"]
    more: dict[str, Float32[np.ndarray, " n"] | None]
    """Of the columns that may be asked for."""


_SAME = tuple(SCHEMA.names[: SCHEMA.names.index("track")])
"""The columns before those of the track."""


QUANTILE = ("quantile_score", pa.float32())
"""One more column with a calibration: where the score stands among those of common variants."""


def schema_with(values: bool, quantiles: bool, metadata: Mapping[str, str]) -> pa.Schema:
    """The columns, with `VALUES` and `QUANTILE` or without; `metadata` go into the file's."""
    more = (*(VALUES if values else ()), *([QUANTILE] if quantiles else []))
    return pa.schema([*SCHEMA, *more], metadata=dict(metadata))


class ScoreTable:
    """A Parquet file that is written piece by piece."""

    def __init__(
        self,
        path: Path,
        tracks: Mapping[str, pd.DataFrame],
        schema: pa.Schema = SCHEMA,
        calibration: Calibration | None = None,
    ) -> None:
        """`tracks`: the model's tables by bundle. `schema`: as `schema_with` gives it."""
        self._tracks = {bundle: _described(table) for bundle, table in tracks.items()}
        self._schema, self._calibration = schema, calibration
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._pieces: list[_Piece] = []
        self._rows = 0

    def __enter__(self) -> ScoreTable:
        return self

    def __exit__(self, *failed: Any) -> None:
        if failed[0] is None:
            self._write()
        self._writer.close()

    def note(self, metadata: Mapping[str, str]) -> None:
        """Adds to the file's metadata."""
        self._writer.add_key_value_metadata(dict(metadata))

    def add(self, scorer: Scorer, variant: Variant, scores: Iterable[Score]) -> None:
        """The rows of one scorer for one variant."""
        strands, junctions = self._tracks[scorer.bundle]["strand"], scorer.family == "junctions"
        for gene, junction, values, both in scores:
            rows = np.arange(len(strands))
            if gene is not None and not junctions:
                rows = np.flatnonzero(matching([gene.strand], strands)[0])
            place = (variant.id, variant.chrom, variant.position, variant.ref, variant.alt)
            what = (scorer.name, scorer.bundle, gene and gene.id, *(junction or (None, None)))
            strand = gene.strand if gene is not None and junctions else None
            ref, alt = (None if x is None else np.asarray(x, np.float32)[rows] for x in both or (None, None))
            own = np.asarray(values, np.float32)[rows]
            quantiles = None if self._calibration is None else self._calibration.quantiles(scorer, own, rows)
            more = {"ref_value": ref, "alt_value": alt, "quantile_score": quantiles}
            self._pieces.append(_Piece(place + what, strand, rows, own, more))
            self._rows += len(rows)
        if self._rows >= _ROWS:
            self._write()

    def _write(self) -> None:
        if not self._pieces:
            return
        counts = [len(piece.rows) for piece in self._pieces]
        repeated = pa.array(np.repeat(np.arange(len(counts)), counts))
        columns: dict[str, pa.Array] = {}
        for name, values in zip(_SAME, zip(*(piece.same for piece in self._pieces), strict=True), strict=True):
            kind = SCHEMA.field(name).type
            columns[name] = _of_type(pa.array(values, getattr(kind, "value_type", kind)).take(repeated), kind)
        columns["track"] = pa.array(np.concatenate([piece.rows for piece in self._pieces]), pa.int32())
        for name in _TRACK_COLUMNS:
            described = [
                np.full(len(piece.rows), piece.strand, object)
                if name == "strand" and piece.strand is not None
                else self._tracks[piece.same[_SAME.index("output_type")]][name][piece.rows]
                for piece in self._pieces
            ]
            columns[name] = _of_type(pa.array(np.concatenate(described), pa.string()), _WORD)
        columns["raw_score"] = pa.array(np.concatenate([piece.scores for piece in self._pieces]))
        for name in self._schema.names[len(SCHEMA) :]:
            given = [piece.more[name] for piece in self._pieces]
            unknown = [np.full(len(piece.rows), np.nan, np.float32) for piece in self._pieces]
            filled = [u if g is None else g for g, u in zip(given, unknown, strict=True)]
            columns[name] = pa.array(np.concatenate(filled))
        self._writer.write_table(pa.table([columns[name] for name in self._schema.names], schema=self._schema))
        self._pieces, self._rows = [], 0


def _of_type(values: pa.Array, kind: pa.DataType) -> pa.Array:
    return values.dictionary_encode() if kind == _WORD else values


def _described(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns of tracks, as words; without a strand `.`."""
    made = {
        name: (table[name].fillna("").astype(str) if name in table else pd.Series([""] * len(table))).to_numpy(object)
        for name in _TRACK_COLUMNS
    }
    made["track_name"] = table["track"].astype(str).to_numpy(object)
    made["strand"] = np.where(made["strand"] == "", ".", made["strand"])
    return made
