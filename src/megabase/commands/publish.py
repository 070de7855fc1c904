"""`megabase publish`: a store, shards or a model, where others can read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from megabase.artifacts import Url, location
from megabase.artifacts.publishing import publish as published
from megabase.errors import InputError


def publish(folder: Path, url: str, verify: bool) -> Iterator[str]:
    """Copies a folder to an object store by hash; yields what was done, in one line."""
    place = location(url)
    if not isinstance(place, Url):
        raise InputError("not a URL", where=url, remedy="write gs://bucket/path or s3://bucket/path")
    if not folder.is_dir():
        raise InputError("no folder here", where=folder, remedy="name the folder of a store, of shards or of a model")
    done = published(folder, place, verify=verify)
    yield (
        f"{place}: {done.files} files, {done.bytes / 1e6:,.1f} MB, of which {done.sent} files, "
        f"{done.sent_bytes / 1e6:,.1f} MB, were sent; {done.removed} removed"
    )
