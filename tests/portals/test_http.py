"""The client: its limits, its patience and its words."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_with_faults import Site, status

from megabase.errors import InputError
from megabase.portals.config import PortalsConfig
from megabase.portals.http import Web, base_url, portable, resolved


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://h:1/encode/files/a", "files/a"),
        ("http://h:1/storage/b", "/storage/b"),
        ("https://other/c", "https://other/c"),
        ("http://h:1/fantom5/K562%2520cell.bed.gz", "/fantom5/K562%2520cell.bed.gz"),
    ],
)
def test_addresses_are_kept_so_that_a_mirror_can_serve_them(url: str, path: str) -> None:
    assert portable(url, "http://h:1/encode") == path
    assert resolved(path, "http://h:1/encode") == url


def test_base_urls_given_at_run_time_come_first() -> None:
    portals = PortalsConfig(base_urls={"encode": "http://mirror/"})
    assert base_url("encode", portals, {"encode": "http://here/encode/"}) == "http://here/encode"
    assert base_url("encode", portals, {}) == "http://mirror"
    assert base_url("encode", PortalsConfig(), None) == "https://www.encodeproject.org"


def test_requests_to_one_host_keep_their_distance(site: Site, clock, tmp_path: Path) -> None:
    site.files["/a"] = b"a"
    portals = PortalsConfig(requests_per_second=2)
    jobs = [Web(portals, tmp_path, clock=clock, sleep=clock.sleep) for _ in range(2)]
    for number in range(12):
        jobs[number % 2].content(f"{site.url}/a")
    # Twelve at two a second, of which the first second's worth goes at once.
    assert clock.now - 1000.0 == pytest.approx(5.0)


def test_a_host_that_asks_for_rest_gets_it_from_all_jobs(site: Site, clock, tmp_path: Path) -> None:
    site.files["/a"] = b"a"
    one, other = (Web(PortalsConfig(retries=0), tmp_path, clock=clock, sleep=clock.sleep) for _ in range(2))
    site.faults["/a"] = [status(429, Retry_After="7")]
    with pytest.raises(InputError, match="429"):
        one.content(f"{site.url}/a")
    one.portals = PortalsConfig(retries=1)
    site.faults["/a"] = [status(429, Retry_After="7")]
    # Another job, which comes while the first one waits.
    one.sleep = lambda seconds: other.content(f"{site.url}/a")
    one.content(f"{site.url}/a")
    assert clock.now == pytest.approx(1007.0, abs=0.5)


def test_downloads_of_one_host_wait_for_a_place(clock, tmp_path: Path) -> None:
    one = Web(PortalsConfig(parallel=1), tmp_path, clock=clock, sleep=clock.sleep)
    other = Web(PortalsConfig(parallel=1), tmp_path, sleep=lambda seconds: (_ for _ in ()).throw(TimeoutError))
    with one.slot("http://h/a"):
        with pytest.raises(TimeoutError), other.slot("http://h/b"):
            pass
        with other.slot("http://elsewhere/b"):
            pass
    with other.slot("http://h/b"):
        pass


def test_a_search_without_hits_is_an_answer(site: Site, web: Web) -> None:
    site.pages["/search/"] = lambda query: (404, {"@graph": [], "total": 0})
    assert web.json(f"{site.url}/search/?type=File")["total"] == 0
    site.pages["/search/"] = lambda query: (404, {"status": "error"})
    with pytest.raises(InputError, match="not found"):
        web.json(f"{site.url}/search/")


def test_patience_ends(site: Site, web: Web, clock) -> None:
    site.faults["/a"] = [status(503)] * 9
    with pytest.raises(InputError, match="the server says 503, 4 times"):
        web.content(f"{site.url}/a")
    assert clock.slept == [1.0, 2.0, 4.0]
    with pytest.raises(InputError, match=r"connection lost \(ConnectionError\), 4 times"):
        web.content("http://127.0.0.1:9/nobody")
    with pytest.raises(InputError, match="not an http"):
        web.content("ftp://host/a")


def test_no_login_is_looked_for_in_the_home(
    site: Site, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    site.files["/a"] = b"a"
    web.content(f"{site.url}/a")
    assert "Authorization" not in site.asked("/a")[0]
