"""A web server with faults, and a client whose clock is the tests'."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest
from site_with_faults import Site, served

from megabase.portals.config import PortalsConfig
from megabase.portals.http import Web


@dataclasses.dataclass
class Clock:
    """Time that passes only while somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = dataclasses.field(default_factory=list)
    until: int = 0
    """Sleeps after which something happens ..."""
    then: Callable[[], None] = lambda: None
    """... namely this."""

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.until -= 1
        if self.until == 0:
            self.then()


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server on a free port."""
    with served() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    """Time that passes only while somebody sleeps."""
    return Clock()


@pytest.fixture
def web(clock: Clock) -> Web:
    """A client with a limit that does not matter, and no chance in its waits."""
    portals = PortalsConfig(requests_per_second=1e6, retries=3, timeout=5)
    return Web(portals, clock=clock, sleep=clock.sleep, jitter=lambda: 0.5)
