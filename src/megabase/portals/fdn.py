"""The 4D Nucleome portal: contact maps by search (data reference 1.4, paper 1.7)."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from megabase.portals.answers import Asked, Found, check_complete, wanted
from megabase.portals.http import portable

PAPER_BYTES = 7_740_000_000
"""The paper's smallest contact map (section 1.7)."""
_FIELDS = (
    *("accession", "uuid", "href", "md5sum", "file_size", "genome_assembly", "status", "open_data_url"),
    *("track_and_facet_info", "experiments", "date_created"),
)


def ask(asked: Asked) -> list[Found]:
    """The contact maps that answer a query: one file is one track."""
    query = asked.query
    parts = [("type", "FileProcessed"), ("file_type", "contact matrix"), ("file_format.file_format", "mcool")]
    parts += [("status", status) for status in query.statuses]
    parts += [("accession", accession) for accession in query.accessions]
    shape = [("format", "json"), ("limit", "all"), *(("field", field) for field in _FIELDS)]
    files = asked.web.json(asked.url(f"search/?{urlencode([*parts, *shape])}")).get("@graph", [])
    least = PAPER_BYTES if query.min_bytes is None else query.min_bytes
    dropped: collections.Counter[str] = collections.Counter()
    found = []
    for file in files:
        one = _found(file, asked, f"search/?{urlencode(parts)}")
        if file.get("genome_assembly") != asked.assembly or not wanted(one.biosample, one.ontology_curie, query):
            continue
        if query.assays and one.assay not in query.assays:
            continue
        if not query.accessions and int(file.get("file_size") or 0) < least:
            dropped[f"smaller than {least} bytes"] += 1
            continue
        found.append(one)
    check_complete(found, asked, dropped)
    return found


def _found(file: Mapping[str, Any], asked: Asked, question: str) -> Found:
    accession = str(file["accession"])
    facets = file.get("track_and_facet_info") or {}
    experiments = file.get("experiments") or []
    biosample = str(facets.get("biosource_name") or next(_values(experiments, "biosource_name"), ""))
    kind = facets.get("experiment_type") or next(_values(experiments, "experiment_type"), "")
    kind = kind.get("display_title", "") if isinstance(kind, Mapping) else kind
    terms = [*_values(experiments, "term_id"), *_values(experiments, "cell_line_termid")]
    href = str(file.get("href") or f"/files-processed/{accession}/@@download/{accession}.mcool").lstrip("/")
    open_data = file.get("open_data_url")
    return Found(
        file=f"{accession}.mcool",
        format="mcool",
        reading="contacts",
        # The open bucket needs no key; without it the portal's own link, which does.
        url=portable(str(open_data), asked.base) if open_data else href,
        strand=".",
        biosample=biosample,
        ontology_curie=next((str(term) for term in terms if term), asked.query.curies.get(biosample, "")),
        assay=str(kind),
        data_source="4dn",
        accession=accession,
        group=accession,
        bytes=str(file.get("file_size") or ""),
        md5=str(file.get("md5sum") or ""),
        asked=question,
    )


def _values(value: Any, name: str) -> Iterator[Any]:
    """All values of a key, at any depth: the portal nests biosources in biosamples in experiments in sets."""
    if isinstance(value, Mapping):
        if value.get(name):
            yield value[name]
        for inner in value.values():
            yield from _values(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, name)
