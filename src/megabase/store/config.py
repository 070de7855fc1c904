"""The layout of the store and of the windows into it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from megabase.settings import settings


@settings
class StoreConfig:
    """Layout of `store/{organism}.zarr`."""

    block_tracks: Annotated[int, Field(ge=1)] = 64
    """Tracks stored side by side in one array (one store job)."""
    chunk: Annotated[int, Field(ge=128)] = 8192
    """Positions per compressed chunk."""
    shard: Annotated[int, Field(ge=128)] = 1_048_576
    """Positions per stored object; raise to 8,388,608 for object storage."""
    codec: Literal["zstd-1", "zstd-3", "blosc-zstd-bitshuffle", "blosc-lz4hc", "blosc-lz4-sparse", "trial"] = "trial"
    """Compression of a block; `trial` takes the smallest of these on one shard, or one that unpacks faster where it
    needs little more room (the smaller of the two `blosc-lz4` up to three quarters, `zstd-1` up to a twentieth), and
    records it."""


@settings
class ShardsConfig:
    """Windows into the store."""

    window: Annotated[int, Field(ge=2048, multiple_of=2048)] = 1_048_576
    """Window length in bp (the paper: 1,048,576)."""
    stride: Annotated[int, Field(ge=128)] = 65_536
    """Distance between the starts of neighbouring training windows, in bp."""
    max_shift: Annotated[int, Field(ge=0)] = 1024
    """Training windows are moved by up to this many bp either way; kept free around held-out windows too."""
    max_unknown: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Windows with a larger share of N are not used."""
    layout: Literal["view", "copy"] = "view"
    """`view`: windows point into the store. `copy`: they are written out, to stream from object storage."""
