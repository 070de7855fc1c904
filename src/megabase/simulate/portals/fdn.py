"""4DN: as ENCODE, but downloads need an access key, and an open bucket holds some files (data reference 1.4)."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re

from megabase.simulate.catalog import Catalogue, Entry
from megabase.simulate.portals.messages import Request, Response, as_json, redirect
from megabase.simulate.portals.snovault import Item, item_page, search
from megabase.simulate.portals.storage import Storage, identity

KEY, SECRET = "MEGABASE_4DN_KEY", "MEGABASE_4DN_SECRET"
"""Environment variables with the one access key that the portal accepts; without them it accepts none."""
_OPEN, _CLOSED = "4dn-open-data-public", "fourfront-webprod-wfoutput"
_PLACES = {"cell line": "cell_line", "tissue": "tissue"}


class FourDN:
    """Items of the portal, made once from the catalogue."""

    def __init__(self, catalogue: Catalogue, storage: Storage) -> None:
        self.catalogue, self.storage = catalogue, storage
        self._entries = {str(entry["accession"]): entry for entry in catalogue.of("fdn")}
        self._stored: dict[str, str] = {}
        for accession, entry in self._entries.items():
            name, open_data = f"{identity(entry)}/{accession}.mcool", bool(entry["open_data"])
            bucket, key = (_OPEN, f"fourfront-webprod/wfoutput/{name}") if open_data else (_CLOSED, name)
            self._stored[accession] = storage.add(bucket, key, entry, public=open_data)

    def __call__(self, request: Request) -> Response:
        if request.path.rstrip("/") == "/search":
            return search(request, self._items(request))
        if drs := re.fullmatch(r"/ga4gh/drs/v1/objects/(\w+)/?", request.path):
            return self._drs(request, drs[1])
        download = re.fullmatch(r"/files-processed/(\w+)/@@download/(\w+)\.mcool", request.path)
        if download and download[1] == download[2] in self._entries:
            refused = _refused(request)
            return refused or redirect(f"{request.origin}{self.storage.sign(self._stored[download[1]])[0]}")
        page = request.path.rstrip("/") + "/"
        return item_page(request, next((item for item in self._items(request) if item["@id"] == page), None))

    def _drs(self, request: Request, accession: str) -> Response:
        entry = self._entries.get(accession)
        if entry is None:
            return item_page(request, None)
        md5 = self.catalogue.md5(self.catalogue.path(entry))
        checksums = [{"checksum": md5, "type": "md5"}]
        return as_json({"id": accession, "size": self.catalogue.size(entry), "checksums": checksums, "version": md5})

    def _items(self, request: Request) -> list[Item]:
        return [self._file(entry, request.origin) for entry in self._entries.values()]

    def _file(self, entry: Entry, origin: str) -> Item:
        accession, name, kind = str(entry["accession"]), entry["biosource_name"], entry["experiment_type"]
        term = {"term_id": entry["biosource_term"], "term_name": name, "display_title": name}
        place = _PLACES.get(str(entry.get("classification")), "cell_line")
        biosource = {"biosource_type": entry.get("classification", "cell line"), "biosource_name": name, place: term}
        experiment = {
            "@id": f"/experiments-hi-c/{entry['dataset']}/",
            "accession": entry["dataset"],
            "experiment_type": {"display_title": kind},
            "biosample": {"biosource_summary": name, "biosource": [biosource]},
        }
        item: Item = {
            "@id": f"/files-processed/{accession}/",
            "@type": ["FileProcessed", "File", "Item"],
            "accession": accession,
            "uuid": identity(entry),
            "display_title": f"{accession}.mcool",
            "href": f"/files-processed/{accession}/@@download/{accession}.mcool",
            "upload_key": f"{identity(entry)}/{accession}.mcool",
            "md5sum": self.catalogue.md5(self.catalogue.path(entry)),
            "file_size": self.catalogue.size(entry),
            "file_format": {"file_format": "mcool", "display_title": "mcool"},
            "file_type": "contact matrix",
            "file_type_detailed": "contact matrix (mcool)",
            "genome_assembly": entry["genome_assembly"],
            "status": entry.get("status", "released"),
            "date_created": entry["date_created"],
            "experiments": [experiment],
            "track_and_facet_info": {"experiment_type": kind, "biosource_name": name, "dataset": entry["dataset"]},
        }
        if entry["open_data"]:
            item["open_data_url"] = f"{origin}{self._stored[accession]}"
        return item


def _refused(request: Request) -> Response | None:
    """401 without credentials, 403 with others than the portal knows."""
    kind, _, coded = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        error = as_json({"status": "error", "code": 401, "title": "Unauthorized"}, 401)
        return Response(401, error.body, {**error.headers, "WWW-Authenticate": 'Basic realm="4DN"'})
    try:
        given = base64.b64decode(coded, validate=True)
    except binascii.Error:
        given = b""
    key, secret = os.environ.get(KEY), os.environ.get(SECRET)
    if key and secret and hmac.compare_digest(given, f"{key}:{secret}".encode()):
        return None
    return as_json({"status": "error", "code": 403, "title": "Forbidden"}, 403)
