"""`megabase import-official`: a released checkpoint as a model of ours."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from megabase.errors import InputError
from megabase.model.official import STATE, from_official
from megabase.model.spec import PADDING, ModelConfig, released_tables
from megabase.model.weights import export

logger = logging.getLogger(__name__)

_ROOT = "alphagenome"
WINDOW = 1_048_576
"""Length, in bp, of the windows that the released model was trained on (paper section 2)."""
ORGANISMS = {"human": "hg38", "mouse": "mm10"}
"""Organisms of the release in the order of their rows, with their assemblies."""


def import_official(checkpoint: Path, tracks: Path, out: Path, config: ModelConfig | None = None) -> None:
    """Writes the Orbax checkpoint as weights that describe themselves.

    `tracks` holds the release's `human.tsv` and `mouse.tsv`; `config` is the model, the released one by default.
    Raises InputError for a folder that is no checkpoint, and names an array that is missing, extra or misshaped.
    """
    config = config or ModelConfig.paper(tracks)
    arrays = read_checkpoint(checkpoint)
    state = {path: array for path, array in arrays.items() if path.endswith(f"/{STATE}")}
    model = from_official({path: array for path, array in arrays.items() if path not in state}, state, config)
    described = {
        "name": checkpoint.name,
        "organisms": {name: row for row, name in enumerate(ORGANISMS)},
        "assemblies": ORGANISMS,
        "tracks": {name: _tables(tracks / f"{name}.tsv") for name in ORGANISMS},
        "window_length": WINDOW,
        "licence": "terms of the released AlphaGenome weights",
        "source": f"released checkpoint {checkpoint.name}",
    }
    export(out, model, described)
    logger.info("%s arrays of %s written to %s", len(arrays), checkpoint, out)


def read_checkpoint(folder: Path) -> dict[str, np.ndarray]:
    """Every array of an Orbax checkpoint by released path; what stands above the model's own module is left out.

    Raises InputError where there is no checkpoint or nothing of the model in it.
    """
    import orbax.checkpoint as ocp

    if not folder.is_dir():
        raise InputError("no such folder", where=folder, remedy="give the folder of a released checkpoint")
    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            tree = checkpointer.restore(folder.resolve())
    except (ValueError, FileNotFoundError, KeyError) as error:
        what = f"not an Orbax checkpoint: {' '.join(str(error).split())[:200]}"
        raise InputError(what, where=folder, remedy="give the folder that the release was unpacked to") from None
    found = {path[path.index(_ROOT) :]: array for path, array in _leaves(tree, "") if f"{_ROOT}/" in path}
    if not found:
        raise InputError(f"no array of {_ROOT} in the checkpoint", where=folder, remedy="give a released checkpoint")
    return found


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays of nested mappings and sequences, with their keys joined by `/`."""
    if isinstance(tree, Mapping):
        items: Iterable[tuple[Any, Any]] = tree.items()
    elif isinstance(tree, list | tuple):
        items = enumerate(tree)
    else:
        if tree is not None:
            yield path, np.asarray(tree)
        return
    for key, value in items:
        yield from _leaves(value, f"{path}/{key}" if path else str(key))


def _tables(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Track tables by bundle, as a model describes them: real tracks only."""
    columns = ("ontology_curie", "biosample_name", "biosample_type", "biosample_stage", "assay", "data_source")
    more = ("endedness", "genetically_modified", "gtex_tissue")
    signs = {"positive": "+", "negative": "-"}
    return {
        bundle: [
            {"index": i, "track": row["name"], "track_id": row["name"], "strand": signs.get(row["strand"], ".")}
            | {column: row.get(column, "") for column in columns + more}
            | {"target": row.get("transcription_factor_code") or row.get("histone_mark_code") or ""}
            for i, row in enumerate(row for row in rows if row["name"] != PADDING)
        ]
        for bundle, rows in released_tables(path).items()
    }
