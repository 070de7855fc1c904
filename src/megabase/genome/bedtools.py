"""bedtools is a program, not a Python package: found on PATH or where `make setup` unpacks it."""

from __future__ import annotations

import shutil
from pathlib import Path

from megabase.errors import InputError

_UNPACKED = Path(".tools/usr/bin")


def find_bedtools() -> Path:
    """The folder that holds bedtools, made known to pybedtools.

    Looks on PATH, then in `.tools/` of the working directory and of the project. Raises InputError where it is not.
    """
    import pybedtools

    project = Path(__file__).resolve().parents[3]
    places = [None, str(_UNPACKED.resolve()), str(project / _UNPACKED)]
    for place in places:
        found = shutil.which("bedtools", path=place)
        if found:
            folder = Path(found).parent
            pybedtools.helpers.set_bedtools_path(str(folder))
            return folder
    raise InputError(
        "not found on PATH nor in .tools/usr/bin",
        where="bedtools",
        remedy="run `make setup`, or install it (apt-get install bedtools, brew install bedtools)",
    )
