"""One polite client for all portals: a shared limit of requests, patience where it may help, clear words where not."""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import fcntl
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

import megabase
from megabase.errors import InputError
from megabase.portals.config import BASE_URLS, PortalsConfig

logger = logging.getLogger(__name__)
T = TypeVar("T")
Login = tuple[str, str]

_PASSING = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 300.0
_LONGEST_ASKED = 3600.0
_PIECE = 1 << 20


class Temporary(Exception):
    """What may go well the next time; `wait` is how long the server asked for, in seconds."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class Slow(Temporary):
    """Bytes come, but too few: what arrived is no reason to go on as if all were well."""


class Refused(InputError):
    """The server answered, and the answer is no: 401, 403, 404 and their like."""


def base_url(portal: str, portals: PortalsConfig, base_urls: Mapping[str, str] | None) -> str:
    """Where a portal is: as given at run time, else as configured, else its own address; without a slash at its end."""
    given = (base_urls or {}).get(portal) or portals.base_urls.get(portal)  # type: ignore[call-overload]
    return (given or BASE_URLS[portal]).rstrip("/")


def resolved(url: str, base: str) -> str:
    """`url` if it is absolute, else that path under `base`."""
    return url if "://" in url else urljoin(f"{base}/", url)


def portable(url: str, base: str) -> str:
    """The inverse: the path under `base` (under its host, with a leading slash) where there is one."""
    host = "{0.scheme}://{0.netloc}".format(urlsplit(base))
    if url.startswith(f"{base}/"):
        return url[len(base) + 1 :]
    return url[len(host) :] if url.startswith(f"{host}/") else url


class Web:
    """Requests to any portal. Nothing here is logged but addresses as they were asked: never where they led, never a
    login."""

    def __init__(
        self,
        portals: PortalsConfig,
        shared: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`shared` is a folder through which jobs agree on limits; without one the limit is this object's own."""
        self.portals, self.shared = portals, shared
        self.clock, self.sleep, self.jitter = clock, sleep, jitter
        self._next: dict[str, _Turns] = {}
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"megabase/{megabase.__version__}"
        # Logins come from the environment, for one portal; without this, requests would also search ~/.netrc.
        self._session.auth = lambda request: request

    def json(self, url: str) -> dict[str, Any]:
        """A JSON object. A search without hits is one too: ENCODE says so with status 404 (data reference 1.1)."""

        def attempt() -> dict[str, Any]:
            headers = {"Accept": "application/json"}
            with self.answer(url, headers=headers, allowed=(200, 404)) as response:
                try:
                    found = response.json()
                except requests.JSONDecodeError:
                    if response.status_code == 404:
                        raise Refused("not found (404)", where=url, remedy="correct the query or base_urls") from None
                    raise Temporary("answer is not JSON") from None
                if response.status_code == 404 and "@graph" not in found:
                    raise Refused("not found (404)", where=url, remedy="correct the query or base_urls")
                return found

        return self.retried(url, attempt)

    def content(self, url: str) -> bytes:
        """All bytes of a small file."""

        def attempt() -> bytes:
            with self.answer(url) as response:
                return response.content

        return self.retried(url, attempt)

    def head(self, url: str) -> Mapping[str, str]:
        """The headers that a file would be served with."""

        def attempt() -> Mapping[str, str]:
            with self.answer(url, "HEAD", headers={"Accept-Encoding": "identity"}) as response:
                return response.headers

        return self.retried(url, attempt)

    @contextlib.contextmanager
    def answer(
        self,
        url: str,
        method: str = "GET",
        *,
        headers: Mapping[str, str] | None = None,
        login: Login | None = None,
        allowed: tuple[int, ...] = (200,),
    ) -> Iterator[requests.Response]:
        """One attempt, its body not read yet; raises Temporary or Refused for a status that is not `allowed`."""
        self._take_turn(url)
        try:
            with self._session.request(
                method,
                url,
                headers=dict(headers or {}),
                auth=login,
                stream=True,
                timeout=self.portals.timeout,
                allow_redirects=True,
            ) as response:
                if response.status_code not in allowed:
                    raise _refusal(response, url)
                yield response
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            raise InputError(f"not a URL: {error}", where=url, remedy="correct portals.base_urls") from None
        except requests.exceptions.InvalidSchema:
            raise InputError("not an http(s) URL", where=url, remedy="correct portals.base_urls") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # Their text has the whole address that was led to, with its signature.
            raise Temporary(f"connection lost ({type(error).__name__})") from None

    @staticmethod
    def pieces(response: requests.Response) -> Iterator[bytes]:
        """The body as it is stored: a `.gz` that a server declares as an encoding stays packed.

        Each piece is given as soon as it is there, so that a connection that breaks takes nothing with it.
        """
        while piece := response.raw.read1(_PIECE, decode_content=False):
            yield piece

    def retried(self, url: str, attempt: Callable[[], T]) -> T:
        """The result of `attempt`, tried again while what goes wrong may pass."""
        number = 0
        while True:
            try:
                return attempt()
            except Temporary as error:
                self.pause(url, number, error)
                number += 1

    def pause(self, url: str, number: int, error: Temporary) -> None:
        """Waits after attempt `number` failed: as long as asked, else exponentially longer, with jitter.

        Raises InputError after the last attempt.
        """
        if number >= self.portals.retries:
            remedy = "try again later: what has arrived is kept"
            raise InputError(f"{error}, {number + 1} times", where=url, remedy=remedy) from None
        wait = error.wait
        if wait is None:
            wait = min(self.portals.backoff * 2.0**number, _LONGEST_WAIT) * (0.5 + self.jitter())
        wait = min(wait, _LONGEST_ASKED)
        logger.info("%s: %s; again in %.1f s", url, error, wait)
        if error.wait:
            # The host asked for rest: no other job should be turned away for asking meanwhile.
            with self._turns(urlsplit(url).netloc) as turns:
                turns.following = max(turns.following, self.clock() + wait)
        self.sleep(wait)

    @contextlib.contextmanager
    def slot(self, url: str) -> Iterator[None]:
        """One of the places for downloads from a host that all jobs of this machine share."""
        if self.shared is None:
            yield
            return
        self.shared.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            names = [f"{urlsplit(url).netloc}.slot{number}" for number in range(self.portals.parallel)]
            places = [stack.enter_context(open(self.shared / name, "a")) for name in names]
            while not any(_locked(place) for place in places):
                self.sleep(0.2)
            yield

    def _take_turn(self, url: str) -> None:
        """Waits until the host may be asked: a token bucket that holds one second's worth."""
        step = 1 / self.portals.requests_per_second
        with self._turns(urlsplit(url).netloc) as turns:
            now = self.clock()
            turn = max(turns.following, now - 1 + step)
            turns.following = turn + step
        if turn > now:
            self.sleep(turn - now)

    @contextlib.contextmanager
    def _turns(self, host: str) -> Iterator[_Turns]:
        """A host's turns, held while the block runs."""
        if self.shared is None:
            yield self._next.setdefault(host, _Turns())
            return
        self.shared.mkdir(parents=True, exist_ok=True)
        with open(self.shared / f"{host}.turn", "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            turns = _Turns(float(file.read() or 0))
            yield turns
            file.truncate(0)
            file.write(repr(turns.following))


@dataclasses.dataclass
class _Turns:
    following: float = 0.0
    """When the next request may be made, by the clock."""


def fdn_login() -> Login | None:
    """The access key of 4DN, from the environment and from nowhere else."""
    key, secret = os.environ.get("MEGABASE_4DN_KEY"), os.environ.get("MEGABASE_4DN_SECRET")
    return (key, secret) if key and secret else None


def _refusal(response: requests.Response, url: str) -> Exception:
    status = response.status_code
    if status in _PASSING:
        return Temporary(f"the server says {status}", _asked_wait(response.headers.get("Retry-After")))
    if status == 403 and response.history:
        # Addresses of storage expire; asking the portal again gives a new one.
        return Temporary("the address that the portal led to has expired (403)")
    remedy = {
        401: "set MEGABASE_4DN_KEY and MEGABASE_4DN_SECRET to an access key of the portal",
        403: "check that the file is public, and the access key if one is set",
        404: "the portal has no such file: ask the portals again",
    }
    return Refused(f"the server says {status}", where=url, remedy=remedy.get(status, "check the address"))


def _asked_wait(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _locked(file: Any) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
