"""Asks the portals for all that an organism needs and pins their answer as a source table."""

from __future__ import annotations

import collections
import csv
import datetime
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from megabase.artifacts import write_text
from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.portals import encode, fantom5, fdn, recount3
from megabase.portals.answers import Asked, Found
from megabase.portals.config import PortalsConfig, Query
from megabase.portals.http import Web, base_url
from megabase.portals.naming import track_name
from megabase.portals.sources import COLUMNS

logger = logging.getLogger(__name__)

_CLIENTS: dict[str, Callable[[Asked], list[Found]]] = {
    "encode": encode.ask,
    "fdn": fdn.ask,
    "fantom5": fantom5.ask,
    "recount3": recount3.ask,
}
Track = tuple[str, str, str, str, str, str]
"""Bundle, biosample, ontology term, assay, target, group: what makes files one track, but for the strand."""


def write_sources(
    organism_name: str,
    organism: Organism,
    queries: Sequence[Query],
    portals: PortalsConfig,
    out: Path,
    base_urls: Mapping[str, str] | None = None,
    *,
    web: Web | None = None,
) -> None:
    """Writes the source table of an organism from what it asks for, in this order.

    The file keeps its time, and the rows theirs (`retrieved`), where the portals answer as before.
    Raises InputError for a query without an answer and for two questions that find the same track.
    """
    web = web or Web(portals, shared=out.parent / ".hosts")
    answers = [
        (query, _answer(query, number, organism_name, organism, portals, base_urls, web))
        for number, query in enumerate(queries)
    ]
    rows = _rows(answers, organism.assembly)
    _write(rows, out)
    tracks = collections.Counter(bundle for bundle, _, _ in {(r["bundle"], r["track"], r["strand"]) for r in rows})
    logger.info("%s: %s", out.name, ", ".join(f"{tracks[name]} {name}" for name in BUNDLES if name in tracks))


def _answer(
    query: Query,
    number: int,
    organism_name: str,
    organism: Organism,
    portals: PortalsConfig,
    base_urls: Mapping[str, str] | None,
    web: Web,
) -> list[Found]:
    asked = Asked(
        query=query,
        number=number,
        assembly=query.assembly or organism.assembly,
        species=query.species or organism_name,
        base=base_url(query.portal, portals, base_urls),
        web=web,
        prefer_s3=portals.prefer_s3,
        audits=portals.audits,
    )
    return sorted(_CLIENTS[query.portal](asked), key=lambda found: _order(found, query))


def _order(found: Found, query: Query) -> tuple[object, ...]:
    """The order of tracks and of their files, which depends on the answer's content and not on its order."""
    pinned = query.accessions.index(found.accession) if found.accession in query.accessions else len(query.accessions)
    named = [found.biosample, found.ontology_curie]
    position = min((query.biosamples.index(name) for name in named if name in query.biosamples), default=0)
    target = query.targets.index(found.target) if found.target in query.targets else 0
    place = (pinned, position, found.ontology_curie, found.biosample, found.assay, target, found.target, found.group)
    # The three tables of one junction track stay in the order of their readings.
    return (*place, "+-.".index(found.strand), found.reading, found.accession)


def _rows(answers: Sequence[tuple[Query, list[Found]]], assembly: str) -> list[dict[str, str]]:
    tracks: dict[Track, list[Found]] = {}
    asked_by: dict[tuple[Track, str], int] = {}
    for number, (query, answer) in enumerate(answers):
        for found in answer:
            track: Track = (query.bundle, found.biosample, found.ontology_curie, found.assay, found.target, found.group)
            tracks.setdefault(track, []).append(found)
            first = asked_by.setdefault((track, found.strand), number)
            if first != number:
                what = f"{found.biosample} {found.target} {found.assay} is found by queries[{first}] too"
                where = f"queries[{number}] ({query.portal}, {query.bundle})"
                raise InputError(what, where=where, remedy="ask for each track once")
    names = _names(tracks)
    rows = []
    for track, files in tracks.items():
        strands = sorted({found.strand for found in files}, key="+-.".index)
        for strand in strands:
            for found in files:
                if found.strand == strand:
                    rows.append(_row(track[0], names[track], found, assembly))
    return rows


def _names(tracks: Mapping[Track, Sequence[Found]]) -> dict[Track, str]:
    """The name of each track; where two would share one, with what sets them apart."""
    names = {track: track_name(track[0], track[1], track[3], track[4]) for track in tracks}
    for part in (3, 2, 5):
        sharing: dict[tuple[str, str], set[str]] = {}
        for track, name in names.items():
            sharing.setdefault((track[0], name), set()).add(track[part])
        names = {
            track: f"{name} {track[part]}" if len(sharing[track[0], name]) > 1 else name
            for track, name in names.items()
        }
    return names


def _row(bundle: str, name: str, found: Found, assembly: str) -> dict[str, str]:
    columns = {column: str(getattr(found, column)) for column in COLUMNS if hasattr(found, column)}
    portal = {"4dn": "fdn", "gtex": "recount3"}.get(found.data_source, found.data_source)
    return columns | {
        "bundle": bundle,
        "track": name,
        "assembly": assembly,
        "portal": portal,
        "query": found.asked,
    }


def _write(rows: list[dict[str, str]], out: Path) -> None:
    """Source tables know no quotes: a field is what stands between two tabs."""
    known: dict[tuple[str, ...], str] = {}
    if out.exists():
        with open(out, newline="") as file:
            listed = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            known = {_content(row): row.get("retrieved") or "" for row in listed}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    lines = [list(COLUMNS)]
    for row in rows:
        clean = {column: " ".join(row.get(column, "").split()) for column in COLUMNS}
        clean["retrieved"] = known.get(_content(clean), now)
        lines.append(list(clean.values()))
    write_text(out, "".join("\t".join(line) + "\n" for line in lines), only_if_changed=True)


def _content(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(row.get(column) or "" for column in COLUMNS if column != "retrieved")
