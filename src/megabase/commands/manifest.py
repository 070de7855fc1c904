"""`megabase manifest`: a manifest against the release's tracks, or against another manifest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from megabase.errors import InputError


def compare(manifest: Path, released: Path, names: int | None) -> Iterator[str]:
    """Lines of the comparison of every organism of the manifest that the folder `released` has a table of."""
    from megabase.portals.changes import tables_of_files
    from megabase.portals.released import compare as compared
    from megabase.portals.released import comparison_lines, read_released

    tables = tables_of_files(manifest)
    known = {name: released / f"{name}.tsv" for name in tables if (released / f"{name}.tsv").exists()}
    if not known:
        listed = ", ".join(f"{name}.tsv" for name in tables)
        raise InputError(f"none of {listed} here", where=released, remedy="give the folder of the release's tables")
    for name, table in known.items():
        yield from comparison_lines(name, compared(tables[name], read_released(table)), names)


def diff(before: Path, after: Path) -> Iterator[str]:
    """Lines that say which tracks and files came, went and changed from one manifest to another."""
    from megabase.portals.changes import change_lines, changes, tables_of_files

    old, new = tables_of_files(before), tables_of_files(after)
    if before.is_file() and after.is_file():
        new = dict(zip(old, new.values(), strict=True))
    for name in dict.fromkeys([*old, *new]):
        changed = changes(old.get(name, []), new.get(name, []))
        yield f"{name}: {changed.summary}"
        yield from change_lines(changed)
