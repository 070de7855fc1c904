"""What a model predicts: its heads, their tracks, its organisms.

Read while Snakemake parses; imports nothing heavy.
"""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabase.bundles import BUNDLES, Bundle
from megabase.errors import InputError
from megabase.model.config import NetworkConfig

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from jaxtyping import Bool, Float32, Int

PADDING = "Padding"
"""Track name of the rows that only fill a table up to the width of the head."""
_STRANDS = {"+": 1, "-": -1, ".": 0, "positive": 1, "negative": -1, "unstranded": 0, "": 0}
RESOLUTIONS = (1, 2, 4, 8, 16, 32, 64, 128)
"""What heads along the genome can predict at, in bp: from 1 bp to a token of the transformer."""
CLASSES = 5
"""Splice classes: donor +, acceptor +, donor -, acceptor -, none (architecture reference 6.2)."""


@dataclasses.dataclass(frozen=True)
class HeadSpec:
    """One head: hashable and plain, so that it can stand in a compiled program's key and in JSON."""

    bundle: str
    """The output type."""
    tracks: int
    """Width: that of the organism with the most tracks. The others are padded at the end, usage at the end of each
    strand's half. Splice sites: the five classes. Junctions: tissues, each with two strands."""
    means: tuple[tuple[float, ...], ...]
    """Mean over the non-zero bases of each track, per organism; 1 for padding and where there is none."""
    valid: tuple[tuple[bool, ...], ...]
    """Which tracks are real, per organism."""
    strands: tuple[str, ...] = ()
    """Per organism one character for each track: `+`, `-` or `.`; all `.` where empty."""
    chosen: tuple[int, ...] = ()
    """Resolutions in bp, the finest first, where they are not those of the output type."""

    @property
    def settings(self) -> Bundle:
        """What is fixed about the output type."""
        return BUNDLES[self.bundle]

    @property
    def head(self) -> str:
        """Name of the head and of its predictions."""
        return self.settings.head

    @property
    def resolutions(self) -> tuple[int, ...]:
        """What it predicts at, in bp, the finest first."""
        return self.chosen or self.settings.resolutions

    @property
    def read_at(self) -> int:
        """Resolution, in bp, of the stored targets that it is compared with: the others are made from these."""
        return min(self.resolutions[0], self.settings.resolutions[0])

    @property
    def track_means(self) -> Float32[np.ndarray, "organisms tracks"]:
        """`means` as an array."""
        import numpy as np

        return np.asarray(self.means, np.float32)

    @property
    def track_valid(self) -> Bool[np.ndarray, "organisms tracks"]:
        """`valid` as an array."""
        import numpy as np

        return np.asarray(self.valid, bool)

    @property
    def track_strands(self) -> Int[np.ndarray, "organisms tracks"]:
        """1 for the plus strand, -1 for the minus strand, 0 for neither."""
        import numpy as np

        strands = self.strands or ("." * self.tracks,) * len(self.valid)
        return np.array([[_STRANDS[strand] for strand in row] for row in strands])

    def columns(self, organism_index: int) -> Int[np.ndarray, " real"]:
        """Where the rows of an organism's track table stand in the head, in their order."""
        import numpy as np

        return np.flatnonzero(self.valid[organism_index])


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Everything that decides a model's shape; hashable, so that it can stand in a compiled program's key."""

    network: NetworkConfig
    """Widths and depths."""
    heads: tuple[HeadSpec, ...]
    """What it predicts, in the order of `BUNDLES`."""
    organisms: int
    """Rows of every per-organism array."""

    @staticmethod
    def paper(tracks_dir: str | Path, **changes: Any) -> ModelConfig:
        """The released model: 450,452,613 parameters. `tracks_dir` holds its `human.tsv` and `mouse.tsv`; `changes`
        are other values of `NetworkConfig` (`dtype="float32"`). Raises InputError for a table that cannot be read."""
        network = dataclasses.replace(NetworkConfig.paper(), **changes)
        tables = {name: _released(Path(tracks_dir) / f"{name}.tsv") for name in ("human", "mouse")}
        return ModelConfig(network, head_specs(tables, {"human": 0, "mouse": 1}), len(tables))

    @staticmethod
    def demo(**changes: Any) -> ModelConfig:
        """The same blocks at small width, with a few tracks of every output type in two organisms."""
        network = dataclasses.replace(NetworkConfig.demo(), **changes)
        sizes = {"SPLICE_SITES": (4, 4), "SPLICE_SITE_USAGE": (6, 4)}
        tables: list[dict[str, _Rows]] = [
            {name: {"track": [f"{name} {i}" for i in range(sizes.get(name, (3, 2))[row])]} for name in BUNDLES}
            for row in range(2)
        ]
        return ModelConfig(network, head_specs({"a": tables[0], "b": tables[1]}, {"a": 0, "b": 1}), 2)


_Rows = Mapping[str, Any]
"""A track table by column."""


def head_specs(
    tracks: Mapping[str, Mapping[str, pd.DataFrame | _Rows]], indices: Mapping[str, int]
) -> tuple[HeadSpec, ...]:
    """The heads for track tables (one row per track, in order; columns `track` and `nonzero_mean`) by organism and
    bundle, in the order of `BUNDLES`. `indices` are the organisms' rows in the model, 0 to their number.

    Splice-site usage: all rows of the plus strand, then as many of the minus strand.
    Raises InputError for indices with gaps, an unknown bundle, and usage that is not two halves.
    """
    if sorted(indices.values()) != list(range(len(indices))):
        raise InputError(f"organism indices are {dict(indices)}", where="organisms", remedy="number them 0, 1, ...")
    for organism, tables in tracks.items():
        for bundle, table in tables.items():
            if bundle not in BUNDLES:
                raise InputError(
                    f"no head predicts {bundle}", where=organism, remedy=f"choose from {', '.join(BUNDLES)}"
                )
            if bundle == "SPLICE_SITE_USAGE" and len(table["track"]) % 2:
                remedy = "list all + rows, then all - rows"
                raise InputError(f"{len(table['track'])} rows of {bundle}", where=organism, remedy=remedy)
    by_index = [tracks.get(organism, {}) for organism in sorted(indices, key=indices.__getitem__)]
    bundles = [bundle for bundle in BUNDLES if any(bundle in tables for tables in by_index)]
    return tuple(_head_spec(bundle, [tables.get(bundle) for tables in by_index]) for bundle in bundles)


def at_resolutions(specs: tuple[HeadSpec, ...], chosen: Mapping[str, Sequence[int]]) -> tuple[HeadSpec, ...]:
    """The heads, those that `chosen` names with its resolutions, in bp.

    Raises InputError for a name that no output type has, and for resolutions that a head cannot have.
    """
    bundles = {bundle.head: bundle for bundle in BUNDLES.values()}
    for head, resolutions in chosen.items():
        where, bundle = f"resolutions.{head}", bundles.get(head)
        if bundle is None:
            raise InputError(f"no head {head}", where=where, remedy=f"choose from {', '.join(bundles)}")
        if bundle.kind == "contact_maps":
            raise InputError("contact maps have one resolution", where=where, remedy="leave it out")
        possible = [own for own in RESOLUTIONS if own >= bundle.store_bin]
        most = len(possible) if bundle.kind == "signal" else 1
        if not 0 < len(resolutions) <= most or not set(resolutions) <= set(possible):
            number = "one" if most == 1 else "some"
            remedy = f"choose {number} of {', '.join(map(str, possible))}"
            raise InputError(f"{list(resolutions)} bp cannot be predicted", where=where, remedy=remedy)
    return tuple(
        dataclasses.replace(spec, chosen=tuple(sorted(set(chosen[spec.head])))) if spec.head in chosen else spec
        for spec in specs
    )


def _head_spec(bundle: str, tables: list[Any]) -> HeadSpec:
    rows = [0 if table is None else len(table["track"]) for table in tables]
    # Usage has its padding at the end of each strand's half, so that a tissue's strands stay half a width apart.
    parts = 2 if bundle == "SPLICE_SITE_USAGE" else 1
    width = CLASSES if bundle == "SPLICE_SITES" else max(rows)
    means, valid, strands = [], [], []
    for table, count in zip(tables, rows, strict=True):
        given, real, sides = [1.0] * count, [True] * count, ["."] * count
        if table is not None:
            real = [track != PADDING for track in table["track"]]
            if "strand" in table:
                sides = [".+-"[_STRANDS[strand]] for strand in table["strand"]]
            if "nonzero_mean" in table and BUNDLES[bundle].kind == "signal":
                given = [float(mean) for mean in table["nonzero_mean"]]
        usable = [mean if math.isfinite(mean) and mean > 0 else 1.0 for mean in given]
        means.append(_padded(usable, 1.0, width, parts))
        valid.append(_padded(real, False, width, parts))
        strands.append("".join(_padded(sides, ".", width, parts)))
    return HeadSpec(bundle, width, tuple(means), tuple(valid), tuple(strands))


def _padded(values: list[Any], filler: Any, width: int, parts: int) -> tuple[Any, ...]:
    size, room = len(values) // parts, width // parts
    pieces = [values[part * size : (part + 1) * size] + [filler] * (room - size) for part in range(parts)]
    return tuple(value for piece in pieces for value in piece)


def released_tables(path: str | Path) -> dict[str, list[dict[str, str]]]:
    """The rows of a released table of tracks, with its padding, by bundle.

    Raises InputError where it is absent or lacks the columns `output_type`, `name`, `strand` and `nonzero_mean`.
    """
    bundles: dict[str, list[dict[str, str]]] = {}
    try:
        with open(path, newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                bundles.setdefault(row["output_type"], []).append(row)
                float(row["nonzero_mean"] or "nan"), row["name"], _STRANDS[row["strand"]]
    except FileNotFoundError:
        remedy = "give the folder with human.tsv and mouse.tsv"
        raise InputError("no such table of tracks", where=path, remedy=remedy) from None
    except (KeyError, ValueError) as error:
        remedy = "it needs the columns output_type, name, strand and nonzero_mean, separated by tabs"
        raise InputError(f"not a table of tracks: {error}", where=path, remedy=remedy) from None
    return bundles


def _released(path: Path) -> Mapping[str, _Rows]:
    return {
        bundle: {
            "track": [row["name"] for row in rows],
            "strand": [row["strand"] for row in rows],
            "nonzero_mean": [float(row["nonzero_mean"] or "nan") for row in rows],
        }
        for bundle, rows in released_tables(path).items()
    }
