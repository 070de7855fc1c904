"""The experiments of an organism of the world: a table with one row for each source file that a portal serves."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable
from pathlib import Path

from megabase.errors import InputError
from megabase.portals.naming import track_name
from megabase.portals.sources import identifier
from megabase.simulate.grammar import BIOSAMPLES, CURIES


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One row: what is measured, how, and what its portal says about the file. Empty text: it says nothing."""

    portal: str
    bundle: str
    biosample: str
    assay: str
    target: str
    strand: str
    format: str
    dataset: str
    """Accession of the experiment; FANTOM5: the directory; recount3: the project."""
    accession: str
    """Of the file; FANTOM5: library and sample, `CNhs12334.10824-111C5`; recount3: the sample."""
    replicates: str
    run: str
    read_length: str
    frip: str
    audit: str
    """`LEVEL: category`, separated by `; `."""
    status: str
    created: str
    access: str
    """4DN: `open`, or `key` where the file needs one."""
    treatment: str
    sample: str
    """FANTOM5: the description."""
    classification: str
    drawn: str
    """Biosample whose rates the file has, where it is another one."""
    decoy: str
    """Why the filters of the paper must not take it."""
    organism: str = ""
    where: str = ""
    """Table and row, for messages."""

    @property
    def rates_of(self) -> str:
        """Biosample whose rates the file has."""
        return self.drawn or self.biosample

    @property
    def curie(self) -> str:
        """Ontology term of the biosample."""
        return CURIES[self.biosample]

    @property
    def assembly(self) -> str:
        """Assembly of the organism."""
        return assembly(self.organism)

    def track_id(self, strand: str) -> str:
        """Name on disk of the track that the file belongs to."""
        return identifier(track_name(self.bundle, self.biosample, self.assay, self.target), strand)


COLUMNS = tuple(field.name for field in dataclasses.fields(Experiment) if field.name not in ("organism", "where"))
_PORTALS = ("encode", "fdn", "fantom5", "recount3")


def assembly(organism: str) -> str:
    """Name of the assembly of an organism of the world."""
    return f"demo{organism}1"


def read_experiments(table: str | Path, organism: str) -> list[Experiment]:
    """The rows of an experiments table; lines that start with `#` are comments.

    Raises InputError with the row for an unknown column, portal or biosample, and for an accession used twice.
    """
    try:
        lines = Path(table).read_text().splitlines()
    except FileNotFoundError:
        raise InputError("no such table", where=table, remedy="correct world.organisms.*.experiments") from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    header = numbered[0][1].split("\t") if numbered else []
    if sorted(header) != sorted(COLUMNS):
        raise InputError("wrong columns", where=table, remedy=f"write {', '.join(COLUMNS)} (separated by tabs)")
    found: list[Experiment] = []
    seen: set[str] = set()
    for number, line in numbered[1:]:
        where = f"{table} row {number}"
        values = next(csv.reader([line], delimiter="\t", quoting=csv.QUOTE_NONE))
        if len(values) != len(header):
            raise InputError(f"{len(values)} fields, the header has {len(header)}", where=where, remedy="use tabs")
        row = Experiment(**dict(zip(header, values, strict=True)), organism=organism, where=where)
        known("portal", row.portal, _PORTALS, where)
        known("biosample", row.biosample, BIOSAMPLES, where)
        known("biosample", row.rates_of, BIOSAMPLES, where)
        if row.accession in seen:
            raise InputError(f"accession {row.accession} twice", where=where, remedy="give each file its own")
        seen.add(row.accession)
        found.append(row)
    return found


def known(column: str, value: str, allowed: Iterable[str], where: str) -> None:
    """Raises InputError where the world has no such value."""
    if value not in allowed:
        choices = ", ".join(one or "nothing" for one in allowed)
        raise InputError(
            f"the simulated world has no {column} `{value}` here", where=where, remedy=f"choose from {choices}"
        )
