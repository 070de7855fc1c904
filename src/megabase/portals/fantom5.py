"""FANTOM5: CTSS files by directory listing, untreated samples by the sample sheets (data reference 1.2, paper 1.5)."""

from __future__ import annotations

import collections
import csv
import html.parser
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

from megabase.errors import InputError
from megabase.portals.answers import Asked, Found, check_complete, checked_size, wanted
from megabase.portals.filters import treated
from megabase.portals.http import Refused

_ASSAYS = ("hCAGE", "LQhCAGE")
_NAME = re.compile(r"(?P<sample>.+)\.(?P<library>CNhs\w+)\.(?P<rna>[\w-]+)\.[\w.]+?\.(?:no)?barcode\.ctss\.bed\.gz")
_ONTOLOGIES = ("EFO", "CLO", "CL", "UBERON")
"""Where biosamples come from (paper section 1.3), the most specific first."""


class Ontology:
    """The sample ontology: from a sample to the cell line, cell type or tissue that it was taken from."""

    def __init__(self, text: str) -> None:
        self.names: dict[str, str] = {}
        self.parents: dict[str, list[str]] = {}
        term = ""
        for line in text.splitlines():
            key, _, value = line.partition(": ")
            value, _, comment = (part.strip() for part in value.partition(" ! "))
            if line.startswith("["):
                term = ""
            elif key == "id":
                term = value
            elif key == "name" and term:
                self.names[term] = value
            elif term and key in ("is_a", "relationship"):
                parent = value.split()[-1]
                self.parents.setdefault(term, []).append(parent)
                if comment:
                    self.names.setdefault(parent, comment)

    def source(self, sample: str) -> str:
        """The nearest ancestor in an ontology of biosamples, or nothing."""
        seen, level = {sample}, [sample]
        while level:
            level = [parent for term in level for parent in self.parents.get(term, []) if parent not in seen]
            seen.update(level)
            for ontology in _ONTOLOGIES:
                for term in level:
                    if term.startswith(f"{ontology}:"):
                        return term
        return ""


def ask(asked: Asked) -> list[Found]:
    """The CTSS files that answer a query, each once for each strand."""
    query = asked.query
    ontology = Ontology(asked.web.content(asked.url(query.ontology)).decode())
    dropped: collections.Counter[str] = collections.Counter()
    found: list[Found] = []
    root = query.folder.format(assembly=asked.assembly).strip("/")
    for category in query.categories:
        for assay in query.assays or _ASSAYS:
            folder = f"{root}/{asked.species}.{category}.{assay}"
            names = _listed(asked, folder)
            sheet = _sheet(asked, folder, names)
            for name in names:
                parsed = _NAME.fullmatch(unquote(name))
                if parsed is None:
                    continue
                sample, library = parsed["sample"], parsed["library"]
                curie = ontology.source(f"FF:{parsed['rna']}")
                biosample = ontology.names.get(curie, sample)
                curie = curie or query.curies.get(biosample, "")
                if query.accessions:
                    if library not in query.accessions:
                        continue
                elif library in query.without or not wanted(biosample, curie, query):
                    continue
                elif query.baseline and treated(" ".join([sample, *sheet.get(library, [])])):
                    dropped["treated"] += 1
                    continue
                elif not curie:
                    dropped["no term in the ontology"] += 1
                    continue
                url = f"{folder}/{quote(name)}"
                size, etag = checked_size(asked, asked.url(url))
                found += [
                    Found(
                        file=f"{library}.{parsed['rna']}.ctss.bed.gz",
                        format="CTSS",
                        reading="five_prime",
                        url=url,
                        strand=strand,
                        biosample=biosample,
                        ontology_curie=curie,
                        assay=assay,
                        data_source="fantom5",
                        accession=library,
                        bytes=size,
                        etag=etag,
                        asked=f"{folder}/",
                    )
                    for strand in "+-"
                ]
    check_complete(found, asked, dropped)
    return found


def _listed(asked: Asked, folder: str) -> list[str]:
    """Names of a directory's files as they are on disk, percent-encoded; none where there is no such directory."""
    try:
        page = asked.web.content(asked.url(f"{folder}/")).decode(errors="replace")
    except Refused as error:
        if "404" in error.what:
            return []
        raise
    links = _Links()
    links.feed(page)
    return sorted(unquote(link) for link in links.found if "/" not in link and not link.startswith("?"))


def _sheet(asked: Asked, folder: str, names: list[str]) -> dict[str, list[str]]:
    """The cells of each library's row of the directory's sample sheet, by library.

    Raises InputError where there are files but no sheet: nothing else says which samples were treated.
    """
    sheets = [name for name in names if name.endswith(".assay_sdrf.txt")]
    if not sheets:
        if names and asked.query.baseline:
            remedy = "set `baseline: false`, or pin `accessions`"
            raise InputError("no sample sheet", where=asked.url(f"{folder}/"), remedy=remedy)
        return {}
    rows: dict[str, list[str]] = {}
    for sheet in sheets:
        text = asked.web.content(asked.url(f"{folder}/{quote(sheet)}")).decode(errors="replace")
        for row in csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
            for library in _libraries(row):
                rows.setdefault(library, []).extend(row)
    return rows


def _libraries(row: list[str]) -> Iterator[str]:
    """The libraries that a row is about, whatever column names them."""
    yield from dict.fromkeys(library for cell in row for library in re.findall(r"\bCNhs\w+?\b", cell))


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]
