"""A model begins where another ended: fine-tuning on other tracks, organisms or folds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from megabase.errors import InputError
from megabase.model.network import AlphaGenome
from megabase.model.weights import arrays, filled, load

ORGANISM_ROWS = "organism.embeddings"
"""End of the names of arrays below the heads that have a row for each organism."""


def begun(network: AlphaGenome, organisms: dict[str, int], folder: Path) -> tuple[AlphaGenome, dict[str, Any]]:
    """`network` with the values of the model in `folder`, and what is to be known of that model.

    Everything below the heads is taken over, and heads that predict the same tracks for the same organisms; other heads
    stay as they were initialised. An organism that the other model does not know begins as its first one. Raises
    InputError where sizes differ.
    """
    source, described = load(folder)
    values, given = dict(arrays(network)), arrays(source)
    theirs: dict[str, int] = described.get("organisms", {})
    rows = [theirs.get(name, 0) for name in sorted(organisms, key=lambda name: organisms[name])]
    same = {spec.head for spec in network.config.heads if spec in source.config.heads} if theirs == organisms else set()
    taken = []
    for name, value in values.items():
        if name.startswith("heads.") and name.split(".")[1] not in same:
            continue
        new = np.asarray(given[name]) if name in given else None
        if new is not None and name.endswith(ORGANISM_ROWS):
            new = new[rows]
        if new is None or new.shape != value.shape:
            size = "no such array" if new is None else f"shape {new.shape}, not {value.shape}"
            remedy = "set `model` to the size in its model.json: megabase inspect"
            raise InputError(f"{name} has {size}", where=folder, remedy=remedy)
        values[name] = new
        taken.append(name)
    own = {name: described.get(name) for name in ("name", "fold", "split_hashes", "weights_sha256")}
    heads = sorted({name.split(".")[1] for name in taken if name.startswith("heads.")})
    return filled(network, values), own | {"heads": heads}
