"""Asks the portals for all that an organism needs and pins their answer as a source table."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from megabase.artifacts import digest, write_text
from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.portals import encode, fantom5, fdn, gtex, recount3
from megabase.portals.answers import Asked, Found
from megabase.portals.changes import change_lines, changes, parsed_files, read_files
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
    "gtex": gtex.ask,
}
Track = tuple[str, str, str, str, str, str, str, str]
"""Bundle, biosample, ontology term, assay, target, modification, group, and `unstranded` for RNA-seq without strands:
what makes files one track, but for which strand (paper section 1.3)."""


def write_sources(
    organism_name: str,
    organism: Organism,
    queries: Sequence[Query],
    portals: PortalsConfig,
    out: Path,
    base_urls: Mapping[str, str] | None = None,
    *,
    web: Web | None = None,
    pin: Path | None = None,
) -> None:
    """Writes the source table of an organism from what it asks for, in this order.

    The file keeps its time, and the rows theirs (`retrieved`), where the portals answer as before. `pin` is where the
    answer is kept for good: once the same questions are answered otherwise, the pinned answer stays, the new one is
    written beside it and the difference is an error; other questions replace it, and the log says what changed.
    Raises InputError for that, for a query without an answer and for two questions that find the same track.
    """
    web = web or Web(portals, shared=out.parent / ".hosts")
    answers = [
        (query, _answer(query, number, organism_name, organism, portals, base_urls, web))
        for number, query in enumerate(queries)
    ]
    rows = _rows(answers, organism.assembly)
    if pin is None:
        write_text(out, _table(rows, out), only_if_changed=True)
    else:
        _pin(rows, pin, digest([dataclasses.asdict(query) for query in queries]))
        write_text(out, pin.read_text(), only_if_changed=True)
    tracks = collections.Counter(bundle for bundle, _, _ in {(r["bundle"], r["track"], r["strand"]) for r in rows})
    for name, number in tracks.items():
        if number != (expected := organism.bundles.get(name, 0)):  # type: ignore[call-overload]
            logger.warning("%s tracks of %s, the config says %s", number, name, expected)
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
    listed = [query.accessions.index(name) for name in (found.accession, found.dataset) if name in query.accessions]
    pinned = min(listed, default=len(query.accessions))
    named = [found.biosample, found.ontology_curie]
    position = min((query.biosamples.index(name) for name in named if name in query.biosamples), default=0)
    target = query.targets.index(found.target) if found.target in query.targets else 0
    # Pairs of strands first: no boundary of a block or part falls between two that stand side by side.
    track = (found.ontology_curie, found.biosample, found.assay, target, found.target, found.modification, found.group)
    # The three tables of one junction track stay in the order of their readings.
    return (pinned, found.strand == ".", position, *track, "+-.".index(found.strand), found.reading, found.accession)


def _track(found: Found, bundle: str) -> Track:
    unstranded = "unstranded" if bundle == "RNA_SEQ" and found.strand == "." else ""
    described = (found.biosample, found.ontology_curie, found.assay, found.target, found.modification, found.group)
    return (bundle, *described, unstranded)


def _rows(answers: Sequence[tuple[Query, list[Found]]], assembly: str) -> list[dict[str, str]]:
    tracks: dict[Track, list[Found]] = {}
    asked_by: dict[tuple[Track, str], int] = {}
    called: dict[tuple[str, str], str] = {}
    for number, (query, answer) in enumerate(answers):
        for found in answer:
            if found.data_source != "gtex":
                # A biosample is its ontology term, whatever else a portal calls it; a tissue of GTEx is its name.
                name = called.setdefault((query.bundle, found.ontology_curie), found.biosample)
                found = dataclasses.replace(found, biosample=name)
            track = _track(found, query.bundle)
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
                    portal = answers[asked_by[track, strand]][0].portal
                    rows.append(_row(track[0], names[track], found, assembly, portal))
    return rows


def _names(tracks: Mapping[Track, Sequence[Found]]) -> dict[Track, str]:
    """The name of each track; where two would share one, with what sets them apart."""
    names = {track: track_name(track[0], track[1], *track[3:6]) for track in tracks}
    for part in (3, 2, 6, 7):
        sharing: dict[tuple[str, str], set[str]] = {}
        for track, name in names.items():
            sharing.setdefault((track[0], name), set()).add(track[part])
        names = {
            track: f"{name} {track[part]}".rstrip() if len(sharing[track[0], name]) > 1 else name
            for track, name in names.items()
        }
    return names


def _row(bundle: str, name: str, found: Found, assembly: str, portal: str) -> dict[str, str]:
    columns = {column: str(getattr(found, column)) for column in COLUMNS if hasattr(found, column)}
    return columns | {
        "bundle": bundle,
        "track": name,
        "assembly": assembly,
        "portal": portal,
        "query": found.asked,
    }


def _pin(rows: list[dict[str, str]], pin: Path, questions: str) -> None:
    """Pins an answer to `questions` (their digest), unless it contradicts what is pinned."""
    first, new = f"# questions {questions}\n", Path(f"{pin}.new")
    text = first + _table(rows, pin)
    changed = changes(read_files(pin), parsed_files(text)) if pin.exists() else None
    if changed:
        if pin.read_text().startswith(first):
            write_text(new, text)
            what = f"the portals answer otherwise than what is pinned: {changed.summary}"
            remedy = f"see `megabase manifest diff {pin} {new}`; to take the new answer, delete the pinned one"
            raise InputError(what, where=pin, remedy=remedy)
        logger.warning("%s: other questions, other answer: %s", pin.name, changed.summary)
        for line in change_lines(changed):
            logger.info("%s", line)
    write_text(pin, text, only_if_changed=True)
    new.unlink(missing_ok=True)


def _table(rows: list[dict[str, str]], earlier: Path) -> str:
    """Source tables know no quotes: a field is what stands between two tabs. Rows of an earlier table keep their
    time."""
    known = {_content(row): row.get("retrieved") or "" for row in read_files(earlier)} if earlier.exists() else {}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    lines = [list(COLUMNS)]
    for row in rows:
        clean = {column: " ".join(row.get(column, "").split()) for column in COLUMNS}
        clean["retrieved"] = known.get(_content(clean), now)
        lines.append(list(clean.values()))
    return "".join("\t".join(line) + "\n" for line in lines)


def _content(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(row.get(column) or "" for column in COLUMNS if column != "retrieved")
