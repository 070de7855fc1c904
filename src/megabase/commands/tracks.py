"""`megabase tracks`: find tracks by words."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from megabase.errors import InputError

_SHOWN = ("organism", "bundle", "index", "track_id", "strand", "biosample", "ontology_curie", "assay", "target")
_TABLES = ".tracks.tsv"


def matches(row: dict[str, str], words: str) -> bool:
    """Whether every word stands somewhere in the row; case, `-` and `_` do not count (`RNA-seq`, `rna_seq`)."""
    text = " ".join(_squeezed(value) for value in row.values() if value)
    return all(_squeezed(word) in text for word in words.split())


def find_tracks(words: str, manifests: tuple[Path, ...]) -> list[dict[str, str]]:
    """The rows of the manifests' track tables that hold every word, in the manifests' order.

    `manifests` are `*.tracks.tsv` files or folders searched for them. Raises InputError where there are none.
    """
    tables = [table for place in manifests for table in _tables(place)]
    if not tables:
        places = ", ".join(map(str, manifests))
        raise InputError("no *.tracks.tsv here", where=places, remedy="build one with `snakemake manifest`")
    rows = []
    for table in tables:
        organism = table.name.removesuffix(_TABLES)
        with open(table, newline="") as file:
            rows += [{"organism": organism, **row} for row in csv.DictReader(file, delimiter="\t")]
    return [row for row in rows if matches(row, words)]


def aligned(rows: list[dict[str, str]]) -> Iterator[str]:
    """The rows as columns to read; columns without any value are left out."""
    columns = [name for name in _SHOWN if any(row.get(name) for row in rows)]
    cells = [columns, *([row.get(name) or "" for name in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def as_tsv(rows: list[dict[str, str]]) -> Iterator[str]:
    """The rows with every column, tab-separated, for other programs."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    yield "\t".join(columns)
    for row in rows:
        yield "\t".join(row.get(name) or "" for name in columns)


def _tables(place: Path) -> list[Path]:
    return sorted(place.rglob(f"*{_TABLES}")) if place.is_dir() else [place] if place.exists() else []


def _squeezed(text: str) -> str:
    return text.lower().replace("-", "").replace("_", "")
