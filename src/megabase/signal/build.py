"""One job: the tracks of one block, each skipped where nothing it is made of has changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from jaxtyping import Float64, UInt16

from megabase.artifacts import atomic_directory, digest, write_json
from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.genome.reference import Reference
from megabase.portals.manifest import read_table
from megabase.portals.sources import METADATA
from megabase.signal import STAGE_VERSION
from megabase.signal.config import SignalConfig
from megabase.signal.contacts import ContactMap
from megabase.signal.coverage import Place
from megabase.signal.files import Opened, Row, local_file, sources
from megabase.signal.normalise import Genome, covered_regions, scaled_track

logger = logging.getLogger(__name__)


def build_block(
    slice: Path,
    reference: Path,
    signal: Path,
    record: Path,
    config: SignalConfig,
    organism: Organism,
    opened: Opened = local_file,
) -> None:
    """Writes `{track_id}.zarr` and `{track_id}.json` under `signal` for each track of the slice, and their record.

    `opened` gives the verified file of a row while it is needed: files are opened one after another.
    Raises InputError for a source file that differs from the manifest or cannot be read as its row says.
    """
    built = Reference.open(reference)
    genome = Genome(built.assembly, built.sizes, organism.aliases)
    groups: dict[str, list[Row]] = {}
    for row in read_table(slice):
        groups.setdefault(row["track_id"], []).append(row)
    tracks = [_track(track_id, rows, signal, genome, config, opened) for track_id, rows in groups.items()]
    first = tracks[0]
    write_json(record, {"bundle": first["bundle"], "block": record.stem.split(".")[-1], "tracks": _paired(tracks)})


def _track(
    track_id: str, rows: Sequence[Row], signal: Path, genome: Genome, config: SignalConfig, opened: Opened
) -> dict[str, Any]:
    description: dict[str, Any] = {name: rows[0][name] for name in ("bundle", "track", "strand", *METADATA)}
    description |= {"track_id": track_id, "index": int(rows[0]["index"])}
    found = sources(rows)
    parameters = {
        "files": [{name: row[name] for name in ("format", "reading", "library", "sign", "covered")} for row in rows],
        "config": dataclasses.asdict(config),
        "assembly": genome.assembly,
        "sizes": dict(genome.sizes),
        "aliases": dict(genome.aliases),
    }
    key = digest({"description": description, "sources": found, "parameters": parameters, "stage": STAGE_VERSION})
    path, noted = signal / f"{track_id}.zarr", signal / f"{track_id}.json"
    known = _known(path, noted, key)
    if known is not None:
        logger.info("%s: unchanged", track_id)
        return known
    began = time.monotonic()
    noted.unlink(missing_ok=True)
    if BUNDLES[description["bundle"]].kind == "contact_maps":
        measured = _write_contacts(path, rows, genome, config, opened)
    else:
        measured = _write_signal(path, rows, genome, config, opened)
    covered = covered_regions(rows, genome.sizes)
    made = {
        **description,
        **measured,
        "key": key,
        "stage_version": STAGE_VERSION,
        "sources": found,
        "parameters": parameters,
        "covered": None if covered is None else [list(region) for region in covered],
    }
    write_json(noted, made)
    logger.info(
        "%s: total %.4g, mean of non-zero %.4g, %.1f s",
        *(track_id, made["total"], made["nonzero_mean"], time.monotonic() - began),
    )
    return made


def _write_signal(
    path: Path, rows: Sequence[Row], genome: Genome, config: SignalConfig, opened: Opened
) -> dict[str, Any]:
    import zarr

    bin_size = BUNDLES[rows[0]["bundle"]].store_bin
    content, chromosomes = hashlib.sha256(), {}
    with atomic_directory(path) as partial, scaled_track(rows, genome, config, opened, path.parent) as track:
        group = zarr.open_group(str(partial), mode="w")
        group.attrs.update({"bin": bin_size, "dtype": "bfloat16"})
        for chrom in sorted(genome.sizes):
            values = track.values(chrom)
            chromosomes[chrom] = {
                "length": len(values),
                "sum": float(values.sum()),
                "nonzero": int(np.count_nonzero(values)),
            }
            bits = _bfloat16(_binned(values, bin_size), rows[0]["path"], chrom)
            array = group.create_array(chrom, shape=bits.shape, dtype="uint16", chunks=(min(len(bits), 1 << 20),))
            array[:] = bits
            content.update(bits.tobytes())
    total = sum(chromosome["sum"] for chromosome in chromosomes.values())
    nonzero = sum(chromosome["nonzero"] for chromosome in chromosomes.values())
    if not nonzero:
        raise InputError("no signal on these chromosomes", where=rows[0]["path"], remedy="check the row's columns")
    return {
        "bin": bin_size,
        "scale": track.scale,
        "total": total,
        "nonzero_mean": total / nonzero,
        "chromosomes": chromosomes,
        "content": content.hexdigest(),
    }


def _write_contacts(
    path: Path, rows: Sequence[Row], genome: Genome, config: SignalConfig, opened: Opened
) -> dict[str, Any]:
    import zarr

    if len(rows) > 1:
        raise InputError("a contact map is one file", where=rows[1]["path"], remedy="merge the maps first")
    where, covered = rows[0]["path"], covered_regions(rows, genome.sizes)
    content, chromosomes, total = hashlib.sha256(), {}, 0.0
    with opened(rows[0], "") as file, atomic_directory(path) as partial:

        def read(tolerance: int) -> ContactMap:
            place = Place(where, genome.sizes, genome.aliases, covered, tolerance)
            resolution = config.contact_resolution if rows[0]["format"] == "mcool" else None
            return ContactMap(file, place, resolution=resolution, coarsen_up_to=config.coarsen_up_to)

        # A matrix cannot say where a chromosome ends to better than a bin.
        bin_size = read(tolerance=10**9).bin
        group = zarr.open_group(str(partial), mode="w")
        group.attrs.update({"bin": bin_size, "dtype": "float32"})
        for chrom, band in read(tolerance=bin_size).log_ratios():
            values = band.astype(np.float32)
            array = group.create_array(
                chrom, shape=values.shape, dtype="float32", chunks=(min(len(values), 1024), values.shape[1])
            )
            array[:] = values
            content.update(values.tobytes())
            finite = values[np.isfinite(values)].astype(np.float64)
            total += float(finite.sum())
            chromosomes[chrom] = {"length": len(values), "sum": float(finite.sum()), "nonzero": int(finite.size)}
    return {
        "bin": bin_size,
        "scale": [1.0],
        "total": total,
        # Log ratios have no scale of their own.
        "nonzero_mean": 1.0,
        "chromosomes": chromosomes,
        "content": content.hexdigest(),
    }


def _binned(values: Float64[np.ndarray, " S"], bin_size: int) -> Float64[np.ndarray, " bins"]:
    """Means over bins; the last bin's is over the bases it has."""
    if bin_size == 1:
        return values
    starts = np.arange(0, len(values), bin_size)
    return np.add.reduceat(values, starts) / np.minimum(bin_size, len(values) - starts)


def _bfloat16(values: Float64[np.ndarray, " bins"], where: str, chrom: str) -> UInt16[np.ndarray, " bins"]:
    """The bits of the nearest bfloat16, ties to even."""
    cast = values.astype(np.float32).astype(ml_dtypes.bfloat16)
    if not np.isfinite(cast.astype(np.float32)).all():
        raise InputError(f"values on {chrom} exceed bfloat16", where=where, remedy="check the file's scale")
    return cast.view(np.uint16)


def _known(path: Path, noted: Path, key: str) -> dict[str, Any] | None:
    """What was noted of the track, if it was made from the same and its values are still those."""
    import zarr

    try:
        made = json.loads(noted.read_text())
        if made["key"] != key:
            return None
        group, content = zarr.open_group(str(path), mode="r"), hashlib.sha256()
        for chrom in sorted(made["parameters"]["sizes"]):
            content.update(np.asarray(group[chrom]).tobytes())
    except (OSError, KeyError, ValueError):
        return None
    return made if content.hexdigest() == made["content"] else None


def _paired(tracks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tracks with the nonzero mean of strand pairs averaged, as the paper scales both strands alike (section 4.1)."""
    pairs: dict[str, list[dict[str, Any]]] = {}
    for track in tracks:
        pairs.setdefault(track["track"], []).append(track)
    means = {name: float(np.mean([track["nonzero_mean"] for track in both])) for name, both in pairs.items()}
    return [track | {"nonzero_mean": means[track["track"]]} for track in tracks]
