"""`megabase inspect`: what a trained model says about itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from megabase.errors import InputError

_SHOWN = 6
_WIDTH = 100


def inspect(weights: Path) -> Iterator[str]:
    """Lines of the model's own description; long lists show their start and their length.

    `weights` is the folder of a model, or a file in it. Raises InputError where there is no description to read.
    """
    folder = weights if weights.is_dir() else weights.parent
    path = folder / "model.json"
    try:
        description = json.loads(path.read_text())
    except FileNotFoundError:
        remedy = "give the folder of a trained model, such as results/demo/models/fold_0"
        raise InputError("no model here", where=path, remedy=remedy) from None
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error}", where=path, remedy="export the model again") from None
    yield from _lines(description, "")
    tensors = folder / "weights.safetensors"
    yield f"weights: {tensors.stat().st_size:,} bytes" if tensors.exists() else f"weights: {tensors} is missing"


def _lines(value: Any, indent: str) -> Iterator[str]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, dict | list) and len(json.dumps(item)) > _WIDTH - len(indent) - len(str(key)):
            shown = item if isinstance(item, dict) else item[:_SHOWN]
            yield f"{indent}{key}:" if isinstance(item, dict) else f"{indent}{key}: {len(item):,} entries"
            yield from _lines(shown, indent + "  ")
            if len(shown) < len(item):
                yield f"{indent}  … {len(item) - len(shown):,} more"
        else:
            yield f"{indent}{key}: {_plain(item)}"


def _plain(item: Any) -> str:
    if isinstance(item, dict | list):
        return json.dumps(item, ensure_ascii=False)
    return f"{item:,}" if isinstance(item, int) and not isinstance(item, bool) else str(item)
