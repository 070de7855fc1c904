"""Reference files that stand behind a URL, fetched before the reference is built."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from megabase.genome.config import REFERENCE_FILES, Organism, ReferenceKey
from megabase.portals.config import PortalsConfig
from megabase.portals.fetch import fetch_reference


def with_local_references(
    organism: Organism,
    folder: Path,
    portals: PortalsConfig,
    base_urls: Mapping[str, str] | None = None,
    keys: Sequence[ReferenceKey] = REFERENCE_FILES,
) -> Organism:
    """The organism with each remote file of `keys` fetched to `folder`, verified, and named by its path there.

    Raises InputError for a file that cannot be fetched or is not the one that `checksums` promises.
    """
    fetched: dict[str, Any] = {}
    for key in keys:
        url = getattr(organism, key)
        if url and ":" in url:
            name = f"{key}.{url.rsplit('/', 1)[-1]}"
            promised = organism.checksums.get(key, "")
            fetched[key] = str(fetch_reference(url, folder / name, portals, base_urls, promised))
    return dataclasses.replace(organism, **fetched)
