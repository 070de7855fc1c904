"""What a portal's answer is turned into: files, each with the track it belongs to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from megabase.errors import InputError
from megabase.portals.config import Query
from megabase.portals.http import Web


@dataclasses.dataclass(frozen=True)
class Asked:
    """One query with all that answering it needs."""

    query: Query
    number: int
    """Position in the organism's list, for messages."""
    assembly: str
    """The portal's name of the assembly."""
    species: str
    base: str
    """The portal's base URL."""
    web: Web
    prefer_s3: bool = False
    audits: str | None = None
    """The table of critical audits, where it is not the repository's."""

    @property
    def where(self) -> str:
        """This query, for messages."""
        return f"queries[{self.number}] ({self.query.portal}, {self.query.bundle})"

    def url(self, path: str) -> str:
        """A path of the portal as an absolute URL."""
        return f"{self.base}/{path.lstrip('/')}"


@dataclasses.dataclass(frozen=True)
class Found:
    """One file that a portal has. Files of one group are averaged into one track."""

    file: str
    """Its name in the raw folder."""
    format: str
    reading: str
    url: str
    strand: str
    biosample: str
    ontology_curie: str
    assay: str
    data_source: str
    accession: str
    target: str = ""
    dataset: str = ""
    """The experiment it is of, where the portal has such."""
    modification: str = ""
    """What was done to the genome of a modified sample, in the portal's words."""
    group: str = ""
    """What sets tracks apart beyond biosample, assay, target, modification and strand (paper section 1.3)."""
    pair: str = ""
    sign: str = ""
    samples: str = ""
    bytes: str = ""
    md5: str = ""
    sha256: str = ""
    etag: str = ""
    asked: str = ""
    """The question, without the fields it asked for."""


def wanted(biosample: str, curie: str, query: Query) -> bool:
    """Whether the query asks for this biosample."""
    return not query.biosamples or biosample in query.biosamples or curie in query.biosamples


def check_complete(found: Sequence[Found], asked: Asked, dropped: Mapping[str, int]) -> None:
    """Raises InputError for a query without an answer, or one that lacks a biosample, target or accession."""
    query = asked.query
    reasons = "; ".join(f"{count} left out: {why}" for why, count in sorted(dropped.items())) or "the portal has none"
    if not found:
        remedy = f"loosen the query ({reasons})"
        raise InputError("no files", where=asked.where, remedy=remedy)
    nameless = [file for file in found if not file.ontology_curie]
    if nameless:
        what = f"no ontology term for `{nameless[0].biosample}` ({nameless[0].accession})"
        raise InputError(what, where=asked.where, remedy=f"add `curies: {{{nameless[0].biosample}: ...}}`")
    names = {value for file in found for value in (file.biosample, file.ontology_curie)}
    for kind, listed, known in (
        ("biosample", query.biosamples, names),
        ("target", query.targets, {file.target for file in found}),
        ("accession", query.accessions, {name for file in found for name in (file.accession, file.dataset)}),
    ):
        missing = [name for name in listed if name not in known]
        if missing:
            remedy = f"remove what the portal has not, or loosen the query ({reasons})"
            raise InputError(f"no files of {kind} {', '.join(missing)}", where=asked.where, remedy=remedy)


def checked_size(asked: Asked, url: str) -> tuple[str, str]:
    """Size and tag of a file whose portal lists neither."""
    if not asked.query.sizes:
        return "", ""
    headers = asked.web.head(url)
    return headers.get("Content-Length", ""), headers.get("ETag", "").strip('"')
