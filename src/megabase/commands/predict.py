"""`megabase predict`: a region's tracks as bigWig files for any genome browser, its contact maps as cooler files."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from megabase.artifacts import atomic_path
from megabase.bundles import BUNDLES
from megabase.commands.contacts import chosen_maps, predict_contacts
from megabase.commands.tracks import matches
from megabase.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from jaxtyping import Float32, UInt8

    from megabase.genome.reference import Reference
    from megabase.genome.regions import Region

logger = logging.getLogger(__name__)

# The model's coarsest grid: a window is a multiple of it, and a region is cut on its half and quarter marks.
_GRID = 2048
_TRACK_GRID = 128
# Each track is an open file with its own buffers; systems allow about a thousand.
_MOST = 500


class Predicts(Protocol):
    """What is needed of `megabase.scoring.predict.Predictor`."""

    @property
    def tracks(self) -> Mapping[str, Mapping[str, pd.DataFrame]]:
        """Track table (with `track_id` and metadata) by organism and bundle."""
        ...

    @property
    def window_length(self) -> int:
        """Length of the training windows, in bp."""
        ...

    def predict(
        self, codes: UInt8[np.ndarray, "B S"], organism: str
    ) -> Mapping[str, Mapping[int, Float32[np.ndarray, "B positions tracks"]]]:
        """Unscaled predictions by head and resolution (bp)."""
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


def predict(
    weights: Path,
    reference: Path,
    region: str,
    out: Path,
    organism: str | None = None,
    words: str = "",
    resolution: int | None = None,
    window: int | None = None,
    picture: str | None = "tracks.png",
) -> list[Path]:
    """Loads model and reference and writes the bigWigs of `predict_region` and the maps of `predict_contacts`, and a
    picture of the bigWigs by this name (.png or .svg; none if there is no name).

    Raises InputError for weights, a reference, an organism, a region or words that lead nowhere.
    """
    from megabase.genome.reference import Reference
    from megabase.genome.regions import parse_region
    from megabase.scoring.predict import Predictor

    if picture and Path(picture).suffix not in (".png", ".svg"):
        raise InputError(f"{picture} is no picture", where="--picture", remedy="give a name that ends in .png or .svg")
    genome = Reference.open(reference)
    place = parse_region(region, genome.sizes, where="--region")
    predictor = Predictor.load(weights)
    name = chosen_organism(predictor, organism)
    tables, length = predictor.tracks[name], window or predictor.window_length
    maps = chosen_maps(tables, words)
    if maps and not any(BUNDLES[bundle].kind == "signal" for bundle in tables if _hits(bundle, tables[bundle], words)):
        return predict_contacts(predictor, genome, place, name, maps, out, window=length)
    tracks = chosen_tracks(tables, words)
    paths = predict_region(predictor, genome, place, name, tracks, out, window=length, resolution=resolution)
    paths += predict_contacts(predictor, genome, place, name, maps, out, window=length) if maps else []
    return [*paths, drawn(genome, place, paths, out / picture)] if picture else paths


def drawn(reference: Reference, region: Region, paths: Sequence[Path], out: Path) -> Path:
    """Draws the bigWigs among `paths` with the genes of the region."""
    from alphagenome.data import genome

    from megabase.report.loci import transcripts
    from megabase.report.region import draw_bigwigs

    place = genome.Interval(*region)
    genes = transcripts(reference.genes(), reference.exons(), place)
    return draw_bigwigs([path for path in paths if path.suffix == ".bw"], place, genes, out)


def chosen_organism(predictor: Predicts, organism: str | None) -> str:
    """The organism that is asked for, or the only one there is."""
    known = list(predictor.tracks)
    if organism in known:
        return str(organism)
    if organism is None and len(known) == 1:
        return known[0]
    what = f"the model does not know {organism}" if organism else "the model knows several organisms"
    raise InputError(what, where="--organism", remedy=f"choose from {', '.join(known)}")


def chosen_tracks(tables: Mapping[str, pd.DataFrame], words: str) -> dict[str, list[tuple[int, str]]]:
    """(position within the head, track_id) of the tracks that hold every word, by head; contact maps are no tracks."""
    found: dict[str, list[tuple[int, str]]] = {}
    for bundle, table in tables.items():
        if BUNDLES[bundle].kind == "signal" and (hits := _hits(bundle, table, words)):
            found[BUNDLES[bundle].head] = hits
    number = sum(map(len, found.values()))
    if number > _MOST:
        raise InputError(f"{number:,} tracks at once", where="--tracks", remedy=f"choose up to {_MOST} by words")
    if not found:
        raise InputError(f"no track has all of `{words}`", where="--tracks", remedy="leave a word out")
    return found


def _hits(bundle: str, table: pd.DataFrame, words: str) -> list[tuple[int, str]]:
    rows: list[dict[str, str]] = table.astype(str).assign(bundle=bundle).to_dict("records")  # type: ignore[assignment]
    return [(position, row["track_id"]) for position, row in enumerate(rows) if matches(row, words)]


def predict_region(
    predictor: Predicts,
    reference: Sequences,
    region: Region,
    organism: str,
    tracks: Mapping[str, Sequence[tuple[int, str]]],
    out: Path,
    *,
    window: int,
    resolution: int | None = None,
) -> list[Path]:
    """Writes `{head}.{track_id}.bw` under `out` for each (position within the head, track_id) of `tracks`, per head.

    The region (0-based, half-open) is covered by windows of `window` bp of which the middle half is kept, so that every
    value has at least a quarter of a window of sequence on either side; beyond the chromosome's ends that is N.
    Values are at the head's finest resolution, or at `resolution` (bp), in the head's own units: the sum of the
    normalised signal over the bases of a bin. The header lists every chromosome of the reference.

    Raises InputError for a region outside the chromosome, a window off the model's grid, an unknown resolution.
    """
    import pyBigWig

    _check(region, reference.sizes, window)
    paths: dict[tuple[str, int], Path] = {}
    with ExitStack() as stack:
        files: dict[tuple[str, int], pyBigWig.pyBigWig] = {}
        for head, chosen in tracks.items():
            for position, track_id in chosen:
                path = paths[head, position] = out / f"{head}.{track_id}.bw"
                file = pyBigWig.open(str(stack.enter_context(atomic_path(path))), "w")
                stack.callback(file.close)
                file.addHeader(list(reference.sizes.items()))
                files[head, position] = file
        for start, end, predictions in _windows(predictor, reference, region, organism, window):
            for head, chosen in tracks.items():
                bin_size, values = _at(predictions[head], resolution, head)
                for position, _ in chosen:
                    kept = values[0, window // 4 // bin_size : 3 * window // 4 // bin_size, position]
                    _add(files[head, position], region.chrom, start, end, reference.sizes, kept, bin_size)
    return list(paths.values())


def _check(region: Region, sizes: Mapping[str, int], window: int) -> None:
    if region.chrom not in sizes:
        known = ", ".join(list(sizes)[:8])
        raise InputError(f"no chromosome {region.chrom}", where="--region", remedy=f"choose from {known}")
    if not 0 <= region.start < region.end <= sizes[region.chrom]:
        place = f"{region.chrom}:{region.start}-{region.end}"
        raise InputError(
            f"{place} is not within 0-{sizes[region.chrom]}", where="--region", remedy="give a region of the chromosome"
        )
    if window < _GRID or window % _GRID:
        raise InputError(
            f"{window} is no multiple of {_GRID}", where="--window", remedy="give 16384, 131072 or the like"
        )


def _windows(
    predictor: Predicts, reference: Sequences, region: Region, organism: str, window: int
) -> Iterator[tuple[int, int, Mapping[str, Mapping[int, Float32[np.ndarray, "1 positions tracks"]]]]]:
    """(start, end, predictions) of each step through the region; of its middle half, [start, end) is to be kept."""
    first = region.start - region.start % _TRACK_GRID
    said = time.monotonic()
    for start in range(first, region.end, window // 2):
        left = start - window // 4
        codes = reference.codes(region.chrom, left, left + window)
        yield start, min(start + window // 2, region.end), predictor.predict(codes[None], organism)
        if time.monotonic() - said > 10:
            said = time.monotonic()
            logger.info("%s: %s of %s bp", region.chrom, f"{start - first:,}", f"{region.end - first:,}")


def _at(
    by_resolution: Mapping[int, Float32[np.ndarray, "1 positions tracks"]], resolution: int | None, head: str
) -> tuple[int, Float32[np.ndarray, "1 positions tracks"]]:
    chosen = min(by_resolution) if resolution is None else resolution
    if chosen not in by_resolution:
        known = ", ".join(f"{size} bp" for size in sorted(by_resolution))
        raise InputError(f"{head} has no values at {chosen} bp", where="--resolution", remedy=f"choose from {known}")
    return chosen, by_resolution[chosen]


def _add(
    file: object,
    chrom: str,
    start: int,
    end: int,
    sizes: Mapping[str, int],
    values: Float32[np.ndarray, " bins"],
    bin_size: int,
) -> None:
    """Appends whole bins in one block; one that the chromosome's end cuts is appended with its real width."""
    count = min(-(-(end - start) // bin_size), len(values))
    whole = min(count, (sizes[chrom] - start) // bin_size)
    if whole:
        file.addEntries(chrom, start, values=values[:whole].tolist(), span=bin_size, step=bin_size)  # type: ignore[attr-defined]
    if count > whole:
        cut = start + whole * bin_size
        file.addEntries([chrom], [cut], ends=[sizes[chrom]], values=[float(values[whole])])  # type: ignore[attr-defined]
