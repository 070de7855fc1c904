"""Rows of delimited text and of VCF files, each with the place where it stands, so that a bad one can be named."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from megabase.errors import InputError
from megabase.genome.text import read_lines

_MISSING = frozenset({"", "NA", "NaN", "nan", "None", "."})


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table."""

    fields: Mapping[str, str]
    where: str
    """`file line number`."""

    def text(self, column: str) -> str:
        """A value that must be there."""
        value = self.fields.get(column) or ""
        if not value:
            raise InputError(f"no {column}", where=self.where, remedy="fetch the file again, or leave the row out")
        return value

    def whole(self, column: str) -> int:
        """A whole number."""
        value = self.text(column)
        try:
            return int(value)
        except ValueError:
            remedy = "give a whole number"
            raise InputError(f"{column} is `{value}`", where=self.where, remedy=remedy) from None

    def number(self, column: str) -> float | None:
        """A number; None where the source writes that there is none."""
        value = self.fields.get(column, "")
        if value in _MISSING:
            return None
        try:
            return float(value)
        except ValueError:
            raise InputError(f"{column} is `{value}`", where=self.where, remedy="give a number") from None

    def flag(self, column: str) -> bool:
        """True or false, in whatever way it is written."""
        value = self.text(column)
        if value.lower() in ("true", "t", "1", "1.0", "yes"):
            return True
        if value.lower() in ("false", "f", "0", "0.0", "no"):
            return False
        raise InputError(f"{column} is `{value}`", where=self.where, remedy="give TRUE or FALSE")

    def missing(self, column: str) -> bool:
        """Whether the source writes that there is no value."""
        return self.fields.get(column, "") in _MISSING


def table_rows(
    path: Path, required: Sequence[str], *, columns: Sequence[str] | None = None, what: str = "table"
) -> Iterator[Row]:
    """The rows of a tab- or comma-separated file, plain or gzipped; its first line names the columns (a leading `#` of
    it is no part of a name; lines of `##` or `# ` before it are remarks), unless `columns` does.

    Raises InputError where a required column is absent, and for a row with another number of fields.
    """
    names = list(columns) if columns else None
    separator = "\t"
    for number, line in enumerate(_text(path, what), 1):
        if not line or (names is None and (line == "#" or line.startswith(("##", "# ")))):
            continue
        if names is None:
            separator = "\t" if "\t" in line else ","
            names = [name.strip('"') for name in line.removeprefix("#").split(separator)]
            if missing := [name for name in required if name not in names]:
                raise InputError(
                    f"no column `{missing[0]}`; it has {', '.join(names[:8])}",
                    where=f"{path} line {number}",
                    remedy=f"give the {what} with its columns {', '.join(required)}",
                )
            continue
        fields = line.split(separator)
        if len(fields) != len(names):
            what_is = f"{len(fields)} fields, {len(names)} columns"
            raise InputError(what_is, where=f"{path} line {number}", remedy="fetch the file again")
        yield Row(dict(zip(names, fields, strict=True)), f"{path} line {number}")


def vcf_rows(path: Path, what: str = "VCF") -> Iterator[Row]:
    """CHROM, POS, ID, REF, ALT and every key of INFO (a key without a value is `1`), one row per alternative allele.

    Raises InputError for a row that has not that form.
    """
    for number, line in enumerate(_text(path, what), 1):
        if not line or line.startswith("#"):
            continue
        where = f"{path} line {number}"
        fields = line.split("\t")
        if len(fields) < 5 or not fields[1].isdigit() or not fields[3] or not fields[4]:
            remedy = "give CHROM, POS, ID, REF and ALT, separated by tabs"
            raise InputError("not a VCF row", where=where, remedy=remedy)
        info = {}
        for pair in fields[7].split(";") if len(fields) > 7 else ():
            key, equals, value = pair.partition("=")
            info[key] = value if equals else "1"
        for alt in fields[4].split(","):
            named = {"CHROM": fields[0], "POS": fields[1], "ID": fields[2], "REF": fields[3], "ALT": alt}
            yield Row({**info, **named}, where)


def _text(path: Path, what: str) -> Iterator[str]:
    try:
        for line in read_lines(path, what, f"give the path of the {what}"):
            yield line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"cannot be read: {error}", where=path, remedy="save it as UTF-8 text") from None
