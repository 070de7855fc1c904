"""Which heads a model has and which tracks they predict, per organism."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32

from megabase.bundles import BUNDLES, Bundle
from megabase.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

PADDING = "Padding"
"""Track name of the rows that only fill a table up to the width of the head."""


@dataclasses.dataclass(frozen=True)
class HeadSpec:
    """One head: hashable and plain, so that it can stand in a compiled program's key and in JSON."""

    bundle: str
    """The output type."""
    tracks: int
    """Width: that of the organism with the most tracks. The others are padded at the end."""
    means: tuple[tuple[float, ...], ...]
    """Mean over the non-zero bases of each track, per organism; 1 for padding and where there is none."""
    valid: tuple[tuple[bool, ...], ...]
    """Which tracks are real, per organism."""

    @property
    def settings(self) -> Bundle:
        """What is fixed about the output type."""
        return BUNDLES[self.bundle]

    @property
    def head(self) -> str:
        """Name of the head and of its predictions."""
        return self.settings.head

    @property
    def track_means(self) -> Float32[np.ndarray, "organisms tracks"]:
        """`means` as an array."""
        return np.asarray(self.means, np.float32)

    @property
    def track_valid(self) -> Bool[np.ndarray, "organisms tracks"]:
        """`valid` as an array."""
        return np.asarray(self.valid, bool)


def head_specs(tracks: Mapping[str, Mapping[str, pd.DataFrame]], indices: Mapping[str, int]) -> tuple[HeadSpec, ...]:
    """The heads for track tables (one row per track, in order; columns `track` and `nonzero_mean`) by organism and
    bundle, in the order of `BUNDLES`. `indices` are the organisms' rows in the model, 0 to their number.

    Raises InputError for indices with gaps and for a bundle that no head predicts.
    """
    if sorted(indices.values()) != list(range(len(indices))):
        raise InputError(f"organism indices are {dict(indices)}", where="organisms", remedy="number them 0, 1, ...")
    for organism, tables in tracks.items():
        for bundle in tables:
            if bundle not in BUNDLES or BUNDLES[bundle].kind == "splicing":
                heads = ", ".join(name for name, known in BUNDLES.items() if known.kind != "splicing")
                raise InputError(f"no head predicts {bundle}", where=organism, remedy=f"choose from {heads}")
    by_index = [tracks.get(organism, {}) for organism in sorted(indices, key=indices.__getitem__)]
    bundles = [bundle for bundle in BUNDLES if any(bundle in tables for tables in by_index)]
    return tuple(_head_spec(bundle, [tables.get(bundle) for tables in by_index]) for bundle in bundles)


def _head_spec(bundle: str, tables: list[pd.DataFrame | None]) -> HeadSpec:
    width = max(0 if table is None else len(table) for table in tables)
    means, valid = [], []
    for table in tables:
        rows = 0 if table is None else len(table)
        given = [1.0] * rows
        if table is not None and "nonzero_mean" in table and BUNDLES[bundle].kind == "signal":
            given = [float(mean) for mean in table["nonzero_mean"]]
        real = [True] * rows if table is None or "track" not in table else [t != PADDING for t in table["track"]]
        usable = [mean if math.isfinite(mean) and mean > 0 else 1.0 for mean in given]
        means.append((*usable, *[1.0] * (width - rows)))
        valid.append((*real, *[False] * (width - rows)))
    return HeadSpec(bundle, width, tuple(means), tuple(valid))
