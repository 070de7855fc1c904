"""The table that every builder makes, and the counts beside it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from megabase.artifacts import atomic_path, file_sha256, provenance, write_json
from megabase.errors import InputError
from megabase.genome.annotation import unversioned
from megabase.scoring.vcf import Sequences

COLUMNS = {
    "variant_id": "string",
    "chromosome": "string",
    "position": "Int64",
    "ref": "string",
    "alt": "string",
    "organism": "string",
    "group": "string",
    "gene_id": "string",
    "label": "boolean",
    "effect": "float64",
    "split": "string",
}
"""Columns and their pandas types. `position` is 1-based; `group` is what a metric is taken within (tissue, matched
pair, category, locus, exon); `gene_id` is an Ensembl id without its version; `effect` is that of `alt` over `ref`."""
PLACE = ("variant_id", "chromosome", "position", "ref", "alt")
TEST = tuple(f"chr{name}" for name in (3, 6, 9, 12, 16, 18, 19, 21))
VALID = tuple(f"chr{name}" for name in (2, 5, 11, 14, 17, 20, 22, "X"))
TRAIN = tuple(f"chr{name}" for name in (1, 4, 7, 8, 10, 13, 15))
"""The paper's chromosomes of variant evaluations (evaluation reference, section 0); a zero-shot evaluation's
development set is `train` and `valid` together."""
NO_SPLIT = "none"
_SPLIT = {name: split for split, own in (("test", TEST), ("valid", VALID), ("train", TRAIN)) for name in own}


@dataclasses.dataclass(frozen=True)
class Given:
    """What a builder works from."""

    files: Mapping[str, Path]
    """The source's files by their part in it (`table`, `positives`, ...)."""
    genome: Sequences | None = None
    """The genome that the set is written on; without it, no allele can be checked, which is counted."""
    genes: pd.DataFrame | None = None
    """Genes as in `Reference.genes`."""
    exons: pd.DataFrame | None = None
    """Exons as in `Reference.exons`."""
    organism: str = "human"
    seed: int = 0
    """Of whatever is drawn."""

    def file(self, part: str, what: str) -> Path:
        """The file that plays a part. Raises InputError where it was not given."""
        if part not in self.files:
            had = f"given: {', '.join(sorted(self.files))}" if self.files else "no file was given"
            raise InputError(f"no {what} ({had})", where=f"variant set, `{part}`", remedy=f"give it: {part}=FILE")
        return self.files[part]


class Counts:
    """What happened to the rows of a source."""

    def __init__(self) -> None:
        self.read = 0
        """Rows of the source."""
        self.dropped: Counter[str] = Counter()
        """Rows that are left out, by reason."""
        self.turned: Counter[str] = Counter()
        """Rows kept, by what was done to their alleles: `swapped`, `complemented`, `lifted`, `unchecked`."""
        self.more: dict[str, Any] = {}
        """What a family counts besides."""

    def drop(self, reason: str) -> None:
        """One row is left out."""
        self.dropped[reason] += 1


@dataclasses.dataclass(frozen=True)
class VariantSet:
    """A set of variants with what was counted while it was made."""

    name: str
    table: pd.DataFrame
    counts: dict[str, Any]

    def write(self, out: Path) -> None:
        """Writes the table as Parquet, and the counts as JSON beside it: both whole, the table last."""
        write_json(counts_path(out), self.counts | {"provenance": provenance(("pandas", "pyarrow"))})
        with atomic_path(out) as partial:
            self.table.to_parquet(partial, index=False)


def counts_path(out: Path) -> Path:
    """Where the counts of the set in `out` are."""
    return out.with_suffix(".counts.json")


def read_variant_set(path: Path) -> VariantSet:
    """A set that `VariantSet.write` wrote, or a file of one's own with its columns.

    Raises InputError where there is none, for another kind of table, and for a row without a place.
    """
    remedy = "build it: megabase variant-set, or snakemake variant_sets"
    if not path.exists():
        raise InputError("no such variant set", where=path, remedy=remedy)
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"not a variant set: {error}", where=path, remedy=remedy) from None
    if missing := [name for name in COLUMNS if name not in table]:
        what = f"not a variant set: no column `{'`, `'.join(missing)}`"
        raise InputError(what, where=path, remedy=f"have {', '.join(COLUMNS)}, or {remedy}")
    bare = table[list(PLACE)].isna().any(axis=1).to_numpy()
    if bare.any():
        row = int(bare.argmax()) + 1
        raise InputError("no place or no allele", where=f"{path} row {row}", remedy="drop the row")
    counts = json.loads(counts_path(path).read_text()) if counts_path(path).exists() else {}
    return VariantSet(counts.get("name", path.stem), table.astype(COLUMNS)[list(COLUMNS)], counts)


def made(
    name: str, rows: Sequence[Mapping[str, Any]], given: Given, counts: Counts, *, split: str | None = None
) -> VariantSet:
    """The set of these rows: `organism`, `split` (the paper's, by chromosome, unless one is given for all, or by the
    row) and what a row does not say are filled in. Raises InputError where no row is left.
    """
    if not rows:
        why = ", ".join(f"{n:,} {reason}" for reason, n in counts.dropped.most_common()) or "the source is empty"
        where = ", ".join(str(path) for path in given.files.values()) or name
        raise InputError(f"no variant of `{name}` is left: {why}", where=where, remedy="check files and genome")
    empty = {column: None for column in COLUMNS} | {"organism": given.organism}
    filled = [{**empty, "split": split or _SPLIT.get(str(row["chromosome"]), NO_SPLIT), **row} for row in rows]
    table = pd.DataFrame(filled, columns=list(COLUMNS)).astype(COLUMNS)
    return VariantSet(name, table, _record(name, table, given, counts))


def _record(name: str, table: pd.DataFrame, given: Given, counts: Counts) -> dict[str, Any]:
    return {
        "name": name,
        "read": counts.read,
        **contents(table),
        "swapped": counts.turned["swapped"],
        "complemented": counts.turned["complemented"],
        "lifted": counts.turned["lifted"],
        "ref_unchecked": counts.turned["unchecked"],
        "dropped": {reason: number for reason, number in sorted(counts.dropped.items()) if number},
        **counts.more,
        "seed": given.seed,
        "sources": {part: _source(path) for part, path in sorted(given.files.items())},
    }


def contents(table: pd.DataFrame) -> dict[str, Any]:
    """What a set consists of: rows, positives, controls, effects; the same for each split and group."""
    groups = _per(table, "group")
    return {
        **_numbers(table["label"], "kept"),
        "effects": {"up": int(table["effect"].gt(0).sum()), "down": int(table["effect"].lt(0).sum())},
        "splits": _per(table, "split"),
        # Of pairs, exons and elements there are thousands; they are in the table.
        "groups": groups if len(groups) <= _MANY else {"number": len(groups)},
    }


def _per(table: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    return {str(name): _numbers(own, "rows") for name, own in table["label"].groupby(table[column], sort=True)}


def _numbers(label: pd.Series[bool], rows: str) -> dict[str, int]:
    return {rows: len(label), "positives": int(label.eq(True).sum()), "negatives": int(label.eq(False).sum())}


_MANY = 200


def _source(path: Path) -> dict[str, str]:
    if path.is_dir():
        return {entry.name: file_sha256(entry) for entry in sorted(path.iterdir()) if entry.is_file()}
    return {"file": os.path.basename(path), "sha256": file_sha256(path)}


def gene(identifier: str) -> str | None:
    """An Ensembl id without its version; of nothing, nothing."""
    return unversioned(identifier) or None
