"""Where the repository is."""

from __future__ import annotations

from pathlib import Path

import megabase
from megabase.errors import InputError


def repository_root() -> Path:
    """The folder with `pyproject.toml` that this package is installed from.

    Raises InputError where the package was installed without its repository.
    """
    root = Path(megabase.__file__).resolve().parents[2]
    if not (root / "requirements.lock").is_file():
        raise InputError(
            "Megabase is installed without its repository",
            where=Path(megabase.__file__).parent,
            remedy="run this from a clone, with its .venv/bin/megabase",
        )
    return root
