"""What is packed for rows that are mostly zero is unpacked by others, bit for bit."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numba
import numcodecs
import numpy as np
import pytest
import zarr

from megabase.store import packing
from megabase.store.layout import SPARSE, create_array, open_array, write_rows


def unpacked(chunk: bytes) -> np.ndarray:
    """By numcodecs, and by our own hand to the same."""
    values = np.frombuffer(numcodecs.Blosc().decode(chunk), np.uint16)
    guarded = np.full((len(values) + 200, 1), 0xABCD, np.uint16)
    packing.unpack(chunk, guarded[100:-100])
    assert np.array_equal(guarded[100:-100, 0], values) and (guarded[[*range(100), *range(-100, 0)]] == 0xABCD).all()
    return values


def cut_sites(draw: np.random.Generator, rows: int, tracks: int, share: float = 0.05) -> np.ndarray:
    """Values of some kinds, each here and there, as bfloat16 bits."""
    values = draw.integers(1, 6, (rows, tracks)) * (1 + np.arange(tracks) / 100)
    return (values * (draw.random((rows, tracks)) < share)).astype(ml_dtypes.bfloat16).view(np.uint16)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_lies_between_the_zeros_comes_back(seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows, tracks = int(draw.integers(1, 3000)), int(draw.integers(1, 70))
    share = float(draw.choice([0, 0.0005, 0.01, 0.05, 0.5, 1]))
    values = cut_sites(draw, rows, tracks, share)
    if seed % 4 == 0:
        # Long stretches of one value, of a repeated row, and of noise.
        values[rows // 4 : rows // 3] = 0x3F80
        values[rows // 3 : rows // 2] = values[rows // 3]
        values[rows // 2 : 2 * rows // 3] = draw.integers(0, 1 << 16, (2 * rows // 3 - rows // 2, tracks))
    assert np.array_equal(unpacked(packing.packed(values)), values.reshape(-1))


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 8, 9, 13])
@pytest.mark.parametrize("kind", ["zeros", "one", "many"])
def test_a_chunk_of_a_few_values(count: int, kind: str) -> None:
    """No match may begin in the last 12 bytes or cover the last 5."""
    values = {"zeros": np.zeros(count), "one": np.full(count, 7), "many": np.arange(count)}[kind].astype(np.uint16)
    assert np.array_equal(unpacked(packing.packed(values[:, None])), values)


def test_values_out_of_reach_are_not_referred_to() -> None:
    """65,535 bytes are as far back as a match can say."""
    values = np.zeros(400_000, np.uint16)
    for place in (5, 32_700, 32_772, 32_773, 65_545, 98_312, 300_000, 332_767, 365_535):
        values[place : place + 3] = 3, 4, 5
    assert np.array_equal(unpacked(packing.packed(values.reshape(-1, 4))), values)


def test_what_cannot_be_packed_is_kept_as_it_is() -> None:
    values = np.random.default_rng(0).integers(0, 1 << 16, (500, 8)).astype(np.uint16)
    chunk = packing.packed(values)
    assert len(chunk) == 16 + values.nbytes and np.array_equal(unpacked(chunk), values.reshape(-1))


def test_it_takes_less_room_than_the_high_compression_of_lz4() -> None:
    values = cut_sites(np.random.default_rng(0), 8192, 64)
    assert len(packing.packed(values)) < len(numcodecs.Blosc("lz4hc", 3, numcodecs.Blosc.NOSHUFFLE).encode(values))


def test_literals_and_matches_meet_anywhere_near_the_end() -> None:
    """The last 192 bytes are unpacked more carefully, from whatever sequence reaches them."""
    draw = np.random.default_rng(0)
    for _ in range(1500):
        # What stood before, up to seven new values, what stood before, new values to the end.
        before, new = (draw.integers(1, 1 << 16, count) for count in (300, draw.integers(1, 8)))
        again, length = before[int(draw.integers(0, 100)) :], int(draw.integers(10, 60))
        rest = draw.integers(1, 1 << 16, draw.integers(88, 97) - length)
        values = np.concatenate([before, before[:50], new, again[:length], rest]).astype(np.uint16)
        assert np.array_equal(unpacked(packing.packed(values[:, None])), values)


@pytest.mark.parametrize("packer", ["lz4", "lz4hc", "zstd"])
@pytest.mark.parametrize("rows", [3, 500, 9000])
def test_chunks_of_others_are_unpacked(packer: str, rows: int) -> None:
    for blocks in (0, 1 << 14):
        values = cut_sites(np.random.default_rng(rows), rows, 8)
        chunk = numcodecs.Blosc(packer, 5, numcodecs.Blosc.NOSHUFFLE, blocks).encode(values)
        assert np.array_equal(unpacked(chunk), values.reshape(-1))


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_chunk_spoils_nothing_else(seed: int) -> None:
    """Checksums find damage first. What gets by them is told, or gives wrong values, and is written nowhere else."""
    draw = np.random.default_rng(seed)
    values = cut_sites(draw, 400, 8, float(draw.choice([0.01, 0.3, 0.9])))
    chunk = packing.packed(values)
    told = 0
    for _ in range(200):
        damaged = bytearray(chunk)
        for place in draw.integers(24, len(chunk), draw.integers(1, 5)):
            # One byte, or many that make a length of thousands.
            for byte in range(place, min(place + draw.choice([1, 1, 30]), len(chunk))):
                damaged[byte] = draw.choice([15, 240, 255, draw.integers(256)]) if byte == place else 255
        guarded = np.full((4400, 8), 0xABCD, np.uint16)
        try:
            packing.unpack(bytes(damaged), guarded[2000:2400])
        except RuntimeError as error:
            assert "packed wrongly" in str(error)
            told += 1
        assert (guarded[:2000] == 0xABCD).all() and (guarded[2400:] == 0xABCD).all()
    assert told > 20


def test_a_chunk_of_another_size_is_refused() -> None:
    chunk = packing.packed(cut_sites(np.random.default_rng(0), 100, 8))
    for rows, given in ((99, chunk), (101, chunk), (100, chunk[:-1])):
        with pytest.raises(RuntimeError, match=rf"for 1600, not of {len(given)} for {16 * rows}"):
            packing.unpack(given, np.zeros((rows, 8), np.uint16))


def test_a_chunk_that_unpacks_to_other_values_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    values = cut_sites(np.random.default_rng(0), 100, 8)
    changed = np.zeros_like(values)
    monkeypatch.setattr(packing.numcodecs.blosc, "decompress", lambda chunk: changed.tobytes())
    with pytest.raises(RuntimeError, match="100 rows of 8 values were packed wrongly"):
        packing.packed(values)


def test_it_works_where_nothing_compiled_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = numba.njit

    def nowhere(*, cache: bool = False, **more: bool) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compiler(**more)

    try:
        with monkeypatch.context() as patched:
            patched.setattr(numba, "njit", nowhere)
            values = cut_sites(np.random.default_rng(1), 100, 8)
            assert np.array_equal(unpacked(importlib.reload(packing).packed(values)), values.reshape(-1))
    finally:
        importlib.reload(packing)


@pytest.mark.parametrize("length", [100, 4096, 5000, 9000])
def test_a_sharded_array_is_read_by_zarr_and_tensorstore(tmp_path: Path, length: int) -> None:
    """Whole shards, a part of one, and chunks and shards of nothing but zeros."""
    values = cut_sites(np.random.default_rng(length), length, 5)
    values[1024:2048] = 0
    values[4096:8192] = 0
    array = create_array(tmp_path / "a", values.shape, "uint16", chunk=(512, 5), shard=(2048, 5), codec=SPARSE)
    for start in range(0, length, 4096):
        write_rows(array, start, values[start : start + 4096])
    assert np.array_equal(zarr.open_array(str(tmp_path / "a"), mode="r")[:], values)
    assert np.array_equal(open_array(tmp_path / "a").read().result(), values)
    shards = {path.parent.name for path in (tmp_path / "a" / "c").rglob("0") if path.is_file()}
    assert shards == {str(at // 2048) for at in range(0, length, 2048) if values[at : at + 2048].any()}


def test_windows_that_are_written_out_one_to_a_shard(tmp_path: Path) -> None:
    """As shards of layout `copy` are: their last chunk is not whole."""
    values = cut_sites(np.random.default_rng(3), 3 * 1300, 6).reshape(3, 1300, 6)
    array = create_array(tmp_path / "a", values.shape, "uint16", chunk=(1, 512, 6), shard=(1, 1536, 6), codec=SPARSE)
    for window in range(3):
        write_rows(array, window, values[window : window + 1])
    assert np.array_equal(zarr.open_array(str(tmp_path / "a"), mode="r")[:], values)
    assert np.array_equal(open_array(tmp_path / "a").read().result(), values)


def test_a_broken_chunk_is_not_read(tmp_path: Path) -> None:
    values = cut_sites(np.random.default_rng(0), 2048, 5)
    array = create_array(tmp_path / "a", values.shape, "uint16", chunk=(512, 5), shard=(2048, 5), codec=SPARSE)
    write_rows(array, 0, values)
    shard = tmp_path / "a" / "c" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ValueError, match="reading shard entry"):
        open_array(tmp_path / "a").read().result()


def test_planning_does_not_import_the_compiler() -> None:
    """It takes a third of a second, which only who writes such a block has to spend."""
    script = "import sys, megabase.store.reader, megabase.store.writer; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ)
