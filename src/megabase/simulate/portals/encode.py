"""ENCODE: search, pages of files and experiments, downloads that redirect to storage (data reference 1.1)."""

from __future__ import annotations

import base64
import datetime
import re
from typing import Any

from megabase.simulate.catalog import Catalogue, Entry
from megabase.simulate.portals.messages import Request, Response, as_json, redirect
from megabase.simulate.portals.snovault import Item, item_page, search
from megabase.simulate.portals.storage import Storage, identity

_BUCKET = "encode-public"
_AS_THEY_ARE = (
    *("accession", "assay_title", "file_format", "output_type", "assembly", "biosample_ontology"),
    *("biological_replicates", "technical_replicates", "mapped_read_length", "mapped_run_type", "date_created"),
    *("status", "preferred_default", "quality_metrics", "simple_biosample_summary"),
)


class Encode:
    """Items of the portal, made once from the catalogue."""

    def __init__(self, catalogue: Catalogue, storage: Storage) -> None:
        self.catalogue, self.storage = catalogue, storage
        self._entries = {str(entry["accession"]): entry for entry in catalogue.of("encode")}
        self._stored: dict[str, str] = {}
        for accession, entry in self._entries.items():
            key = f"{str(entry['date_created'])[:10].replace('-', '/')}/{identity(entry)}/{accession}{_ending(entry)}"
            self._stored[accession] = storage.add(_BUCKET, key, entry, public=True)

    def __call__(self, request: Request) -> Response:
        if request.path.rstrip("/") == "/search":
            return search(request, self._items(request))
        download = re.fullmatch(r"/files/(\w+)/@@download/(\w+)(\.[\w.]+)", request.path)
        entry = self._entries.get(download[1]) if download else None
        if download and entry and download.group(2, 3) == (download[1], _ending(entry)):
            return self._download(request, download[1])
        page = request.path.rstrip("/") + "/"
        return item_page(request, next((item for item in self._items(request) if item["@id"] == page), None))

    def _download(self, request: Request, accession: str) -> Response:
        path, expires = self.storage.sign(self._stored[accession])
        location = f"{request.origin}{path}"
        if request.first("soft"):
            moment = datetime.datetime.fromtimestamp(expires, datetime.UTC).isoformat()
            return as_json({"@type": ["SoftRedirect"], "location": location, "expires": moment})
        return redirect(location)

    def _items(self, request: Request) -> list[Item]:
        files = [self._file(entry, request.origin) for entry in self._entries.values()]
        groups: dict[str, list[Entry]] = {}
        for entry in self._entries.values():
            groups.setdefault(str(entry["dataset"]), []).append(entry)
        return files + [_experiment(accession, entries) for accession, entries in groups.items()]

    def _file(self, entry: Entry, origin: str) -> Item:
        accession, path = str(entry["accession"]), self.catalogue.path(entry)
        md5, size, stored = self.catalogue.md5(path), self.catalogue.size(entry), self._stored[str(entry["accession"])]
        key = stored.removeprefix(f"/storage/{_BUCKET}/")
        item: Item = {
            "@id": f"/files/{accession}/",
            "@type": ["File", "Item"],
            "uuid": identity(entry),
            "dataset": f"/experiments/{entry['dataset']}/",
            "href": f"/files/{accession}/@@download/{accession}{_ending(entry)}",
            "s3_uri": f"s3://{_BUCKET}/{key}",
            "cloud_metadata": {
                "url": f"{origin}{stored}",
                "md5sum_base64": base64.b64encode(bytes.fromhex(md5)).decode(),
                "file_size": size,
            },
            "md5sum": md5,
            "file_size": size,
            "output_category": "alignment" if entry["file_format"] == "bam" else "signal",
            "no_file_available": False,
            "lab": {"title": "The World"},
        }
        item |= {name: entry[name] for name in _AS_THEY_ARE if entry.get(name) is not None}
        return item | _target(entry) | _audit([entry], item["@id"])


def _ending(entry: Entry) -> str:
    return str(entry.get("extension") or f".{entry['file_format']}")


def _target(entry: Entry) -> Item:
    label = entry.get("target")
    return {"target": {"@id": f"/targets/{label}/", "@type": ["Target", "Item"], "label": label}} if label else {}


def _audit(entries: list[Entry], path: str) -> Item:
    """Audits by level, as far as there are any: a level without one is absent, which `!=*` asks for."""
    levels: dict[str, list[dict[str, Any]]] = {}
    for level in ("ERROR", "NOT_COMPLIANT", "WARNING"):
        found = dict.fromkeys(category for entry in entries for category in entry.get("audit", {}).get(level, []))
        if found:
            levels[level] = [{"category": category, "level_name": level, "path": path} for category in found]
    return {"audit": levels} if levels else {}


def _experiment(accession: str, entries: list[Entry]) -> Item:
    first, path = entries[0], f"/experiments/{accession}/"
    summary = str(first.get("simple_biosample_summary", ""))
    replicates = sorted({str(name) for entry in entries for name in entry["technical_replicates"]})
    biosample = {
        "treatments": [{"treatment_term_name": name} for name in first.get("treatments", [])],
        "genetic_modifications": [{"category": name} for name in first.get("genetic_modifications", [])],
    }
    item: Item = {
        "@id": path,
        "@type": ["Experiment", "Dataset", "Item"],
        "accession": accession,
        "assay_title": first["assay_title"],
        "biosample_ontology": first["biosample_ontology"],
        "simple_biosample_summary": summary,
        "biosample_summary": f"{first['biosample_ontology']['term_name']} {summary}".strip(),
        "life_stage_age": first.get("life_stage_age", "unknown"),
        "perturbed": bool(first.get("perturbed")),
        "status": "revoked" if all(entry["status"] == "revoked" for entry in entries) else "released",
        "assembly": sorted({str(entry["assembly"]) for entry in entries}),
        "date_released": min(str(entry["date_created"])[:10] for entry in entries),
        "files": [{"@id": f"/files/{entry['accession']}/", "accession": entry["accession"]} for entry in entries],
        "replication_type": "isogenic" if len({name.split("_")[0] for name in replicates}) > 1 else "unreplicated",
        "replicates": [
            {
                "biological_replicate_number": int(name.split("_")[0]),
                "technical_replicate_number": int(name.split("_")[1]),
                "library": {"biosample": biosample},
            }
            for name in replicates
        ],
    }
    return item | _target(first) | _audit(entries, path)
