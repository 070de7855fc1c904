"""The source table: one row per source file, with the track it belongs to.

Read while Snakemake parses, so that the files of a block are inputs of its job; imports nothing heavy.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.genome.config import Organism

METADATA = ("assembly", "biosample", "ontology_curie", "assay", "target", "data_source")
"""Columns that describe a track; the same in every row of it."""

READINGS: dict[str, tuple[str, ...]] = {
    "coverage": ("bigWig", "BAM"),
    "fold_change": ("bigWig",),
    "five_prime": ("BAM", "BED", "CTSS"),
    "cut_sites": ("BAM", "BED", "BEDPE"),
    "contacts": ("cool", "mcool"),
    "reads": ("BAM",),
    "junction_counts": ("recount3",),
    "junction_ranges": ("recount3",),
    "junction_samples": ("recount3",),
    "junction_table": ("gct",),
}
"""How a file may be turned into signal, and the formats that allow it."""

_KINDS = {
    "contacts": "contact_maps",
    **dict.fromkeys(("reads", *(name for name in READINGS if name.startswith("junction_"))), "splicing"),
}
"""The kind of output type that a reading is for, where it is not plain signal."""

FORMATS = tuple(dict.fromkeys(name for formats in READINGS.values() for name in formats))
_ALLOWED: dict[str, tuple[str, ...]] = {
    "bundle": tuple(BUNDLES),
    "strand": ("+", "-", "."),
    "format": FORMATS,
    "reading": tuple(READINGS),
    "library": ("", "forward", "reverse", "unstranded"),
    "sign": ("", "negative"),
    "portal": ("", "encode", "fdn", "fantom5", "recount3", "gtex", "references"),
}


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """One row of the table. Empty text means the default; `file`, `pair` and `control` are as written there."""

    bundle: str
    track: str
    strand: str
    file: str
    format: str
    reading: str
    pair: str = ""
    control: str = ""
    library: str = ""
    sign: str = ""
    covered: str = ""
    assembly: str = ""
    sha256: str = ""
    biosample: str = ""
    ontology_curie: str = ""
    assay: str = ""
    target: str = ""
    data_source: str = ""
    samples: str = ""
    """Of a table of many samples, those of this track, by their ids and with commas; empty: all."""
    portal: str = ""
    """Where the file is fetched from; empty: it is here."""
    accession: str = ""
    url: str = ""
    """Absolute, or to be resolved against the portal's base URL."""
    bytes: str = ""
    md5: str = ""
    etag: str = ""
    query: str = ""
    """What the portal was asked."""
    retrieved: str = ""
    """When it answered so first."""
    root: str = "."
    """Folder that relative paths of this row start from."""
    where: str = ""
    """Table and row, for messages."""

    def path(self, name: str) -> str:
        """`name` (one of `file`, `pair`, `control`) as a path that can be opened."""
        return os.path.normpath(os.path.join(self.root, name))

    @property
    def paths(self) -> tuple[str, ...]:
        """The row's own file and those read with it, without repeats."""
        return tuple(dict.fromkeys(self.path(name) for name in (self.file, self.pair, self.control) if name))


@dataclasses.dataclass(frozen=True)
class Track:
    """The files that are averaged into one track; several are replicates."""

    bundle: str
    track: str
    strand: str
    track_id: str
    metadata: dict[str, str]
    files: tuple[SourceFile, ...]


COLUMNS = tuple(field.name for field in dataclasses.fields(SourceFile) if field.name not in ("root", "where"))


def read_sources(table: str | Path, root: str | Path) -> list[SourceFile]:
    """The rows of a source table, each checked by itself; lines that start with `#` are comments.

    Raises InputError with the row's line number for an unknown column or value, and for a file listed twice.
    """
    return list(_checked(str(table), str(root), _text(table)))


# The DAG asks for the tracks of every block: a table is taken apart once for each text that it has had.
@functools.lru_cache(maxsize=8)
def _checked(table: str, root: str, text: str) -> tuple[SourceFile, ...]:
    rows: list[SourceFile] = []
    seen: dict[tuple[str, ...], str] = {}
    for where, row in _rows(table, text):
        for column, allowed in _ALLOWED.items():
            if row[column] not in allowed:
                listed = ", ".join(value or "(empty)" for value in allowed)
                raise InputError(f"unknown {column} `{row[column]}`", where=where, remedy=f"choose from {listed}")
        for column in ("track", "file"):
            if not row[column]:
                raise InputError(f"no {column}", where=where, remedy=f"fill in the column `{column}`")
        if row["format"] not in READINGS[row["reading"]]:
            formats = ", ".join(READINGS[row["reading"]])
            raise InputError(
                f"`{row['reading']}` cannot be read from {row['format']}", where=where, remedy=f"it takes {formats}"
            )
        source = SourceFile(**row, root=root, where=where)
        _check_together(source)
        key = (source.bundle, source.track, source.strand, source.path(source.file))
        if key in seen:
            raise InputError(
                f"duplicate track: {source.file} is listed twice for {source.track} ({source.strand})",
                where=where,
                remedy=f"remove it here or in {seen[key]}",
            )
        seen[key] = where
        rows.append(source)
    if not rows:
        raise InputError("no rows", where=table, remedy="add a row for each source file")
    return tuple(rows)


def _check_together(source: SourceFile) -> None:
    """Raises InputError for columns that contradict each other, or that nothing would read."""
    kind = BUNDLES[source.bundle].kind
    readings = [name for name in READINGS if _KINDS.get(name, "signal") == kind]
    if kind == "splicing" and source.bundle != "SPLICE_JUNCTIONS":
        remedy = f"no reading makes {source.bundle}: remove the row"
    elif source.reading not in readings:
        remedy = f"{source.bundle} takes {', '.join(readings)}"
    elif source.control and source.reading != "fold_change":
        remedy = "a control is for the reading `fold_change`: change it, or empty `control`"
    elif source.library and source.format != "BAM":
        remedy = "a library is for the format `BAM`: empty `library`"
    elif bool(source.portal) != bool(source.url):
        remedy = "a file of a portal has both `portal` and `url`, any other has neither"
    elif source.pair and source.format == "bigWig" and source.path(source.pair) == source.path(source.file):
        remedy = "a pair is the other strand's file: name that, or empty `pair`"
    else:
        return
    what = f"{source.bundle} `{source.track}` cannot be read as this row says"
    raise InputError(what, where=source.where, remedy=remedy)


def tracks_of(sources: Iterable[SourceFile], bundle: str) -> list[Track]:
    """The tracks of one bundle, in order of first appearance.

    Raises InputError where rows of one track disagree, or two tracks would share a name on disk.
    """
    groups: dict[tuple[str, str], list[SourceFile]] = {}
    for source in sources:
        if source.bundle == bundle:
            groups.setdefault((source.track, source.strand), []).append(source)
    tracks: dict[str, Track] = {}
    for (name, strand), files in groups.items():
        metadata = {column: getattr(files[0], column) for column in METADATA}
        for other in files[1:]:
            for column, value in metadata.items():
                if getattr(other, column) != value:
                    raise InputError(
                        f"duplicate track: {name} ({strand}) has {column} `{getattr(other, column)}` here "
                        f"and `{value}` in {files[0].where}",
                        where=other.where,
                        remedy="give replicates the same values, or the track another name",
                    )
        track_id = identifier(name, strand)
        if track_id in tracks:
            raise InputError(
                f"duplicate track: {name} and {tracks[track_id].track} are both {track_id} on disk",
                where=files[0].where,
                remedy="rename one",
            )
        tracks[track_id] = Track(bundle, name, strand, track_id, metadata, tuple(files))
    return list(tracks.values())


def identifier(track: str, strand: str) -> str:
    """The name of a track on disk: letters, digits and dots, with its strand as a word."""
    return re.sub(r"[^A-Za-z0-9.]+", "_", track) + {"+": ".plus", "-": ".minus", ".": ""}[strand]


def block_tracks(
    organism: Organism, bundle: str, block: int, size: int, table: str | Path | None = None, root: str | None = None
) -> list[Track]:
    """The tracks of one block: `size` neighbours in the bundle's order.

    `table` and `root` stand for the organism's own source table and folder: the answer of the portals, and raw files.
    Raises InputError where the table's number of tracks is not the config's, of this bundle or of one that the config
    does not name.
    """
    table = str(table or organism.sources or "")
    root = organism.source_root if root is None else root
    text = _text(table)
    tracks = _bundle_tracks(table, root, text, bundle)
    expected = organism.bundles[bundle]  # type: ignore[index]
    if len(tracks) != expected:
        raise InputError(
            f"{len(tracks)} tracks of {bundle}, the config says {expected}",
            where=table,
            remedy=f"set organisms.*.bundles.{bundle} to {len(tracks)}, or correct the table",
        )
    for source in _checked(table, root, text):
        if source.bundle not in organism.bundles:
            raise InputError(
                f"{source.bundle} `{source.track}`: the config names no {source.bundle}",
                where=source.where,
                remedy=f"set organisms.*.bundles.{source.bundle} to its number of tracks, or to 0 to leave it out",
            )
    return list(tracks[block * size : (block + 1) * size])


@functools.lru_cache(maxsize=64)
def _bundle_tracks(table: str, root: str, text: str, bundle: str) -> tuple[Track, ...]:
    return tuple(tracks_of(_checked(table, root, text), bundle))


def block_files(organism: Organism, bundle: str, block: int, size: int) -> list[str]:
    """Paths of all files that one block is built from, without repeats."""
    tracks = block_tracks(organism, bundle, block, size)
    return list(dict.fromkeys(path for track in tracks for source in track.files for path in source.paths))


def _text(table: str | Path) -> str:
    try:
        # Spreadsheets begin UTF-8 with a mark, which is no part of the first column's name.
        return Path(table).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError("no such source table", where=table, remedy="correct organisms.*.sources") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=table, remedy="save it as UTF-8 text, with tabs") from None


def _rows(table: str, text: str) -> Iterable[tuple[str, Mapping[str, str]]]:
    lines = text.split("\n")
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not numbered:
        raise InputError("empty", where=table, remedy=f"start with the header {' '.join(COLUMNS)}")
    header = numbered[0][1].split("\t")
    for column in header:
        if column not in COLUMNS:
            raise InputError(
                f"unknown column `{column}`",
                where=f"{table} row {numbered[0][0]}",
                remedy=f"allowed: {', '.join(COLUMNS)} (separated by tabs)",
            )
        if header.count(column) > 1:
            raise InputError(f"column `{column}` twice", where=f"{table} row {numbered[0][0]}", remedy="remove one")
    for column in COLUMNS[:6]:
        if column not in header:
            raise InputError(f"no column `{column}`", where=f"{table} row {numbered[0][0]}", remedy="add it")
    for number, values in zip(
        (number for number, _ in numbered[1:]),
        csv.reader((line for _, line in numbered[1:]), delimiter="\t", quoting=csv.QUOTE_NONE),
        strict=True,
    ):
        where = f"{table} row {number}"
        if len(values) != len(header):
            raise InputError(f"{len(values)} fields, the header has {len(header)}", where=where, remedy="use tabs")
        found = dict(zip(header, (value.strip() for value in values), strict=True))
        yield where, {column: found.get(column, "") for column in COLUMNS}
