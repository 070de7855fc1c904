"""What changed between two answers of the portals, or two manifests made from them."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from megabase.errors import InputError

Row = Mapping[str, str]
Place = tuple[str, str, str]
"""Bundle, track, strand."""
_PROPERTIES = ("accession", "url", "bytes", "md5", "sha256", "etag", "format", "reading", "samples")
"""What a file is; when and by which question it was found is no property of it."""
_TABLES = (".files.tsv", ".sources.tsv")
"""Tables of files, the one that says more first."""


@dataclasses.dataclass(frozen=True)
class Changes:
    """Tracks and files that one answer has and the other has not, and files that are no longer what they were."""

    added_tracks: list[Place]
    removed_tracks: list[Place]
    added_files: list[str]
    removed_files: list[str]
    changed_files: list[tuple[str, dict[str, tuple[str, str]]]]
    """The file and, of each property that differs, its value before and after."""

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in dataclasses.fields(self))

    @property
    def summary(self) -> str:
        """All in one line: `2 tracks added, 1 file changed`."""
        counts = [
            (len(getattr(self, f"{what}_{things}")), things, what)
            for things in ("tracks", "files")
            for what in ("added", "removed", "changed")
            if hasattr(self, f"{what}_{things}")
        ]
        said = [f"{count} {things if count != 1 else things[:-1]} {what}" for count, things, what in counts if count]
        return ", ".join(said) or "nothing"


def changes(before: Iterable[Row], after: Iterable[Row]) -> Changes:
    """What differs between the rows of two tables of files. A file that serves several tracks counts once."""
    old, new = list(before), list(after)
    tracks = [dict.fromkeys((row["bundle"], row["track"], row["strand"]) for row in rows) for rows in (old, new)]
    files = [{_file(row): row for row in rows} for rows in (old, new)]
    differing = []
    for name in files[0].keys() & files[1].keys():
        was, now = files[0][name], files[1][name]
        pairs = {part: (was.get(part) or "", now.get(part) or "") for part in _PROPERTIES}
        if parts := {part: pair for part, pair in pairs.items() if pair[0] != pair[1]}:
            differing.append((name, parts))
    return Changes(
        added_tracks=[place for place in tracks[1] if place not in tracks[0]],
        removed_tracks=[place for place in tracks[0] if place not in tracks[1]],
        added_files=[name for name in files[1] if name not in files[0]],
        removed_files=[name for name in files[0] if name not in files[1]],
        changed_files=sorted(differing),
    )


def change_lines(changed: Changes) -> Iterable[str]:
    """Every change on a line of its own."""
    for sign, places in (("+", changed.added_tracks), ("-", changed.removed_tracks)):
        yield from (f"{sign} track {bundle}  {track} ({strand})" for bundle, track, strand in places)
    for sign, names in (("+", changed.added_files), ("-", changed.removed_files)):
        yield from (f"{sign} file {name}" for name in names)
    for name, parts in changed.changed_files:
        said = "; ".join(f"{part} {was or '(none)'} -> {now or '(none)'}" for part, (was, now) in parts.items())
        yield f"~ file {name}: {said}"


def tables_of_files(place: Path) -> dict[str, list[dict[str, str]]]:
    """The files of each organism, from a manifest's folder or from one table of it.

    Raises InputError where there is neither.
    """
    if place.is_file():
        return {place.name.split(".")[0]: read_files(place)}
    found: dict[str, list[dict[str, str]]] = {}
    for ending in _TABLES:
        for table in sorted(place.glob(f"*{ending}")):
            found.setdefault(table.name.removesuffix(ending), read_files(table))
    if not found:
        raise InputError("no manifest here", where=place, remedy="make one: snakemake manifest")
    return found


def read_files(table: Path) -> list[dict[str, str]]:
    """The rows of a table of files."""
    return parsed_files(table.read_text())


def parsed_files(text: str) -> list[dict[str, str]]:
    """The rows of a table's text; lines that start with `#` are comments."""
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def _file(row: Row) -> str:
    """A file's name, which the two tables write in different columns, with its portal."""
    name = row.get("file") or Path(row.get("path") or "").name
    return f"{row['portal']}:{name}" if row.get("portal") else name
