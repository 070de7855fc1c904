"""Files of portals: whatever goes wrong on the way, what is used is what was pinned, and the disk stays small."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import multiprocessing
import threading
from pathlib import Path

import pytest
from site_with_faults import Site, cut, leads_to, served, status, wrong

from megabase.artifacts import file_sha256
from megabase.errors import InputError
from megabase.portals import download
from megabase.portals.config import PortalsConfig
from megabase.portals.fetch import fetch_reference, fetched_file
from megabase.portals.http import Web

CONTENT = bytes(range(256)) * 400
MD5 = hashlib.md5(CONTENT).hexdigest()


def row(folder: Path, **changed: str) -> dict[str, str]:
    named = {"portal": "encode", "accession": "ENCFF000AAA", "path": str(folder / "raw" / "ENCFF000AAA.bam")}
    pinned = {"url": "files/a", "bytes": str(len(CONTENT)), "md5": MD5, "sha256": "", "etag": ""}
    return named | pinned | changed


def used(site: Site, web: Web, folder: Path, keep: bool = False, **changed: str) -> bytes:
    given = row(folder, **changed)
    with fetched_file(given, "", {given["portal"]: site.url}, PortalsConfig(keep_raw=keep), web=web) as path:
        return path.read_bytes()


def left(folder: Path) -> list[str]:
    """Files in the raw folder that are not hidden."""
    return sorted(path.name for path in (folder / "raw").iterdir() if not path.name.startswith("."))


def test_a_file_is_fetched_used_and_released(site: Site, web: Web, tmp_path: Path) -> None:
    site.files["/files/a"] = CONTENT
    assert used(site, web, tmp_path) == CONTENT
    assert left(tmp_path) == []
    assert used(site, web, tmp_path, keep=True) == CONTENT
    assert used(site, web, tmp_path, keep=True) == CONTENT
    assert left(tmp_path) == ["ENCFF000AAA.bam"]
    assert len(site.asked("/files/a")) == 2


def test_a_local_file_is_verified_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.bw"
    file.write_bytes(CONTENT)
    given = {"path": str(file), "bytes": str(len(CONTENT)), "sha256": file_sha256(file)}
    with fetched_file(given, where="slice row 1") as path:
        assert path == file
    assert file.exists()
    with (
        pytest.raises(InputError, match="slice row 1: checksum mismatch"),
        fetched_file(given | {"sha256": "0"}, where="slice row 1"),
    ):
        pass


def test_a_file_that_others_put_there_is_verified_and_stays(site: Site, web: Web, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    file = tmp_path / "raw" / "ENCFF000AAA.bam"
    file.write_bytes(CONTENT)
    assert used(site, web, tmp_path) == CONTENT
    assert file.exists() and not site.requests
    file.write_bytes(CONTENT[::-1])
    with pytest.raises(InputError, match="checksum mismatch"):
        used(site, web, tmp_path)
    assert file.exists()


def test_a_lost_connection_goes_on_where_it_stopped(site: Site, web: Web, tmp_path: Path) -> None:
    site.files["/files/a"] = CONTENT
    site.faults["/files/a"] = [cut(CONTENT, 60_000)]
    assert used(site, web, tmp_path) == CONTENT
    first, second = site.asked("/files/a")
    assert "Range" not in first
    assert second["Range"] == "bytes=60000-" and second["If-Range"] == f'"{MD5}"'


def test_a_later_job_goes_on_with_what_an_earlier_one_got(
    site: Site, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/files/a"] = CONTENT
    site.faults["/files/a"] = [cut(CONTENT, 60_000), *[status(503)] * 4]
    with pytest.raises(InputError, match="the server says 503, 4 times; try again later"):
        used(site, web, tmp_path)
    assert (tmp_path / "raw" / "ENCFF000AAA.bam.part").stat().st_size == 60_000
    assert used(site, web, tmp_path) == CONTENT
    assert site.asked("/files/a")[-1]["Range"] == "bytes=60000-"
    assert left(tmp_path) == []


def test_a_file_that_changed_since_is_not_glued_together(site: Site, web: Web, tmp_path: Path) -> None:
    old = CONTENT[::-1]
    site.files["/files/a"] = CONTENT
    site.faults["/files/a"] = [cut(old, 60_000)]
    assert used(site, web, tmp_path) == CONTENT


def test_a_server_that_minds_no_condition_is_not_believed(site: Site, web: Web, tmp_path: Path) -> None:
    """It sends the rest of what it has now, whatever it was asked about: only the tag tells."""

    def rest(handler) -> None:
        handler.reply(206, CONTENT[60_000:], {"ETag": '"new"', "Content-Range": "bytes 60000-102399/102400"})

    site.files["/files/a"] = CONTENT
    site.faults["/files/a"] = [cut(CONTENT[::-1], 60_000), rest]
    assert used(site, web, tmp_path, md5="", bytes="") == CONTENT
    assert ["Range" in headers for headers in site.asked("/files/a")] == [False, True, False]


def test_a_job_that_stopped_at_the_last_byte_asks_for_none(site: Site, web: Web, tmp_path: Path) -> None:
    site.files["/files/a"] = CONTENT
    part = tmp_path / "raw" / "ENCFF000AAA.bam.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT)
    part.with_name(f"{part.name}.tag").write_text(f'"{MD5}"')
    assert used(site, web, tmp_path, bytes="") == CONTENT
    assert [headers["Range"] for headers in site.asked("/files/a")] == ["bytes=102400-"]


def test_an_empty_file_is_a_file(site: Site, web: Web, tmp_path: Path) -> None:
    site.files["/files/a"] = b""
    assert used(site, web, tmp_path, bytes="0", md5=hashlib.md5(b"").hexdigest()) == b""


def test_waits_are_as_long_as_asked_else_doubled(site: Site, web: Web, clock, tmp_path: Path) -> None:
    site.files["/files/a"] = CONTENT
    site.faults["/files/a"] = [status(429, Retry_After="7"), status(503), status(502)]
    assert used(site, web, tmp_path) == CONTENT
    assert clock.slept == [7.0, 2.0, 4.0]


def test_wrong_bytes_are_fetched_anew_once(site: Site, web: Web, tmp_path: Path) -> None:
    site.files["/files/a"] = CONTENT
    site.faults["/files/a"] = [wrong(CONTENT)]
    assert used(site, web, tmp_path) == CONTENT
    site.faults["/files/a"] = [wrong(CONTENT)] * 2
    with pytest.raises(InputError, match=f"checksum mismatch: .* has md5 .*, {MD5} is pinned; .* delete the manifest"):
        used(site, web, tmp_path)
    assert left(tmp_path) == []


def test_another_size_than_pinned_is_refused_before_it_is_fetched(site: Site, web: Web, tmp_path: Path) -> None:
    site.files["/files/a"] = CONTENT
    with pytest.raises(InputError, match="size mismatch: 102400 bytes are served, 7 are pinned"):
        used(site, web, tmp_path, bytes="7")
    assert left(tmp_path) == []


def test_an_expired_address_is_asked_for_again(
    site: Site, web: Web, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.files["/storage/new"] = CONTENT
    old, new = (f"{site.url}/storage/{name}?Signature=hidden" for name in ("old", "new"))
    site.faults["/storage/old"] = [status(403)]
    site.faults["/files/a"] = [leads_to(old), leads_to(new)]
    with caplog.at_level(logging.INFO):
        assert used(site, web, tmp_path) == CONTENT
    assert "expired" in caplog.text
    assert "hidden" not in caplog.text and "/storage/" not in caplog.text


@pytest.mark.parametrize(("code", "says"), [(401, "MEGABASE_4DN_KEY"), (403, "public"), (404, "no such file")])
def test_a_no_is_explained_at_once(site: Site, web: Web, clock, tmp_path: Path, code: int, says: str) -> None:
    site.faults["/files/a"] = [status(code)]
    with pytest.raises(InputError, match=rf"/files/a: the server says {code}; .*{says}"):
        used(site, web, tmp_path)
    assert not clock.slept


def test_the_open_bucket_comes_first_and_the_key_is_the_fall_back(
    site: Site, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MEGABASE_4DN_KEY", "the-key")
    monkeypatch.setenv("MEGABASE_4DN_SECRET", "the-secret")
    given = {"portal": "fdn", "url": "/open/a", "accession": "4DNFIAAA"}
    own = "/files-processed/4DNFIAAA/@@download/4DNFIAAA.mcool"
    site.files["/open/a"] = site.files[own] = CONTENT
    assert used(site, web, tmp_path, **given) == CONTENT
    assert "Authorization" not in site.asked("/open/a")[0] and not site.asked(own)
    site.faults["/open/a"] = [status(403)]
    with caplog.at_level(logging.DEBUG):
        assert used(site, web, tmp_path, **given) == CONTENT
    assert site.asked(own)[0]["Authorization"].startswith("Basic ")
    assert "the-secret" not in caplog.text and "the-key" not in caplog.text


def test_the_bucket_comes_first_and_the_portal_is_the_fall_back(site: Site, web: Web, tmp_path: Path) -> None:
    own = "/files/ENCFF000AAA/@@download/ENCFF000AAA.bam"
    with served() as bucket:
        site.files[own] = bucket.files["/2021/a.bam"] = CONTENT
        assert used(site, web, tmp_path, url=f"{bucket.url}/2021/a.bam") == CONTENT
        assert bucket.requests and not site.requests
        bucket.faults["/2021/a.bam"] = [status(403)]
        assert used(site, web, tmp_path, url=f"{bucket.url}/2021/a.bam") == CONTENT
    assert len(site.asked(own)) == 1


def test_without_a_published_checksum_the_first_fetch_is_the_pin(site: Site, web: Web, tmp_path: Path) -> None:
    site.files["/files/a"] = CONTENT
    assert used(site, web, tmp_path, md5="", bytes="") == CONTENT
    pin = tmp_path / "raw.locked" / "ENCFF000AAA.bam.json"
    noted = json.loads(pin.read_text())
    assert (noted["sha256"], noted["bytes"]) == (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    site.files["/files/a"] = CONTENT[::-1]
    with pytest.raises(InputError, match=r"checksum mismatch: .* is pinned; .*raw\.locked/ENCFF000AAA\.bam\.json"):
        used(site, web, tmp_path, md5="", bytes="")
    pin.unlink()
    assert used(site, web, tmp_path, md5="", bytes="") == CONTENT[::-1]


def test_progress_is_told_in_bytes(
    site: Site, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site.files["/files/a"] = CONTENT
    monkeypatch.setattr(download, "_SECONDS_BETWEEN_LINES", 0.5)
    ticks = iter(float(tick) for tick in range(10**6))
    web.clock = lambda: next(ticks)
    with caplog.at_level(logging.INFO):
        used(site, web, tmp_path)
    assert "ENCFF000AAA.bam: 0.1 of 0.1 MB" in caplog.text


def test_a_disk_that_is_too_full_says_so(site: Site, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/files/a"] = CONTENT
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10}))
    with pytest.raises(InputError, match=r"0\.0 GB are to come and 0\.0 GB are free; make room"):
        used(site, web, tmp_path)


def test_a_reference_by_the_list_of_checksums_beside_it(site: Site, web: Web, tmp_path: Path) -> None:
    site.files |= {"/human/genes.gtf.gz": CONTENT, "/human/MD5SUMS": f"{MD5}  genes.gtf.gz\n".encode()}
    out, urls = tmp_path / "genes.gtf.gz", {"references": site.url}
    assert fetch_reference("references:/human/genes.gtf.gz", out, None, urls, web=web).read_bytes() == CONTENT
    fetch_reference("references:/human/genes.gtf.gz", out, None, urls, web=web)
    assert len(site.asked("/human/genes.gtf.gz")) == 1
    out.unlink()
    site.files["/human/genes.gtf.gz"] = CONTENT[:-1]
    with pytest.raises(InputError, match="checksum mismatch"):
        fetch_reference("references:/human/genes.gtf.gz", out, None, urls, web=web)
    with pytest.raises(InputError, match="write md5:"):
        fetch_reference("references:/human/genes.gtf.gz", out, None, urls, "crc:1", web=web)


def _job(url: str, folder: str, started: object, hold: object, said: object) -> None:
    with fetched_file(row(Path(folder)), "", {"encode": url}, PortalsConfig(requests_per_second=1e6)) as path:
        started.release()  # type: ignore[attr-defined]
        # Longer than the test waits for anything: a job that gave up would take the file away before the other comes.
        hold.acquire(timeout=300)  # type: ignore[attr-defined]
        said.put(hashlib.md5(path.read_bytes()).hexdigest())  # type: ignore[attr-defined]


def test_two_jobs_share_one_download_and_the_last_releases_it(site: Site, tmp_path: Path) -> None:
    site.files["/files/a"] = CONTENT
    context = multiprocessing.get_context("spawn")
    started, said = context.Semaphore(0), context.Queue()
    holds = [context.Semaphore(0), context.Semaphore(0)]
    jobs = [context.Process(target=_job, args=(site.url, str(tmp_path), started, hold, said)) for hold in holds]
    for job in jobs:
        job.start()
    assert started.acquire(timeout=120) and started.acquire(timeout=120)  # both are inside at the same time
    assert len(site.asked("/files/a")) == 1
    holds[0].release()
    assert said.get(timeout=120) == MD5
    jobs[0].join(120)
    assert left(tmp_path) == ["ENCFF000AAA.bam"]
    holds[1].release()
    assert said.get(timeout=120) == MD5
    jobs[1].join(120)
    assert left(tmp_path) == []


def test_many_threads_never_see_a_torn_or_absent_file(site: Site, tmp_path: Path) -> None:
    site.files["/files/a"] = CONTENT
    seen: list[bool] = []

    def job() -> None:
        for _ in range(15):
            with fetched_file(row(tmp_path), "", {"encode": site.url}, PortalsConfig(requests_per_second=1e6)) as path:
                seen.append(path.read_bytes() == CONTENT)

    threads = [threading.Thread(target=job) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 60 and all(seen)
    assert left(tmp_path) == []


def test_a_checksum_that_the_server_states_is_checked(site: Site, web: Web, tmp_path: Path) -> None:
    stated = base64.b64encode(bytes.fromhex(MD5)).decode()
    answers = [lambda handler: handler.reply(200, CONTENT[::-1], {"x-goog-hash": f"md5={stated}"})] * 2
    site.faults["/files/a"] = answers
    with pytest.raises(InputError, match=f"checksum mismatch: .* {MD5} is pinned"):
        used(site, web, tmp_path, md5="", bytes="")


def test_what_cannot_be_told_to_be_of_the_same_file_is_fetched_again(site: Site, web: Web, tmp_path: Path) -> None:
    site.files["/files/a"] = CONTENT
    site.faults["/files/a"] = [lambda handler: handler.reply(200, CONTENT[:9], {"ETag": 'W/"weak"'}, len(CONTENT))]
    assert used(site, web, tmp_path) == CONTENT
    assert not any("Range" in headers for headers in site.asked("/files/a"))
