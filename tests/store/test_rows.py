"""Rows come back as they were written, into whatever part of whatever array they are read, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_packing import cut_sites

from megabase.errors import InputError
from megabase.store.layout import CODECS, SPARSE, create_array, write_rows
from megabase.store.rows import Rows

LENGTH, TRACKS, CHUNK, SHARD = 9000, 5, 512, 2048


def written(path: Path, codec: str = SPARSE) -> np.ndarray:
    """A block with chunks and a shard of nothing but zeros."""
    values = cut_sites(np.random.default_rng(1), LENGTH, TRACKS, 0.2)
    values[1024:2048] = 0
    values[4096:6144] = 0
    array = create_array(path, values.shape, "uint16", chunk=(CHUNK, TRACKS), shard=(SHARD, TRACKS), codec=codec)
    write_rows(array, 0, values)
    return values


def read(path: Path, into: np.ndarray, start: int) -> None:
    for piece in Rows.open(path).begin(into, start):
        piece.result()


@pytest.mark.parametrize("codec", CODECS)
def test_any_rows_in_any_place(tmp_path: Path, codec: str) -> None:
    values = written(tmp_path / "chr1", codec)
    draw = np.random.default_rng(2)
    for _ in range(60):
        start, end = np.sort(draw.integers(0, LENGTH + 1, 2)).tolist()
        wide = np.full((end - start + 2, TRACKS + 3), 7, np.uint16)
        read(tmp_path / "chr1", wide[1:-1, 2 : 2 + TRACKS], start)
        alone = np.full((end - start, TRACKS), 7, np.uint16)
        read(tmp_path / "chr1", alone, start)
        assert np.array_equal(alone, values[start:end]) and np.array_equal(wide[1:-1, 2:-1], alone)
        wide[1:-1, 2 : 2 + TRACKS] = 7
        assert (wide == 7).all()


def test_more_rows_than_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = written(tmp_path / "chr1")
    monkeypatch.setattr("megabase.store.rows.PIECE", 700)
    into = np.ones_like(values[11:])
    pieces = Rows.open(tmp_path / "chr1").begin(into, 11)
    assert len(pieces) == -(-len(into) // 700) and [piece.result() for piece in pieces]
    assert np.array_equal(into, values[11:])


def test_shape_and_dtype_are_the_arrays(tmp_path: Path) -> None:
    written(tmp_path / "chr1")
    rows = Rows.open(tmp_path / "chr1")
    assert rows.shape == (LENGTH, TRACKS) and rows.dtype == np.uint16


@pytest.mark.parametrize("damage", ["a bit of a chunk", "a bit of the index", "cut", "empty"])
def test_a_damaged_shard_is_named(tmp_path: Path, damage: str) -> None:
    block = tmp_path / "signal" / "DNASE" / "0000"
    values = written(block / "chr1")
    shard = block / "chr1" / "c" / "1" / "0"
    content = bytearray(shard.read_bytes())
    if damage == "a bit of a chunk":
        content[100] ^= 1
    elif damage == "a bit of the index":
        content[-30] ^= 1
    shard.write_bytes({"cut": content[:-100], "empty": b""}.get(damage, content))
    into = np.zeros_like(values)
    with pytest.raises(InputError, match=rf"{shard}: not what was written; remove {block} and its record"):
        read(block / "chr1", into, 0)
    into = np.zeros_like(values[:SHARD])
    read(block / "chr1", into, 0)
    assert np.array_equal(into, values[:SHARD])
