"""Contact maps of a region as cooler files, for cooler, HiGlass and all that reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from megabase.artifacts import atomic_path
from megabase.bundles import BUNDLES
from megabase.commands.tracks import matches
from megabase.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from jaxtyping import Float32, UInt8

    from megabase.genome.regions import Region

BIN = BUNDLES["CONTACT_MAPS"].resolutions[0]
HEAD = BUNDLES["CONTACT_MAPS"].head


class Predicts(Protocol):
    """What is needed of `megabase.scoring.predict.Predictor`."""

    def predict(
        self, codes: UInt8[np.ndarray, "B S"], organism: str, *, heads: frozenset[str]
    ) -> Mapping[str, Mapping[int, Float32[np.ndarray, "B P P tracks"]]]:
        """Predictions of these heads, by head and resolution (bp)."""
        ...


class Sequences(Protocol):
    """What is needed of `megabase.genome.reference.Reference`."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Chromosome lengths, in bp."""
        ...

    def codes(self, chrom: str, start: int, end: int) -> UInt8[np.ndarray, " bases"]:
        """Base codes of [start, end), 4 beyond the chromosome's ends."""
        ...


def chosen_maps(tables: Mapping[str, pd.DataFrame], words: str) -> list[tuple[int, str]]:
    """(position within the head, track_id) of the contact maps that hold every word."""
    table = tables.get("CONTACT_MAPS")
    if table is None:
        return []
    rows: list[dict[str, str]] = table.astype(str).assign(bundle="CONTACT_MAPS").to_dict("records")  # type: ignore[assignment]
    return [(place, row["track_id"]) for place, row in enumerate(rows) if matches(row, words)]


def predict_contacts(
    predictor: Predicts,
    reference: Sequences,
    region: Region,
    organism: str,
    maps: Sequence[tuple[int, str]],
    out: Path,
    *,
    window: int,
) -> list[Path]:
    """Writes `contact_maps.{track_id}.cool` under `out` for each (position within the head, track_id) of `maps`.

    Bins of 2,048 bp over the whole assembly; pixels, of the log of observed over expected contacts, between bins of the
    region that one window of `window` bp can hold. Windows overlap by half, and a pixel is that of the window in whose
    middle half its own middle lies.

    Raises InputError for a window whose quarter is no multiple of 2,048 bp.
    """
    import cooler
    import numpy as np
    import pandas as pd

    if window < 4 * BIN or window % (4 * BIN):
        what = f"{window} is no multiple of {4 * BIN}"
        raise InputError(what, where="--window", remedy="give 16384, 131072 or the like for contact maps")
    first, last = region.start // BIN, -(-region.end // BIN)
    count, half = window // BIN, window // BIN // 2
    left, right = np.triu_indices(count)
    pieces = []
    for start in range(first, last, half):
        begin = start - half // 2
        codes = reference.codes(region.chrom, begin * BIN, begin * BIN + window)
        values = predictor.predict(codes[None], organism, heads=frozenset({HEAD}))[HEAD][BIN][0]
        # The middle of a pixel lies between two bins as often as in one: twice its place is whole.
        twice = left + right + 1
        kept = (twice >= half) & (twice < 3 * half)
        kept |= (twice < half) & (start == first) | (twice >= 3 * half) & (start + half >= last)
        for side in (left, right):
            kept &= (side + begin >= first) & (side + begin < last)
        pieces.append((left[kept] + begin, right[kept] + begin, values[left[kept], right[kept]]))
    bins = cooler.binnify(pd.Series(dict(reference.sizes)), BIN)
    offset = int(np.flatnonzero((bins["chrom"] == region.chrom).to_numpy())[0])
    one, other, predicted = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    order = np.lexsort((other, one))
    paths = []
    for place, track_id in maps:
        pixels = pd.DataFrame({"bin1_id": one[order] + offset, "bin2_id": other[order] + offset})
        pixels["count"] = predicted[order, place].astype(np.float64)
        path = out / f"{HEAD}.{track_id}.cool"
        with atomic_path(path) as partial:
            cooler.create_cooler(str(partial), bins, pixels, dtypes={"count": np.float64}, ordered=True)
        paths.append(path)
    return paths
