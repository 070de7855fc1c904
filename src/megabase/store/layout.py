"""Where things stand in a store, and how its arrays are opened and made."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import os
import struct
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
from jaxtyping import Shaped, UInt16

from megabase.artifacts import Location, kvstore, write_text

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
"""Version of the layout, in the attributes of every store."""
SEQUENCE = "sequence"
"""Group of base codes: uint8 [S] per chromosome."""
MASKS = "masks"
"""Group of `USABLE`, `GAP` or `EXCLUDED` at every base: uint8 [S] per chromosome."""
USABLE, GAP, EXCLUDED = 0, 1, 2
"""Values of the mask."""
ANNOTATION = "annotation"
"""Group of `genes.parquet` and `exons.parquet` of the reference."""
SPLICING = "splicing"
"""Group of `sites.parquet`, `usage.parquet` and `junctions.parquet`."""
PIECE = 131_072
"""Rows read at once: 2-3 times faster than a megabase in one call (data reference 5.3)."""
ABSENT = 2**64 - 1
"""Offset and bytes in a shard's index of a chunk that is not written: it holds nothing but the fill value."""


def block_path(bundle: str, block: str) -> str:
    """Group of one block: an array per chromosome, bfloat16 bits as uint16 [bins, tracks]; or a group per contact map,
    with a float32 band [bins, offsets] per chromosome."""
    return f"contact_maps/{block}" if bundle == "CONTACT_MAPS" else f"signal/{bundle}/{block}"


def write_groups(store: Path, inside: str, attributes: Mapping[str, Any] | None = None) -> None:
    """Makes `inside` and every folder above it a Zarr group, so that plain zarr opens the store from its root."""
    folder = store
    for part in ("", *Path(inside).parts):
        folder = folder / part
        described = dict(attributes or {}) if folder == store / inside else {}
        # Blocks are written by parallel jobs: an ancestor's own attributes are never touched here.
        if folder == store / inside or not (folder / "zarr.json").exists():
            content = {"zarr_format": 3, "node_type": "group", "attributes": described}
            write_text(folder / "zarr.json", json.dumps(content, indent=1) + "\n", only_if_changed=True)


def read_table(folder: Location, name: str) -> pd.DataFrame:
    """A table that lies in a folder, `{name}.parquet`."""
    import pandas as pd

    return pd.read_parquet(io.BytesIO((folder / f"{name}.parquet").read_bytes()))


def found_contents(store: Location, groups: Iterable[str]) -> dict[str, str | None]:
    """What names the values in each of these groups, as they stand in the store now; None where there are none."""
    found: dict[str, str | None] = {}
    for group in groups:
        try:
            found[group] = json.loads((store / group / "zarr.json").read_text())["attributes"]["content"]
        except FileNotFoundError:
            found[group] = None
    return found


def open_array(path: Location) -> Any:
    """A tensorstore of an existing array, for reading."""
    import tensorstore as ts

    spec = {"driver": "zarr3", "kvstore": kvstore(path)}
    # The metadata is taken from the first look: arrays are never changed in place.
    return ts.open(spec, open=True, read=True, recheck_cached_metadata="open", context=_context()).result()


def bits(values: Shaped[np.ndarray, "*shape"]) -> Shaped[np.ndarray, "*shape"]:
    """bfloat16 as uint16, which numpy copies several times faster; anything else as it is."""
    return values.view(np.uint16) if values.dtype == ml_dtypes.bfloat16 else values


@dataclasses.dataclass(frozen=True)
class NewArray:
    """An array that is being written, shard by shard."""

    path: Path
    store: Any
    """Its tensorstore."""
    chunk: tuple[int, ...]
    shard: tuple[int, ...]
    codec: str


def create_array(
    path: Path,
    shape: tuple[int, ...],
    dtype: str,
    *,
    chunk: tuple[int, ...],
    shard: tuple[int, ...],
    codec: str,
    attributes: Mapping[str, Any] | None = None,
) -> NewArray:
    """A new sharded array of `CODECS[codec]`; `shard` is a multiple of `chunk` along every axis.

    Chunks that hold nothing but the fill value (0; NaN for float32) take no space.
    """
    import tensorstore as ts

    index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    inner = [index[0] if dtype != "uint8" else {"name": "bytes"}, _CODECS[codec], {"name": "crc32c"}]
    sharding = {"chunk_shape": chunk, "codecs": inner, "index_codecs": index, "index_location": "end"}
    metadata = {
        "shape": shape,
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}},
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "fill_value": "NaN" if dtype == "float32" else 0,
        "attributes": dict(attributes or {}),
    }
    kvstore = {"driver": "file", "path": str(path.resolve())}
    spec = {"driver": "zarr3", "kvstore": kvstore, "metadata": metadata}
    store = ts.open(spec, create=True, open=True, context=_context()).result()
    return NewArray(path, store, chunk, shard, codec)


def write_rows(array: NewArray, start: int, values: Shaped[np.ndarray, "rows *rest"]) -> None:
    """Writes whole shards, but for the last rows of the array. `values` must not change afterwards: they are packed
    from where they lie, without a copy."""
    if array.codec == SPARSE:
        for at in range(0, len(values), array.shard[0]):
            _write_shard(array, (start + at) // array.shard[0], values[at : at + array.shard[0]])
    else:
        rows = array.store[start : start + len(values)]
        rows.write(values, can_reference_source_data_indefinitely=True).result()


def _write_shard(array: NewArray, number: int, values: UInt16[np.ndarray, "rows *rest"]) -> None:
    """A shard of chunks that `packing` packs, which tensorstore cannot be given: the chunks with a checksum each, then
    where each begins and its bytes, and a checksum of that (the Zarr codec `sharding_indexed`)."""
    from google_crc32c import value as crc32c

    from megabase.store.packing import packed

    def chunk(cell: tuple[int, ...]) -> bytes:
        part = values[tuple(slice(i * size, (i + 1) * size) for i, size in zip(cell, array.chunk, strict=True))]
        if not np.count_nonzero(part):
            return b""
        if part.shape != array.chunk:
            part = np.pad(part, [(0, size - there) for size, there in zip(array.chunk, part.shape, strict=True)])
        content = packed(part.reshape(-1, part.shape[-1]))
        return content + struct.pack("<I", crc32c(content))

    grid = [whole // size for whole, size in zip(array.shard, array.chunk, strict=True)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        chunks = list(pool.map(chunk, np.ndindex(*grid)))
    if not any(chunks):
        return
    sizes = np.array([len(content) for content in chunks], np.uint64)
    index = np.stack([np.cumsum(sizes) - sizes, sizes], axis=1).astype("<u8")
    index[sizes == 0] = ABSENT
    place = array.path.joinpath("c", str(number), *("0" for _ in array.shard[1:]))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"".join([*chunks, index.tobytes(), struct.pack("<I", crc32c(index.tobytes()))]))


@functools.cache
def _context() -> Any:
    import tensorstore as ts

    # Room for the indices of shards. Windows are drawn at random: the values around them are not worth keeping.
    return ts.Context({"cache_pool": {"total_bytes_limit": 8 << 20}})


QUICK, SPARSE = "blosc-lz4hc", "blosc-lz4-sparse"
"""Those that unpack fastest, at a price in room that depends on the values: lz4's own high compression, and `packing`,
for what is mostly zero."""

_CODECS: dict[str, dict[str, Any]] = {
    "zstd-1": {"name": "zstd", "configuration": {"level": 1}},
    "zstd-3": {"name": "zstd", "configuration": {"level": 3}},
    "blosc-zstd-bitshuffle": {
        "name": "blosc",
        "configuration": {"cname": "zstd", "clevel": 3, "shuffle": "bitshuffle", "typesize": 2, "blocksize": 0},
    },
    QUICK: {
        "name": "blosc",
        "configuration": {"cname": "lz4hc", "clevel": 3, "shuffle": "noshuffle", "typesize": 2, "blocksize": 0},
    },
    SPARSE: {
        "name": "blosc",
        "configuration": {"cname": "lz4", "clevel": 9, "shuffle": "noshuffle", "typesize": 2, "blocksize": 0},
    },
}
CODECS = tuple(_CODECS)
"""Compressions that a block may have (measurements: docs/store.md)."""
