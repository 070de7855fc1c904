"""Is every track what it should be: totals, zeros, means against the release, chromosomes, strands.

Nothing is dropped here: a track that fails is named, with the reason, in the table, the log and the report.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
from jaxtyping import Float64

from megabase.artifacts import write_text
from megabase.bundles import BUNDLES
from megabase.genome.reference import Reference
from megabase.portals.changes import read_files
from megabase.portals.released import read_released, released_means

logger = logging.getLogger(__name__)

TOLERANCE = 0.01
"""Relative difference of a total from what its output type is scaled to."""
FOLD = 2.0
"""A mean further than this factor from the release's was made otherwise."""
MOST_MISSING = 0.5
"""Share of a contact map that may be missing."""
LEAST_SENSE = 0.5
"""Less than this share of the signal on the sense strand of genes means that strands are swapped."""
_MAY_BE_EMPTY = re.compile(r"(chr)?(Y|M|MT)", re.IGNORECASE)
_START_FLANK = 500
"""Around the starts of genes, where capped ends are."""
_ENOUGH = 300_000_000
"""bp that strands are judged on: they are swapped everywhere or nowhere."""


@dataclasses.dataclass(frozen=True)
class Quality:
    """One track."""

    bundle: str
    track: str
    strand: str
    track_id: str
    total: float
    """Over the genome; of RNA-seq with strands, of both together."""
    zeros: float | None
    """Share of positions; None for contact maps, whose values are log ratios."""
    nonzero_mean: float
    released_mean: float | None
    """The release's, of the track that is the same by name."""
    missing: float
    """Share of a contact map without a value. Signal has none: it would not have been built."""
    empty: str
    """Chromosomes without any signal."""
    sense: float | None
    """Share of the signal on genes that is on their own strand; None for tracks without one."""
    fails: str
    """Why it is not what it should be; nothing for a good track."""


def check_signal(
    records: Sequence[Path],
    signal: Path,
    reference: Path,
    out: Path,
    total: float,
    manifest: tuple[Path, ...] = (),
) -> None:
    """Writes the table of an organism's tracks from their records, those that fail first.

    `signal` has `{bundle}/{track_id}.zarr` of each; `total` is what read counts are scaled to; `manifest` has the
    tables of files and of the released tracks, where the organism is in the release.
    """
    opened = Reference.open(reference)
    means: dict[tuple[str, str], float] = {}
    if manifest:
        files, released = manifest
        means = released_means(read_files(files), read_released(released))
    made = [json.loads(record.read_text()) for record in records]
    rows: list[Quality] = []
    for bundle in dict.fromkeys(record["bundle"] for record in made):
        own = [track for record in made if record["bundle"] == bundle for track in record["tracks"]]
        senses = _senses(own, signal / bundle, opened) if bundle in ("RNA_SEQ", "CAGE", "PROCAP") else {}
        rows += [_checked(track, own, signal, total, means, senses) for track in own]
    rows.sort(key=lambda row: not row.fails)
    for row in rows:
        if row.fails:
            logger.warning("%s %s (%s): %s", row.bundle, row.track, row.strand, row.fails)
    logger.info("%s: %s of %s tracks fail", out.name, sum(bool(row.fails) for row in rows), len(rows))
    table = pd.DataFrame([dataclasses.asdict(row) for row in rows])
    write_text(out, table.to_csv(sep="\t", index=False, float_format="%.6g"))


def _checked(
    track: Mapping[str, Any],
    others: Iterable[Mapping[str, Any]],
    signal: Path,
    expected: float,
    means: Mapping[tuple[str, str], float],
    senses: Mapping[str, float],
) -> Quality:
    bundle = BUNDLES[track["bundle"]]
    chromosomes: Mapping[str, Mapping[str, Any]] = track["chromosomes"]
    length, nonzero = (sum(int(one[part]) for one in chromosomes.values()) for part in ("length", "nonzero"))
    total, missing, fails = float(track["total"]), 0.0, []
    if bundle.kind == "contact_maps":
        missing = 1 - nonzero / _cells(signal / bundle.name / f"{track['track_id']}.zarr", chromosomes)
        if missing > MOST_MISSING:
            fails.append(f"{missing:.0%} of the map is missing")
    elif bundle.total is not None:
        totals = [total]
        if bundle.name == "RNA_SEQ" and track["strand"] != ".":
            totals = [float(o["total"]) for o in others if o["track"] == track["track"] and o["strand"] != "."]
        total = sum(totals)
        # Of RNA-seq on one strand only, the other's share is not known.
        known = bundle.name != "RNA_SEQ" or track["strand"] == "." or len(totals) == 2
        if known and abs(total / expected - 1) > TOLERANCE:
            fails.append(f"the total is {total:.4g}, not {expected:.4g}")
    empty = [chrom for chrom, one in chromosomes.items() if not one["nonzero"]]
    if named := [chrom for chrom in empty if not _MAY_BE_EMPTY.fullmatch(chrom)]:
        fails.append(f"no signal on {', '.join(named)}")
    mean, released = float(track["nonzero_mean"]), means.get((bundle.name, track["track_id"]))
    if released and not 1 / FOLD <= mean / released <= FOLD:
        fails.append(f"the mean of non-zero values is {mean / released:.3g} times the release's")
    sense = senses.get(track["track_id"])
    if sense is not None and sense < LEAST_SENSE:
        fails.append(f"{sense:.0%} of the signal on genes is on their strand: are strands swapped?")
    return Quality(
        bundle=bundle.name,
        track=track["track"],
        strand=track["strand"],
        track_id=track["track_id"],
        total=total,
        zeros=None if bundle.kind == "contact_maps" else 1 - nonzero / length,
        nonzero_mean=mean,
        released_mean=released,
        missing=missing,
        empty=",".join(empty),
        sense=sense,
        fails="; ".join(fails),
    )


def _cells(path: Path, chromosomes: Iterable[str]) -> int:
    """Values that a contact map could have: bins of a band (offset 0, 1, ...) that lie within their chromosome."""
    import zarr

    group: Any = zarr.open_group(str(path), mode="r")
    shapes = [group[chrom].shape for chrom in chromosomes]
    return sum(sum(min(width, rows - row) for row in range(rows)) for rows, width in shapes)


def _senses(tracks: Sequence[Mapping[str, Any]], signal: Path, reference: Reference) -> dict[str, float]:
    """By track, the share of a pair's signal on exons (RNA-seq) or around starts that is on the gene's strand."""
    pairs: dict[str, dict[str, str]] = {}
    for track in tracks:
        if track["strand"] != ".":
            pairs.setdefault(track["track"], {})[track["strand"]] = track["track_id"]
    places = _exons(reference) if tracks[0]["bundle"] == "RNA_SEQ" else _starts(reference)
    found: dict[str, float] = {}
    for pair in pairs.values():
        if len(pair) == 2:
            plus, minus = (_on_genes(signal / f"{pair[strand]}.zarr", places) for strand in "+-")
            everything = float(plus.sum() + minus.sum())
            if everything > 0:
                found |= dict.fromkeys(pair.values(), float(plus[0] + minus[1]) / everything)
    return found


def _on_genes(path: Path, places: pd.DataFrame) -> Float64[np.ndarray, "2"]:
    """Signal on genes of the plus strand and on those of the minus strand."""
    import zarr

    group: Any = zarr.open_group(str(path), mode="r")
    sums, seen = np.zeros(2), 0
    for chrom, own in places.groupby("chrom", sort=False):
        values = np.asarray(group[chrom]).view(ml_dtypes.bfloat16).astype(np.float32)
        added = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        signal = added[own["end"].to_numpy()] - added[own["start"].to_numpy()]
        is_plus = (own["strand"] == "+").to_numpy()
        sums += signal[is_plus].sum(), signal[~is_plus].sum()
        seen += len(values)
        if seen >= _ENOUGH:
            break
    return sums


def _exons(reference: Reference) -> pd.DataFrame:
    """Exons without repeats."""
    return reference.exons()[["chrom", "start", "end", "strand"]].drop_duplicates()


def _starts(reference: Reference) -> pd.DataFrame:
    """Places around the starts of genes."""
    genes = reference.genes()
    start = np.where(genes["strand"] == "+", genes["start"], genes["end"])
    size = genes["chrom"].map(reference.sizes)
    first, last = np.maximum(start - _START_FLANK, 0), np.minimum(start + _START_FLANK, size)
    return pd.DataFrame({"chrom": genes["chrom"], "start": first, "end": last, "strand": genes["strand"]})
