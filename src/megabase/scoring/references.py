"""Where the reference of a model lies, if nobody says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from megabase.errors import InputError


def found_reference(model: Path, organism: str, assembly: str | None) -> Path:
    """The built reference of the model's assembly under `data/`, beside the model's `results/` or here.

    Raises InputError where there is none, or several with other content.
    """
    found: dict[str, Path] = {}
    for folder in _candidates(model, organism):
        record = json.loads((folder / "reference.json").read_text())
        if assembly in (None, record.get("assembly")):
            found.setdefault(json.dumps(record.get("sha256", str(folder)), sort_keys=True), folder)
    if len(found) == 1:
        return next(iter(found.values()))
    what = f"{'several references' if found else 'no reference'} of {assembly or organism} under data/"
    raise InputError(what, where=model, remedy="give the folder: load(..., reference='data/demo/reference/human')")


def _candidates(model: Path, organism: str) -> Iterator[Path]:
    for root in (*model.resolve().parents, Path.cwd()):
        yield from (path.parent for path in sorted(root.glob(f"data/*/reference/{organism}/reference.json")))
