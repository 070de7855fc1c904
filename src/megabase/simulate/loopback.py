"""Where the portals are: in a simulated world on this machine, for as long as a job asks them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from megabase.simulate.config import WorldConfig


@contextlib.contextmanager
def portal_urls(world: WorldConfig | None, root: Path) -> Iterator[Mapping[str, str]]:
    """Base URLs by portal of the world under `root`, served while inside; none without a world: the config's hold."""
    if world is None:
        yield {}
        return
    from megabase.simulate.portals import serve

    with serve(root) as urls:
        yield urls
