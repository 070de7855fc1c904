"""Junctions, sites and usage of all conditions become the tables that examples are read from (paper section 1.6)."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64

from megabase.artifacts import atomic_directory, digest, provenance, remove_leftovers, write_json
from megabase.artifacts.tables import table_content
from megabase.errors import InputError
from megabase.portals.sources import METADATA, identifier
from megabase.signal.splicing.junctions import PLACE, kept_by_median, scaled_mean
from megabase.signal.splicing.usage import SITE, sites
from megabase.store import STAGE_VERSION
from megabase.store.layout import SPLICING, write_groups

logger = logging.getLogger(__name__)

CLASSES = (("donor", "+"), ("acceptor", "+"), ("donor", "-"), ("acceptor", "-"))
"""The classes of sites in their order; a fifth, none, has no rows (architecture reference 6.6)."""
_OF_TABLES = ("recount3", "GTEx")
"""Sources of usage whose junctions are filtered already, over their own samples."""
_ROWS = 1 << 16
"""Rows of a group: tables are sorted by place, so that a chromosome is found without reading the rest."""


def write_splicing(records: Sequence[Path], signal: Path, store: Path, record: Path) -> None:
    """Writes `sites`, `usage` and `junctions` of a store from the conditions of these records, and their own record.

    A condition of aligned reads keeps the junctions that any junction table keeps; where there is none, those with
    enough reads in the median sample. Counts are scaled by sample, averaged, clipped and divided by their mean.
    Sites are the ends of the junctions that any condition keeps; usage is given where it was measured at one of them.
    Raises InputError for a condition whose tables are not those of its record, or that keeps no junction.
    """
    record.unlink(missing_ok=True)
    remove_leftovers(store / SPLICING, record)
    given = [track for path in records for track in json.loads(path.read_text())["tracks"]]
    given.sort(key=lambda track: int(track["index"]))
    kept = _kept(given, signal)
    scaled = [_scaled(table, track) for table, track in zip(kept, given, strict=True)]
    numbered = sites(pd.concat(kept)[PLACE].drop_duplicates())
    numbered.insert(0, "site_id", np.arange(len(numbered), dtype=np.int32))
    used = [_usage(track, signal, numbered).assign(track=number) for number, track in enumerate(given)]
    counts = [
        table[PLACE].assign(track=number, count=values.astype(np.float32))
        for number, (table, values) in enumerate(zip(kept, scaled, strict=True))
    ]
    tables = {
        "sites": numbered,
        "usage": _sorted(used, ["site_id", "track"])[["site_id", "track", "value"]],
        "junctions": _sorted(counts, [*PLACE, "track"]),
    }
    conditions = [
        {name: track[name] for name in ("track_id", "track", "index", "ssu_source", "samples", *METADATA)}
        for track in given
    ]
    contents = {name: table_content(table) for name, table in tables.items()}
    content = digest({"tables": contents, "conditions": conditions, "stage": STAGE_VERSION})
    with atomic_directory(store / SPLICING) as partial:
        write_groups(partial, "", {"content": content})
        for name, table in tables.items():
            table.to_parquet(partial / f"{name}.parquet", index=False, row_group_size=_ROWS)
    made = {
        "content": content,
        "conditions": conditions,
        "bundles": _bundles(given),
        "counts": {name: len(table) for name, table in tables.items()},
        "stage_version": STAGE_VERSION,
    }
    write_json(record, made | {"provenance": provenance(("pandas", "pyarrow"))})
    logger.info("%s: %s", store.name, ", ".join(f"{len(table)} rows of {name}" for name, table in tables.items()))


def _kept(tracks: Sequence[dict[str, Any]], signal: Path) -> list[pd.DataFrame]:
    """Per condition, `PLACE` and `count` of the junctions that pass its filter."""
    found = [_read(track, signal, "junctions") for track in tracks]
    tables = [table[PLACE] for table, track in zip(found, tracks, strict=True) if track["ssu_source"] in _OF_TABLES]
    known = pd.MultiIndex.from_frame(pd.concat(tables).drop_duplicates()) if tables else None
    kept = []
    for table, track in zip(found, tracks, strict=True):
        if track["ssu_source"] not in _OF_TABLES:
            config = track["parameters"]["config"]
            reads = table[[name for name in map(str, table) if name.startswith("reads_")]].to_numpy(np.float64)
            if known is not None and config["within_tables"]:
                chosen = pd.MultiIndex.from_frame(table[PLACE]).isin(known)
            else:
                chosen = kept_by_median(reads, config["median_above"])
            table = table[chosen].assign(count=scaled_mean(reads[chosen], config["total"]))
        table = table[table["count"] > 0]
        if table.empty:
            raise InputError(
                f"no junction of {track['track']} passes the filters",
                where=signal / f"{track['track_id']}.junctions.parquet",
                remedy="lower splicing.median_above or splicing.percentile_above, or set splicing.within_tables: false",
            )
        kept.append(table[[*PLACE, "count"]].reset_index(drop=True))
    return kept


def _scaled(table: pd.DataFrame, track: dict[str, Any]) -> Float64[np.ndarray, " junctions"]:
    """Counts clipped at a high percentile and divided by their mean; all are above zero."""
    counts = table["count"].to_numpy(np.float64)
    clipped = np.minimum(counts, np.percentile(counts, track["parameters"]["config"]["clip_percentile"]))
    return clipped / clipped.mean()


def _usage(track: dict[str, Any], signal: Path, numbered: pd.DataFrame) -> pd.DataFrame:
    """`site_id` and `value` of a condition, where it was measured at one of the sites."""
    found = _read(track, signal, "usage").merge(numbered, on=SITE)
    return found[["site_id"]].assign(value=found["value"].astype(np.float32))


def _read(track: dict[str, Any], signal: Path, name: str) -> pd.DataFrame:
    path = signal / f"{track['track_id']}.{name}.parquet"
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", where=path, remedy="build the condition again") from None
    if table_content(table) != track["content"][name]:
        raise InputError("not the table of its record", where=path, remedy="remove it and build the condition again")
    return table


def _sorted(pieces: Sequence[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    table = pd.concat(pieces).sort_values(columns, ignore_index=True)
    return table.assign(track=table["track"].astype(np.int32))


def _bundles(tracks: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The tracks of each splicing head, in its order: classes; usage of all conditions on plus, then on minus; and
    junctions, whose strands share a condition."""
    described = [{"track": track["track"]} | {name: track[name] for name in METADATA} for track in tracks]
    classes: list[dict[str, Any]] = [{"track": kind, "strand": strand} for kind, strand in CLASSES]
    usage: list[dict[str, Any]] = [row | {"strand": strand} for strand in "+-" for row in described]
    junctions: list[dict[str, Any]] = [row | {"strand": "."} for row in described]
    rows = {"SPLICE_SITES": classes, "SPLICE_SITE_USAGE": usage, "SPLICE_JUNCTIONS": junctions}
    return {
        bundle: [
            row | {"index": index, "track_id": identifier(row["track"], row["strand"])}
            for index, row in enumerate(tracks_of)
        ]
        for bundle, tracks_of in rows.items()
    }
