"""Rows of an array of the store, read into the caller's own buffer.

tensorstore reads whatever lies anywhere. Blocks of Blosc chunks on this machine's own files are unpacked straight into
the buffer, half as fast again: tensorstore unpacks beside it and copies (docs/store.md).
"""

from __future__ import annotations

import functools
import json
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt16

from megabase.artifacts import Location
from megabase.errors import InputError
from megabase.store.layout import ABSENT, PIECE, open_array


class Rows:
    """An array, opened for reading."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype = array.dtype.numpy_dtype

    @staticmethod
    def open(path: Location) -> Rows:
        array = open_array(path)
        if isinstance(path, Path) and (found := _unpackable(path.resolve())):
            return _Unpacked(array, path.resolve(), *found)
        return Rows(array)

    def of_window(self, window: int) -> Rows:
        """The rows of one window, where the first axis is windows."""
        return Rows(self._array[window])

    def begin(self, into: Shaped[np.ndarray, "rows *rest"], start: int) -> list[Any]:
        """Begins to read the rows from `start` on into a part of the caller's own buffer; each future's `result()`
        waits for a piece of it."""
        import tensorstore as ts

        return [
            ts.array(part, copy=False, write=True).write(self._array[at : at + len(part)])
            for at, part in _pieces(into, start)
        ]


class _Unpacked(Rows):
    """A block on this machine's own files, in chunks of Blosc that hold all tracks."""

    def __init__(self, array: Any, path: Path, chunk: int, shard: int) -> None:
        super().__init__(array)
        self._path, self._chunk, self._shard = path, chunk, shard

    def begin(self, into: UInt16[np.ndarray, "rows T"], start: int) -> list[Future[None]]:
        return [_pool().submit(self._read, part, at) for at, part in _pieces(into, start)]

    def _read(self, into: UInt16[np.ndarray, "rows T"], start: int) -> None:
        stop = start + len(into)
        for shard in range(start // self._shard, -(-stop // self._shard)):
            first, last = max(start, shard * self._shard), min(stop, (shard + 1) * self._shard)
            part = into[first - start : last - start]
            try:
                file = (self._path / "c" / str(shard) / "0").open("rb", buffering=0)
            except FileNotFoundError:
                part[:] = 0  # The fill value: such a shard is not written.
                continue
            with file:
                self._unpack(file.fileno(), part, first - shard * self._shard, Path(file.name))

    def _unpack(self, file: int, into: UInt16[np.ndarray, "rows T"], start: int, path: Path) -> None:
        """Rows of one shard, `start` counted from its first."""
        from megabase.store.packing import unpack

        rows, stop = self._chunk, start + len(into)
        entries = 16 * (self._shard // rows)
        end = os.fstat(file).st_size
        index = np.frombuffer(_checked(file, end - entries - 4, entries + 4, path), "<u8").reshape(-1, 2).tolist()
        direct, beside = into.flags.c_contiguous, None
        for chunk in range(start // rows, -(-stop // rows)):
            offset, size = index[chunk]
            first, last = max(start, chunk * rows), min(stop, (chunk + 1) * rows)
            part = into[first - start : last - start]
            if offset == ABSENT:
                part[:] = 0
                continue
            packed = _checked(file, offset, size, path)
            if direct and last - first == rows:
                unpack(packed, part)
                continue
            if beside is None:
                beside = np.empty((rows, into.shape[1]), np.uint16)
            unpack(packed, beside)
            _whole(part)[:] = _whole(beside[first - chunk * rows : last - chunk * rows])


def _checked(file: int, offset: int, size: int, path: Path) -> bytes:
    """Bytes of a file but for the last four, which are their checksum. Raises InputError where they are not."""
    import google_crc32c

    content = os.pread(file, size, max(offset, 0))
    held, checksum = content[:-4], content[-4:]
    if len(content) < size or google_crc32c.value(held) != int.from_bytes(checksum, "little"):
        block = path.parents[3]
        raise InputError("not what was written", where=path, remedy=f"remove {block} and its record: snakemake store")
    return held


def _whole(rows: UInt16[np.ndarray, "rows T"]) -> Shaped[np.ndarray, "rows 1"]:
    """Each row as one value, which numpy copies half as fast again."""
    return rows.view(f"V{2 * rows.shape[1]}")


def _pieces(into: Shaped[np.ndarray, "rows *rest"], start: int) -> list[tuple[int, np.ndarray]]:
    return [(start + at, into[at : at + PIECE]) for at in range(0, len(into), PIECE)]


def _unpackable(path: Path) -> tuple[int, int] | None:
    """Rows of a chunk and of a shard of a block as `layout.create_array` makes it, if its chunks are of Blosc and hold
    all tracks."""
    described = json.loads((path / "zarr.json").read_text())
    sharding = described["codecs"][0]["configuration"]
    chunk, shard = sharding.get("chunk_shape", ()), described["chunk_grid"]["configuration"]["chunk_shape"]
    names = [codec["name"] for codec in sharding.get("codecs", ())]
    whole = len(chunk) == 2 and chunk[1] == shard[1] == described["shape"][1]
    if whole and described["data_type"] == "uint16" and names == ["bytes", "blosc", "crc32c"]:
        return chunk[0], shard[0]
    return None


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="rows")
