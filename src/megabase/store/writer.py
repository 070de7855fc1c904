"""Writes a store: sequence and masks once, then its tracks block by block, each whole or absent."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt16

from megabase.artifacts import atomic_directory, digest, file_sha256, provenance, remove_leftovers, write_json
from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.genome.reference import Reference
from megabase.portals.sources import METADATA
from megabase.store import STAGE_VERSION
from megabase.store.config import StoreConfig
from megabase.store.layout import (
    ANNOTATION,
    CODECS,
    EXCLUDED,
    FORMAT,
    GAP,
    MASKS,
    QUICK,
    SEQUENCE,
    SPARSE,
    block_path,
    create_array,
    write_groups,
    write_rows,
)

logger = logging.getLogger(__name__)

_NAMED = ("track_id", "track", "strand", "covered", "nonzero_mean", "bin", "content")
"""What decides the examples that are read of a track: changes with any of it, and with nothing else."""
_KEPT = (*_NAMED, "index", "total", "scale", *METADATA)
_CONTACT_ROWS = 256
_SIGNAL_CHUNK = 1 << 20
"""Rows of a chunk of a track's own array: the least that is worth reading of one."""
_QUICK_ROOM, _ROOM = 1.75, 1.05
"""How much room one of `QUICK` and `SPARSE`, and zstd-1, which unpacks next fastest, may take beside the smallest: what
is stored once is read a thousand times."""
_ROWS = 4096
"""Rows put side by side at a time: they stay in the processor's cache."""


def write_frame(reference: Path, store: Path, record: Path, config: StoreConfig) -> None:
    """Writes `sequence/{chrom}` and `masks/{chrom}` of the store, uint8 at every base, the reference's genes and exons
    under `annotation`, and their record."""
    opened = Reference.open(reference)
    for group in (SEQUENCE, MASKS, ANNOTATION):
        _forget(store / group, record)
    masks = opened.masks()
    fact = json.loads((reference / "reference.json").read_text())
    tables = {name: reference / name for name in ("genes.parquet", "exons.parquet")}
    annotated = {name: file_sha256(table) for name, table in tables.items()}
    deciding = {"reference": fact["sha256"], "sizes": opened.sizes, "annotation": annotated, "stage": STAGE_VERSION}
    content = digest(deciding)
    write_groups(store, "", {"format": FORMAT, "assembly": opened.assembly, "sizes": opened.sizes})
    chunk, shard = _rows(config, 1)
    with atomic_directory(store / SEQUENCE) as sequences, atomic_directory(store / MASKS) as masked:
        for folder in (sequences, masked):
            write_groups(folder, "", {"content": content})
        for chrom, size in opened.sizes.items():
            mask = np.zeros(size, np.uint8)
            # Gaps last: where both hold, a gap says more.
            for reason, value in (("excluded", EXCLUDED), ("gap", GAP)):
                here = masks[(masks["chrom"] == chrom) & (masks["reason"] == reason)]
                for start, end in zip(here["start"], here["end"], strict=True):
                    mask[start:end] = value
            for folder, values in ((sequences, opened.codes(chrom, 0, size)), (masked, mask)):
                array = create_array(folder / chrom, (size,), "uint8", chunk=(chunk,), shard=(shard,), codec="zstd-3")
                write_rows(array, 0, values)
    with atomic_directory(store / ANNOTATION) as folder:
        write_groups(folder, "", {"content": content})
        for name, table in tables.items():
            shutil.copyfile(table, folder / name)
    made = {"assembly": opened.assembly, "sizes": opened.sizes, "content": content, "stage_version": STAGE_VERSION}
    write_json(record, made | {"provenance": provenance(("tensorstore",))})
    logger.info("%s: %s bp in %s chromosomes", store.name, sum(opened.sizes.values()), len(opened.sizes))


def write_block(signal_records: Sequence[Path], signal: Path, store: Path, record: Path, config: StoreConfig) -> None:
    """Packs the tracks of these signal records side by side into the store and writes the block's own record.

    The block is the one that `record` is named after (`{bundle}.{block}.json`). `signal` has `{track_id}.zarr` of each.
    What was there of the block is forgotten first, then replaced whole.
    Raises InputError for a track whose values are not those of its record or do not fit the store's chromosomes.
    """
    began = time.monotonic()
    given = [json.loads(part.read_text()) for part in signal_records]
    bundle, number = BUNDLES[given[0]["bundle"]], record.stem.split(".")[-1]
    tracks = [track for part in given for track in part["tracks"]]
    content = digest({"tracks": [{name: track[name] for name in _NAMED} for track in tracks], "stage": STAGE_VERSION})
    contacts = bundle.kind == "contact_maps"
    place = block_path(bundle.name, number)
    _forget(store / place, record)
    sizes = json.loads((store / "zarr.json").read_text())["attributes"]["sizes"]
    files = [_Track(track, signal, sizes) for track in tracks]
    codec: str = "zstd-1" if contacts else config.codec
    trial: dict[str, float] = {}
    if codec == "trial":
        codec, trial = _tried(files, config, bundle.store_bin)
    attributes = {"bin": bundle.store_bin, "dtype": "bfloat16", "codec": codec, "trial": trial}
    write_groups(store, str(Path(place).parent))
    with atomic_directory(store / place) as partial:
        named = {"tracks": [file.track_id for file in files], "content": content}
        if contacts:
            write_groups(partial, "", named)
            _write_contacts(partial, files, config)
        else:
            write_groups(partial, "", attributes | named)
            _write_signal(partial, files, config, attributes)
        for file in files:
            file.check_content()
    kept = [{name: track[name] for name in _KEPT} for track in tracks]
    made: dict[str, Any] = {"bundle": bundle.name, "block": number, "tracks": kept, "codec": codec, "trial": trial}
    made |= {"content": content, "chunk": config.chunk, "shard": config.shard, "stage_version": STAGE_VERSION}
    write_json(record, made | {"provenance": provenance(("tensorstore", "numcodecs"))})
    logger.info("%s %s: %s tracks, %s, %.1f s", bundle.name, number, len(kept), codec, time.monotonic() - began)


class _Track:
    """The values of one track as the signal stage left them, checked against its record while they are read."""

    def __init__(self, described: Mapping[str, Any], signal: Path, sizes: Mapping[str, int]) -> None:
        import zarr

        self.track_id, self.bin = str(described["track_id"]), int(described["bin"])
        self._path, self._content = signal / f"{self.track_id}.zarr", described["content"]
        self._read = hashlib.sha256()
        try:
            group: Any = zarr.open_group(str(self._path), mode="r")
            found = {str(chrom): int(group[chrom].shape[0]) for chrom in group}
            self._group = group
        except (OSError, ValueError) as error:
            raise self._broken(f"no track here: {' '.join(str(error).split())}") from None
        self.lengths = {chrom: -(-size // self.bin) for chrom, size in sorted(sizes.items())}
        """Bins by chromosome, in order of name: the order of a track's content hash."""
        if found != self.lengths:
            raise self._broken(f"its chromosomes {found} are not the {self.lengths} of the store")

    def values(self, chrom: str, start: int = 0, end: int | None = None) -> Shaped[np.ndarray, "bins *offsets"]:
        try:
            return np.asarray(self._group[chrom][start:end])
        except (OSError, ValueError, RuntimeError) as error:
            raise self._broken(f"{chrom} cannot be read: {' '.join(str(error).split())}") from None

    def checked(self, chrom: str, start: int = 0, end: int | None = None) -> Shaped[np.ndarray, "bins *offsets"]:
        """The same, entering the check: every value once, in order of chromosome name and position."""
        values = self.values(chrom, start, end)
        self._read.update(values.tobytes())
        return values

    def check_content(self) -> None:
        if self._read.hexdigest() != self._content:
            raise self._broken("its values are not those of its record")

    def _broken(self, what: str) -> InputError:
        return InputError(what, where=self._path, remedy="remove the folder and build the track again")


def _write_signal(folder: Path, files: list[_Track], config: StoreConfig, attributes: Mapping[str, Any]) -> None:
    chunk, shard = _rows(config, attributes["bin"])
    # Whole shards are written, and no chunk of a track is unpacked more often than needed.
    step = shard * max(1, _SIGNAL_CHUNK // shard)
    count = len(files)
    for chrom, length in files[0].lengths.items():
        array = create_array(
            folder / chrom,
            (length, count),
            "uint16",
            chunk=(chunk, count),
            shard=(shard, count),
            codec=attributes["codec"],
            attributes=attributes,
        )
        for start in range(0, length, step):
            end = min(start + step, length)
            write_rows(array, start, _side_by_side([file.checked(chrom, start, end) for file in files]))


def _side_by_side(tracks: list[UInt16[np.ndarray, " bins"]]) -> UInt16[np.ndarray, "bins tracks"]:
    """Tracks as columns, some rows of all of them at a time: six times faster than track by track."""
    values = np.empty((len(tracks[0]), len(tracks)), np.uint16)
    for start in range(0, len(values), _ROWS):
        for column, track in enumerate(tracks):
            values[start : start + _ROWS, column] = track[start : start + _ROWS]
    return values


def _write_contacts(folder: Path, files: list[_Track], config: StoreConfig) -> None:
    for file in files:
        write_groups(folder, file.track_id, {"bin": file.bin})
        shard = _CONTACT_ROWS * max(1, config.shard // (_CONTACT_ROWS * file.bin))
        for chrom in file.lengths:
            values = file.checked(chrom)
            array = create_array(
                folder / file.track_id / chrom,
                values.shape,
                "float32",
                chunk=(_CONTACT_ROWS, *values.shape[1:]),
                shard=(shard, *values.shape[1:]),
                codec="zstd-1",
                attributes={"bin": file.bin},
            )
            write_rows(array, 0, values)


def _tried(files: list[_Track], config: StoreConfig, bin_size: int) -> tuple[str, dict[str, float]]:
    """`tried_codecs` on one shard in the middle of the longest chromosome."""
    chrom, length = max(files[0].lengths.items(), key=lambda item: item[1])
    chunk, shard = _rows(config, bin_size)
    start = max(0, length // 2 - shard // 2)
    return tried_codecs(_side_by_side([file.values(chrom, start, start + shard) for file in files]), chunk)


def tried_codecs(sample: UInt16[np.ndarray, "bins tracks"], chunk: int) -> tuple[str, dict[str, float]]:
    """The codec for rows like these, and how many times smaller each makes them: the smallest, or a quicker one where
    that takes little more room."""
    import numcodecs

    from megabase.store.packing import packed

    encoders: dict[str, Callable[[np.ndarray], bytes]] = {
        "zstd-1": numcodecs.Zstd(1).encode,
        "zstd-3": numcodecs.Zstd(3).encode,
        "blosc-zstd-bitshuffle": numcodecs.Blosc("zstd", 3, numcodecs.Blosc.BITSHUFFLE).encode,
        QUICK: numcodecs.Blosc("lz4hc", 3, numcodecs.Blosc.NOSHUFFLE).encode,
        SPARSE: packed,
    }
    pieces = [np.ascontiguousarray(sample[at : at + chunk]) for at in range(0, len(sample), chunk)]
    sizes = {name: sum(len(encoders[name](piece)) for piece in pieces) for name in CODECS}
    smallest, quick = min(sizes, key=sizes.__getitem__), min((QUICK, SPARSE), key=sizes.__getitem__)
    # A rule of sizes alone: whoever writes the block again comes to the same bytes.
    rooms = ((quick, _QUICK_ROOM), ("zstd-1", _ROOM))
    chosen = next((name for name, room in rooms if sizes[name] <= room * sizes[smallest]), smallest)
    return chosen, {name: round(sample.nbytes / size, 3) for name, size in sizes.items()}


def _rows(config: StoreConfig, bin_size: int) -> tuple[int, int]:
    """Rows of a chunk and of a shard; a shard is whole chunks."""
    shard = max(1, config.shard // bin_size)
    chunk = min(config.chunk, shard)
    return chunk, -(-shard // chunk) * chunk


def _forget(folder: Path, record: Path) -> None:
    """Before anything is replaced: the record no longer vouches for it, and leftovers of killed jobs go."""
    record.unlink(missing_ok=True)
    remove_leftovers(folder, record)
