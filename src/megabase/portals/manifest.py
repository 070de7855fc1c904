"""The manifest: every source file pinned with size and checksum, in one slice per part."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from megabase.artifacts import write_text
from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.portals.fetch import checksum
from megabase.portals.sources import COLUMNS, METADATA, SourceFile, Track, block_tracks, read_sources

logger = logging.getLogger(__name__)

_PINNED = ("bytes", "sha256", "md5", "etag", "url")
# When and how a portal was asked is no property of a file: asking again must not change the slices.
_KEPT = tuple(c for c in COLUMNS if c not in ("file", "pair", "control", "query", "retrieved", *_PINNED))
SLICE_COLUMNS = (
    *("index", "track_id", *_KEPT),
    *(f"{prefix}{name}" for prefix in ("", "pair_", "control_") for name in ("path", *_PINNED)),
)
TRACK_COLUMNS = ("bundle", "index", "track", "strand", "track_id", "files", *METADATA)


def pin_part(
    organism: Organism,
    bundle: str,
    part: int,
    size: int,
    out: Path,
    table: Path | None = None,
    raw: Path | None = None,
) -> None:
    """Writes the slice of one part of `size` tracks: its source files as they are now, or as their portal pins them.

    `table` is the answer of the portals and `raw` the folder its files will be fetched to; without them the organism's
    own source table is read.
    Raises InputError for a file that is absent, of another assembly, or not the one the source table promises, and for
    a pair of strands, which are scaled together, that ends in the next part.
    """
    pinned: dict[str, tuple[int, str]] = {}
    rows = []
    root = None if raw is None else str(raw)
    listed = {source.file: source for source in read_sources(table, root or ".")} if table is not None else {}
    tracks = block_tracks(organism, bundle, part, size, table, root)
    _check_pairs(tracks, block_tracks(organism, bundle, part + 1, size, table, root))
    for position, track in enumerate(tracks):
        for source in track.files:
            if source.assembly and source.assembly != organism.assembly:
                raise InputError(
                    f"wrong assembly: {source.file} is {source.assembly}, the organism is {organism.assembly}",
                    where=source.where,
                    remedy="use a file of this assembly",
                )
            row = {column: getattr(source, column) for column in _KEPT}
            row |= {"index": str(part * size + position), "track_id": track.track_id}
            for prefix, name in (("", source.file), ("pair_", source.pair), ("control_", source.control)):
                if name and source.portal:
                    row |= _promised(source, name, prefix, listed)
                elif name:
                    row |= _pinned(source, name, prefix, pinned)
            rows.append(row)
    write_text(out, _table(SLICE_COLUMNS, rows), only_if_changed=True)
    logger.info("%s: %s files pinned", out.name, len({row["path"] for row in rows}))


def _check_pairs(tracks: Sequence[Track], following: Sequence[Track]) -> None:
    last, first = tracks[-1:], following[:1]
    if last and first and last[0].track == first[0].track and {last[0].strand, first[0].strand} == {"+", "-"}:
        raise InputError(
            f"the strands of `{last[0].track}` are divided between two parts",
            where=last[0].files[0].where,
            remedy="list tracks without a strand after those with one",
        )


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a manifest table, as text."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def assemble_manifest(slices: Sequence[Path], files: Path, tracks: Path) -> None:
    """Writes all source files and all tracks of an organism, in the order of the slices."""
    rows = [row for path in slices for row in read_table(path)]
    named: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        track = named.setdefault((row["bundle"], row["track_id"]), dict(row) | {"files": "0"})
        track["files"] = str(int(track["files"]) + 1)
    write_text(files, _table(SLICE_COLUMNS, rows), only_if_changed=True)
    write_text(tracks, _table(TRACK_COLUMNS, named.values()), only_if_changed=True)


def _promised(source: SourceFile, name: str, prefix: str, listed: Mapping[str, SourceFile]) -> dict[str, str]:
    """What the portal says of a file that is fetched later; one that is read with another has a row of its own."""
    file = source if name == source.file else listed.get(name)
    if file is None or file.portal != source.portal:
        raise InputError(f"no row of {source.portal} for {name}", where=source.where, remedy="ask the portals again")
    return {f"{prefix}path": source.path(name), **{f"{prefix}{column}": getattr(file, column) for column in _PINNED}}


def _pinned(source: SourceFile, name: str, prefix: str, pinned: dict[str, tuple[int, str]]) -> dict[str, str]:
    path = source.path(name)
    if path not in pinned:
        if not Path(source.root).is_dir():
            raise InputError(f"no folder {source.root}", where=source.where, remedy="correct source_root in the config")
        if not Path(path).is_file():
            raise InputError(f"{path} does not exist", where=source.where, remedy="correct the row or source_root")
        pinned[path] = (Path(path).stat().st_size, checksum(path))
    size, sha256 = pinned[path]
    if not prefix and source.sha256 and source.sha256.lower() != sha256:
        raise InputError(
            f"checksum mismatch: {path} has {sha256}, the source table says {source.sha256}",
            where=source.where,
            remedy="fetch the file again, or correct the table",
        )
    return {f"{prefix}path": path, f"{prefix}bytes": str(size), f"{prefix}sha256": sha256}


def _table(columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), delimiter="\t", lineterminator="\n", extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
