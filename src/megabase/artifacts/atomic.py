"""Outputs appear whole or not at all: written beside their place, flushed, then renamed into it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A path to write a file to; it becomes `path` when the block ends well, and vanishes when it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: some writers (numpy, pyBigWig) choose by it or append their own.
    partial = path.with_name(f".{os.getpid()}.partial.{path.name}")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """A folder to fill; it replaces `path` when the block ends well, and vanishes when it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.partial.{path.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_leftovers(*paths: Path) -> None:
    """Removes what killed writers of these left beside them. Only their one writer may ask for it."""
    for path in paths:
        for leftover in path.parent.glob(f".*.partial.{path.name}"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def write_text(path: str | Path, text: str, *, only_if_changed: bool = False) -> None:
    """Writes `text` whole; with `only_if_changed` a file that already says so keeps its modification time."""
    path = Path(path)
    if only_if_changed and path.exists() and path.read_text() == text:
        return
    with atomic_path(path) as partial:
        partial.write_text(text)


def write_json(path: str | Path, value: Any) -> None:
    """Writes `value` as indented JSON with sorted keys."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")
