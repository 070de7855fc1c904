"""What made a file: code version, packages, time and the hashes of what went in."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from typing import Any, TypedDict

import megabase


class Provenance(TypedDict):
    """The record kept beside an output. It is recorded, never part of a cache key."""

    megabase: str
    python: str
    packages: dict[str, str]
    made: str
    inputs: dict[str, Any]


def provenance(packages: tuple[str, ...] = (), **inputs: Any) -> Provenance:
    """The record for something made now from `inputs` (names to hashes or settings)."""
    return Provenance(
        megabase=megabase.__version__,
        python=platform.python_version(),
        packages={name: importlib.metadata.version(name) for name in packages},
        made=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        inputs=inputs,
    )
