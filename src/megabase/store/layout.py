"""Where things stand in a store, and how its arrays are opened."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from megabase.artifacts import write_text

FORMAT = 1
"""Version of the layout, in the attributes of every store."""
USABLE, GAP, EXCLUDED = 0, 1, 2
"""Values of the mask."""


def sequence_path(chrom: str) -> str:
    """Base codes, uint8 [S]."""
    return f"sequence/{chrom}"


def mask_path(chrom: str) -> str:
    """`USABLE`, `GAP` or `EXCLUDED` at every base, uint8 [S]."""
    return f"masks/{chrom}"


def block_path(bundle: str, block: str) -> str:
    """Group of one block: an array [bins, tracks] per chromosome, bfloat16 bits as uint16."""
    return f"signal/{bundle}/{block}"


def contacts_path(block: str) -> str:
    """Group of contact maps: a group per track with a float32 band [bins, offsets] per chromosome."""
    return f"contact_maps/{block}"


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


@functools.cache
def _context() -> Any:
    import tensorstore as ts

    # Decoded chunks are not kept: windows are drawn at random, and the operating system keeps the compressed bytes.
    return ts.Context({"cache_pool": {"total_bytes_limit": 0}, "data_copy_concurrency": {"limit": 2}})


def open_array(path: Path) -> Any:
    """A tensorstore of an existing array, for reading."""
    import tensorstore as ts

    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path.resolve())}}
    return ts.open(spec, open=True, read=True, context=_context()).result()


def create_array(
    path: Path, shape: tuple[int, ...], dtype: str, *, rows: tuple[int, int], codec: str, attributes: Mapping[str, Any]
) -> Any:
    """A new sharded array: `rows` are the positions of a chunk and of a shard (a multiple of it), all else is whole."""
    import tensorstore as ts

    chunk, shard = rows
    metadata = {
        "shape": list(shape),
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [shard, *shape[1:]]}},
        "codecs": [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": [chunk, *shape[1:]],
                    "codecs": [
                        {"name": "bytes", "configuration": {"endian": "little"}},
                        _CODECS[codec],
                        {"name": "crc32c"},
                    ],
                    "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
                    "index_location": "end",
                },
            }
        ],
        "fill_value": 0 if dtype != "float32" else "NaN",
        "attributes": dict(attributes),
    }
    if dtype == "uint8":
        endless = metadata["codecs"][0]["configuration"]["codecs"]  # type: ignore[index]
        endless[0] = {"name": "bytes"}
    kvstore = {"driver": "file", "path": str(path.resolve())}
    return ts.open({"driver": "zarr3", "kvstore": kvstore, "metadata": metadata}, create=True, open=True).result()


_CODECS: dict[str, dict[str, Any]] = {
    "zstd-1": {"name": "zstd", "configuration": {"level": 1}},
    "zstd-3": {"name": "zstd", "configuration": {"level": 3}},
    "blosc-zstd-bitshuffle": {
        "name": "blosc",
        "configuration": {"cname": "zstd", "clevel": 3, "shuffle": "bitshuffle", "typesize": 2, "blocksize": 0},
    },
}
CODECS = tuple(_CODECS)
"""Compressions that a block may have (measurements: docs/store.md)."""
