"""The loopback portals, asked with nothing but HTTP and as the real ones document it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from megabase.simulate.catalog import write_catalogue
from megabase.simulate.portals import serve

CONTENT = bytes(range(256)) * 40
CTSS = "K562%20cell%20line%3aone.CNhs11250.10454-106G4.demohuman1.nobarcode.ctss.bed.gz"


def encode_file(accession: str, **other: Any) -> dict[str, Any]:
    return {
        "portal": "encode",
        "path": f"encode/{accession}.bam",
        "accession": accession,
        "dataset": "ENCSR000AAA",
        "assay_title": "DNase-seq",
        "file_format": "bam",
        "output_type": "alignments",
        "assembly": "demohuman1",
        "biosample_ontology": {"term_id": "EFO:0002067", "term_name": "K562", "classification": "cell line"},
        "target": None,
        "biological_replicates": [1],
        "technical_replicates": ["1_1"],
        "mapped_read_length": 36,
        "mapped_run_type": "single-ended",
        "date_created": "2021-05-20",
        "status": "released",
        "preferred_default": True,
        "quality_metrics": [{"frip": 0.4}],
        "audit": {},
        "simple_biosample_summary": "",
        "life_stage_age": "adult",
        "perturbed": False,
        **other,
    }


def fdn_file(accession: str, open_data: bool) -> dict[str, Any]:
    return {
        "portal": "fdn",
        "path": f"fdn/{accession}.mcool",
        "accession": accession,
        "file_format": "mcool",
        "genome_assembly": "demohuman1",
        "biosource_name": "K562",
        "biosource_term": "EFO:0002067",
        "experiment_type": "in situ Hi-C",
        "open_data": open_data,
        "dataset": "4DNES0000001",
        "date_created": "2019-06-12",
    }


ENTRIES = [
    encode_file("ENCFF000AAA"),
    encode_file("ENCFF000AAB", status="revoked"),
    encode_file(
        "ENCFF000AAC",
        dataset="ENCSR000AAB",
        target="CTCF",
        audit={"ERROR": ["extremely low read depth"]},
        perturbed=True,
    ),
    fdn_file("4DNFI0000001", True),
    fdn_file("4DNFI0000002", False),
    {
        "portal": "fantom5",
        "path": f"fantom5/{CTSS}",
        "directory": "human.cell_line.hCAGE",
        "name": CTSS,
        "assembly": "demohuman1",
        "sample": "K562 cell line:one",
        "library": "CNhs11250",
        "ff_id": "10454-106G4",
        "category": "cell lines",
        "term_id": "EFO:0002067",
        "term_name": "K562",
    },
    {
        "portal": "recount3",
        "path": "recount3/gtex.base_sums.LIVER_GTEX-1117F-0226-SM-5GZZ7.1.ALL.bw",
        "project": "LIVER",
        "sample": "GTEX-1117F-0226-SM-5GZZ7.1",
        "kind": "coverage",
        "organism": "human",
    },
    {
        "portal": "recount3",
        "path": "recount3/gtex.junctions.LIVER.ALL.MM.gz",
        "project": "LIVER",
        "sample": "",
        "kind": "junctions",
        "organism": "human",
    },
    {
        "portal": "references",
        "path": "references/human/genome.fa.gz",
        "url": "/human/genome.fa.gz",
        "organism": "human",
        "kind": "fasta",
    },
]


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[dict[str, str]]:
    root = tmp_path_factory.mktemp("world")
    for entry in ENTRIES:
        path = root / "portals/files" / entry["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT + entry["path"].encode())
    write_catalogue(root, ENTRIES)
    with serve(root, lifetime=100, clock=clock) as found:
        yield found


def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    """One request, without following redirects; `_` in header names stands for `-`."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection.request(method, target, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, response.headers, body


def find(base: str, query: str) -> list[str]:
    status, _, body = ask(f"{base}/search/?{query}&format=json")
    found = json.loads(body)
    assert status == (200 if found["@graph"] else 404)
    return [item.get("accession", item["@id"]) for item in found["@graph"]]


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("type=File", ["A", "B", "C"]),
        ("type=File&status=released", ["A", "C"]),
        ("type=File&status=released&status=revoked", ["A", "B", "C"]),
        ("type=File&status!=revoked", ["A", "C"]),
        ("type=File&target.label=*", ["C"]),
        ("type=File&audit.ERROR.category!=*", ["A", "B"]),
        ("type=File&biosample_ontology.term_name=K562&limit=1", ["A"]),
        ("type=File&limit=1&from=1", ["B"]),
        ("type=File&preferred_default=true&target.label=CTCF", ["C"]),
        ("type=File&quality_metrics.frip=0.4&mapped_read_length=36&limit=all", ["A", "B", "C"]),
        ("type=File&assembly=hg19", []),
    ],
)
def test_an_encode_search_keeps_what_its_keys_say(urls: dict[str, str], query: str, hits: list[str]) -> None:
    assert find(urls["encode"], query) == [f"ENCFF000AA{letter}" for letter in hits]


def test_an_empty_search_is_a_404_with_json(urls: dict[str, str]) -> None:
    status, headers, body = ask(f"{urls['encode']}/search/?type=File&assay_title=none", Accept="application/json")
    assert status == 404
    assert headers["Content-Type"].startswith("application/json")
    found = json.loads(body)
    assert found["@graph"] == [] and found["total"] == 0


def test_who_asks_for_no_json_gets_a_page(urls: dict[str, str]) -> None:
    assert ask(f"{urls['encode']}/search/?type=File")[1]["Content-Type"].startswith("text/html")


def test_fields_may_be_dotted(urls: dict[str, str]) -> None:
    query = "type=File&field=biosample_ontology.term_id&field=quality_metrics.frip&field=file_size&format=json"
    first = json.loads(ask(f"{urls['encode']}/search/?{query}")[2])["@graph"][0]
    assert first == {
        "@id": "/files/ENCFF000AAA/",
        "@type": ["File", "Item"],
        "biosample_ontology": {"term_id": "EFO:0002067"},
        "quality_metrics": [{"frip": 0.4}],
        "file_size": len(CONTENT) + len("encode/ENCFF000AAA.bam"),
    }


def test_experiments_have_audits_and_treatments(urls: dict[str, str]) -> None:
    assert find(urls["encode"], "type=Experiment") == ["ENCSR000AAA", "ENCSR000AAB"]
    assert find(urls["encode"], "type=Experiment&audit.ERROR.category!=*&perturbed=false") == ["ENCSR000AAA"]
    page = json.loads(ask(f"{urls['encode']}/experiments/ENCSR000AAB/?format=json")[2])
    assert page["audit"]["ERROR"][0]["category"] == "extremely low read depth"
    assert ask(f"{urls['encode']}/experiments/ENCSR999ZZZ/?format=json")[0] == 404


def test_a_download_redirects_to_a_url_that_expires(urls: dict[str, str], clock: Clock) -> None:
    item = json.loads(ask(f"{urls['encode']}/files/ENCFF000AAA/?format=json")[2])
    status, headers, _ = ask(urls["encode"] + item["href"])
    assert status == 307
    location = headers["Location"]
    status, headers, body = ask(location)
    assert status == 200
    assert hashlib.md5(body).hexdigest() == item["md5sum"] == headers["ETag"].strip('"')
    assert len(body) == item["file_size"]
    assert ask(re.sub(r"Signature=..", "Signature=00", location))[0] == 403
    clock.now += 101
    status, headers, body = ask(location)
    assert status == 403
    assert b"Request has expired" in body and headers["Content-Type"].startswith("application/xml")
    assert ask(item["cloud_metadata"]["url"])[0] == 200
    assert item["cloud_metadata"]["url"].endswith(item["s3_uri"].removeprefix("s3:/"))
    assert ask(f"{urls['encode']}/files/ENCFF000AAA/@@download/ENCFF000AAA.bigWig")[0] == 404


def test_ranges(urls: dict[str, str]) -> None:
    url = f"{urls['references']}/human/genome.fa.gz"
    whole = ask(url)[2]
    size = len(whole)
    for asked, piece in {"bytes=10-19": whole[10:20], "bytes=-5": whole[-5:], "bytes=10000-": whole[10000:]}.items():
        status, headers, body = ask(url, Range=asked)
        assert (status, body) == (206, piece)
        assert headers["Content-Range"].endswith(f"/{size}")
    status, headers, _ = ask(url, Range=f"bytes={size}-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{size}")
    etag, modified = (ask(url, "HEAD")[1][name] for name in ("ETag", "Last-Modified"))
    assert ask(url, Range="bytes=1-2", If_Range=etag)[0] == 206
    assert ask(url, Range="bytes=1-2", If_Range=modified)[0] == 206
    assert ask(url, Range="bytes=1-2", If_Range='"other"')[2] == whole
    assert ask(url, If_None_Match=etag)[0] == 304


def test_head_has_the_length_and_no_body(urls: dict[str, str]) -> None:
    status, headers, body = ask(f"{urls['references']}/human/genome.fa.gz", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > len(CONTENT)
    assert headers["Accept-Ranges"] == "bytes"


def test_4dn_wants_a_key_where_no_open_url_is(urls: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    query = "type=FileProcessed&file_type=contact+matrix&file_format.file_format=mcool&status=released&limit=all"
    assert find(urls["fdn"], query) == ["4DNFI0000001", "4DNFI0000002"]
    assert find(urls["fdn"], "type=FileProcessed&experiments.biosample.biosource.cell_line.term_id=EFO:1") == []
    opened, closed = (json.loads(ask(f"{urls['fdn']}/files-processed/4DNFI000000{n}/?format=json")[2]) for n in (1, 2))
    assert ask(opened["open_data_url"])[0] == 200
    assert "open_data_url" not in closed
    url = urls["fdn"] + closed["href"]
    monkeypatch.setenv("MEGABASE_4DN_KEY", "name")
    monkeypatch.setenv("MEGABASE_4DN_SECRET", "secret")
    assert ask(url)[0] == 401
    assert ask(url, Authorization="Basic " + base64.b64encode(b"name:other").decode())[0] == 403
    status, headers, _ = ask(url, Authorization="Basic " + base64.b64encode(b"name:secret").decode())
    assert status == 307
    assert hashlib.md5(ask(headers["Location"])[2]).hexdigest() == closed["md5sum"]
    assert ask(headers["Location"].split("?")[0])[0] == 403
    drs = json.loads(ask(f"{urls['fdn']}/ga4gh/drs/v1/objects/4DNFI0000002")[2])
    assert drs["checksums"] == [{"checksum": closed["md5sum"], "type": "md5"}]


def test_fantom5_names_are_encoded_twice(urls: dict[str, str]) -> None:
    folder = f"{urls['fantom5']}/reprocessed/demohuman1_v9/basic/human.cell_line.hCAGE/"
    links = re.findall(r'<a href="([^"?]+)">', ask(folder)[2].decode())
    (link,) = (link for link in links if "ctss" in link)
    assert "K562%2520cell%2520line%253aone" in link
    assert ask(folder + link)[2].startswith(CONTENT)
    assert ask(folder + CTSS)[0] == 404
    sheet = ask(folder + next(link for link in links if link.startswith("00_")))[2].decode().splitlines()
    row = dict(zip(*(line.split("\t") for line in sheet), strict=True))
    assert row["Library Name"] == "CNhs11250"
    ontology = ask(f"{urls['fantom5']}/latest/extra/Ontology/ff-phase2-170801.obo.txt")[2].decode()
    assert "id: FF:10454-106G4\n" in ontology and "is_a: EFO:0002067 ! K562" in ontology
    status, headers, _ = ask(folder.rstrip("/"))
    assert (status, headers["Location"]) == (301, folder)


def test_recount3_is_a_tree_of_computed_paths(urls: dict[str, str]) -> None:
    root = f"{urls['recount3']}/human/data_sources/gtex"
    sample = "GTEX-1117F-0226-SM-5GZZ7.1"
    assert ask(f"{root}/base_sums/ER/LIVER/Z7/gtex.base_sums.LIVER_{sample}.ALL.bw")[0] == 200
    assert ask(f"{root}/junctions/ER/LIVER/gtex.junctions.LIVER.ALL.MM.gz")[0] == 200
    assert ask(f"{root}/junctions/ER/LIVER/")[0] == 404


def test_references_have_sums(urls: dict[str, str]) -> None:
    md5, name = ask(f"{urls['references']}/human/MD5SUMS")[2].decode().split()
    assert name == "genome.fa.gz"
    status, headers, body = ask(f"{urls['references']}/human/genome.fa.gz")
    assert status == 200
    assert hashlib.md5(body).hexdigest() == md5
    assert base64.b64decode(headers["x-goog-hash"].removeprefix("md5=")).hex() == md5


def test_a_connection_can_be_used_again(urls: dict[str, str]) -> None:
    parts = urllib.parse.urlsplit(urls["references"])
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    for path, status in (("/human/genome.fa.gz", 200), ("/nothing", 404), ("/human/MD5SUMS", 200)):
        connection.request("GET", parts.path + path)
        response = connection.getresponse()
        assert response.status == status
        response.read()
    connection.close()
