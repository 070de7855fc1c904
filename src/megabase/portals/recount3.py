"""recount3: coverage and junctions of GTEx's samples (data reference 1.3, paper 1.5 and 1.6)."""

from __future__ import annotations

import collections
import csv
import dataclasses
import gzip
import re

from megabase.errors import InputError
from megabase.portals.answers import Asked, Found, check_complete, checked_size, wanted
from megabase.portals.http import Refused
from megabase.portals.naming import GTEX_ASSAY

_TABLES = {"junction_counts": "MM", "junction_ranges": "RR", "junction_samples": "ID"}
Sample = tuple[str, str]
"""Its number in recount3 (`rail_id`, by which junction tables name it) and its name in GTEx."""
FREEZE = "RNASEQ"
"""Value of SMAFRZE that GTEx gives to samples of its analysis freeze, from which its eQTL set was drawn."""


def ask(asked: Asked) -> list[Found]:
    """Coverage of all samples of each tissue, or the junction tables of each project."""
    dropped: collections.Counter[str] = collections.Counter()
    found: list[Found] = []
    for project in asked.query.projects:
        root = f"{asked.species}/data_sources/gtex"
        tissues = _tissues(asked, root, project, dropped)
        if asked.query.bundle == "RNA_SEQ":
            found += _coverage(asked, root, project, tissues)
        else:
            found += _junctions(asked, root, project, tissues)
    check_complete(found, asked, dropped)
    return found


def _tissues(
    asked: Asked, root: str, project: str, dropped: collections.Counter[str]
) -> dict[tuple[str, str], list[Sample]]:
    """The samples of a project, by tissue: (name, ontology term)."""
    tissues: dict[tuple[str, str], list[Sample]] = {}
    folder = f"{root}/metadata/{project[-2:]}/{project}"
    for row in _table(asked, f"{folder}/gtex.gtex.{project}.MD.gz"):
        if asked.query.baseline and row.get("SMAFRZE", FREEZE) not in (FREEZE, ""):
            dropped[f"SMAFRZE is not {FREEZE}"] += 1
            continue
        if row["external_id"] in asked.query.without:
            continue
        name = row.get("SMTSD") or project.replace("_", " ").capitalize()
        curie = asked.query.curies.get(name) or term(row.get("SMUBRID", ""))
        if wanted(name, curie, asked.query):
            tissues.setdefault((name, curie), []).append((row["rail_id"], row["external_id"]))
    return tissues


def _table(asked: Asked, path: str) -> list[dict[str, str]]:
    try:
        content = asked.web.content(asked.url(path))
    except Refused as error:
        remedy = "correct `projects` (a project is a tissue in capitals)"
        raise InputError(error.what, where=f"{asked.where} {asked.url(path)}", remedy=remedy) from None
    text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    return list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def term(text: str) -> str:
    """GTEx writes `0002107` for UBERON:0002107, and `EFO_0002009` for terms of EFO."""
    if re.fullmatch(r"\d+", text):
        return f"UBERON:{text}"
    return text.replace("_", ":")


def _coverage(asked: Asked, root: str, project: str, tissues: dict[tuple[str, str], list[Sample]]) -> list[Found]:
    found = []
    for (name, curie), samples in tissues.items():
        for _, sample in samples:
            file = f"gtex.base_sums.{project}_{sample}.ALL.bw"
            url = f"{root}/base_sums/{project[-2:]}/{project}/{sample[-4:-2].upper()}/{file}"
            found.append(_found(asked, file, "bigWig", "coverage", url, name, curie, sample))
    return found


def _junctions(asked: Asked, root: str, project: str, tissues: dict[tuple[str, str], list[Sample]]) -> list[Found]:
    """Three files that are one track: counts (MatrixMarket), ranges and samples of all of a project's junctions. Which
    of the samples are the track's is said with the third."""
    found = []
    for (name, curie), samples in tissues.items():
        for reading, kind in _TABLES.items():
            file = f"gtex.junctions.{project}.ALL.{kind}.gz"
            url = f"{root}/junctions/{project[-2:]}/{project}/{file}"
            one = _found(asked, file, "recount3", reading, url, name, curie, f"{project}.{kind}")
            chosen = ",".join(number for number, _ in samples) if reading == "junction_samples" else ""
            found.append(dataclasses.replace(one, samples=chosen))
    return found


def _found(
    asked: Asked, file: str, format: str, reading: str, url: str, name: str, curie: str, accession: str
) -> Found:
    size, etag = checked_size(asked, asked.url(url))
    return Found(
        file=file,
        format=format,
        reading=reading,
        url=url,
        strand=".",
        biosample=name,
        ontology_curie=curie,
        assay=GTEX_ASSAY,
        data_source="gtex",
        accession=accession,
        bytes=size,
        etag=etag,
        asked=url.rsplit("/", 1)[0] + "/",
    )
