"""LZ4 for rows that are mostly zero, such as means of cut sites: packed twice as fast as by lz4's own high compression,
into less room, and unpacked faster.

An LZ4 block is a list of sequences: some literal bytes, then a match, which is a distance back and a length. What an
unpacker needs time for is the number of sequences. lz4 looks for matches of four bytes at every byte, most of which are
zeros that lie everywhere. Here a value that is not zero is looked up where it was last, with as many zeros before it
as are to be covered, and matches are measured from value to value: one sequence covers a value and all zeros around
it. What comes out is a chunk of Blosc, which any reader of that format unpacks
(https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md,
https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst).

Lengths, distances and places are in values of two bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numba
import numcodecs.blosc
import numpy as np
from jaxtyping import Int32, Shaped, UInt8, UInt16

_FARTHEST = 65_535 // 2
"""Distance that the two bytes of a sequence can say."""
_LAST_START, _LAST_END = 6, 3
"""No match begins in the last 12 bytes of a block or covers its last 5, here 6 (LZ4 block format)."""
_TRIES = 6
"""Earlier places of a value that are compared: 4 make means of replicates 14.3 times smaller, 6 14.7 times and take a
twentieth longer, 16 15.1 times and take half as long again."""
_GAIN = 4
"""So much farther must a match reach from the next value on to be worth a literal, which costs two bytes."""
_STRIDE = 32
"""Distance of zeros to themselves: unpackers copy slowly from less than 16 bytes before."""
_FRESH = 20_000
"""A run of zeros that begins farther back is soon out of reach."""
_LZ4, _UNSPLIT, _STORED = 1 << 5, 1 << 4, 1 << 1
"""Flags of a Blosc chunk: its format, one stream to a block, and that its bytes are not packed."""


def packed(rows: UInt16[np.ndarray, "rows T"]) -> bytes:
    """A Blosc chunk of one block, or of the bytes as they are where LZ4 does not make them fewer.

    Unpacked again before it is trusted: raises RuntimeError if that gives other values.
    """
    values = np.ascontiguousarray(rows).reshape(-1)
    raw = values.view(np.uint8)
    places = np.empty(np.count_nonzero(values) + 2, np.int32)
    _place(values, places)
    block = np.empty(len(raw) + len(raw) // 255 + 16, np.uint8)
    size = _compressed(values, raw, places, block)
    head, flags = 16 + 2 * 4, _LZ4 | _UNSPLIT
    if head + size >= 16 + len(raw):
        chunk = struct.pack("<4B3I", 2, 1, flags | _STORED, 2, len(raw), len(raw), 16 + len(raw)) + raw.tobytes()
    else:
        # Version of the format and of its LZ4, flags, bytes of a value; bytes unpacked, of a block, of all this; where
        # the block begins and its bytes.
        chunk = struct.pack("<4B5I", 2, 1, flags, 2, len(raw), len(raw), head + size, head - 4, size)
        chunk += block[:size].tobytes()
    if not np.array_equal(np.frombuffer(numcodecs.blosc.decompress(chunk), np.uint8), raw):
        raise RuntimeError(f"{rows.shape[0]} rows of {rows.shape[1]} values were packed wrongly")
    return chunk


def _jit(function: Callable[..., Any]) -> Any:
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        # Nowhere to keep what was compiled: neither beside this file nor in the user's folder.
        return numba.njit(nogil=True)(function)


@_jit
def _place(values: UInt16[np.ndarray, " N"], places: Int32[np.ndarray, " count+2"]) -> None:
    """Puts -1, the places of all values that are not zero, and N."""
    places[0] = -1
    count = 1
    for place in range(len(values)):
        places[count] = place
        count += values[place] != 0
    places[count] = len(values)


@_jit
def _compressed(
    values: UInt16[np.ndarray, " N"],
    raw: UInt8[np.ndarray, " 2*N"],
    places: Int32[np.ndarray, " count+2"],
    block: UInt8[np.ndarray, " room"],
) -> int:
    """Writes the LZ4 block; its bytes. `places` as `_place` leaves them: value k is at `places[k]`, from 1 on."""
    count = len(places) - 2
    latest = np.zeros(1 << 16, np.int32)  # Of every bit pattern, the last value k that has it.
    earlier = np.zeros(count + 1, np.int32)  # Of value k, the one before it that has the same.
    at = literals = size = entered = run_start = run_length = 0
    following = 1  # The first value at `at` or behind it.
    while at < len(values) - _LAST_START:
        while places[following] < at:
            following += 1
        while entered + 1 < following:
            entered += 1
            _enter(values, places, latest, earlier, entered)
            start, length = places[entered - 1] + 1, places[entered] - places[entered - 1] - 1
            if length >= run_length or at - run_start > _FRESH:
                run_start, run_length = start, length
        zeros = places[following] - at
        length = distance = 0
        if following <= count:
            length, distance = _longest(values, places, latest, earlier, at, following)
            if zeros == 0 and following < count:
                _enter(values, places, latest, earlier, following)
                after, far = _longest(values, places, latest, earlier, at + 1, following + 1)
                latest[values[at]] = earlier[following]
                if 1 + after > length + _GAIN:
                    at, length, distance = at + 1, after, far
        if length == 0 and zeros > 1:
            before = at - places[following - 1] - 1
            if run_length >= max(zeros, before) and at - run_start <= _FARTHEST:
                length, distance = zeros, at - run_start
            elif before > 0:
                length, distance = zeros if before >= _STRIDE else min(zeros, _STRIDE), min(before, _STRIDE)
        length = min(length, len(values) - _LAST_END - at)
        if length > 1:
            size = _sequence(block, size, raw, literals, at, length, distance)
            at += length
            literals = at
        else:
            at += 1
    return _sequence(block, size, raw, literals, len(values), 0, 0)


@_jit
def _enter(
    values: UInt16[np.ndarray, " N"],
    places: Int32[np.ndarray, " count+2"],
    latest: Int32[np.ndarray, " 65536"],
    earlier: Int32[np.ndarray, " count+1"],
    k: int,
) -> None:
    """Value k can be found from now on."""
    value = values[places[k]]
    earlier[k] = latest[value]
    latest[value] = k


@_jit
def _longest(
    values: UInt16[np.ndarray, " N"],
    places: Int32[np.ndarray, " count+2"],
    latest: Int32[np.ndarray, " 65536"],
    earlier: Int32[np.ndarray, " count+1"],
    at: int,
    k: int,
) -> tuple[int, int]:
    """Length and distance of the longest match of what begins with zeros at `at` and value k after them."""
    count = len(places) - 2
    zeros = places[k] - at
    best = distance = tries = 0
    other = latest[values[places[k]]]
    while other > 0 and tries < _TRIES and places[k] - places[other] <= _FARTHEST:
        if places[other] - places[other - 1] > zeros:
            length, here, there = zeros + 1, k + 1, other + 1
            while True:
                gap, other_gap = places[here] - places[here - 1] - 1, places[there] - places[there - 1] - 1
                length += min(gap, other_gap)
                if gap != other_gap or here > count or values[places[here]] != values[places[there]]:
                    break
                length, here, there = length + 1, here + 1, there + 1
            if length > best:
                best, distance = length, places[k] - places[other]
        other = earlier[other]
        tries += 1
    return best, distance


@_jit
def _sequence(
    block: UInt8[np.ndarray, " room"],
    size: int,
    raw: UInt8[np.ndarray, " 2*N"],
    literals: int,
    at: int,
    length: int,
    distance: int,
) -> int:
    """Appends the literals from `literals` to `at` and a match from there; none if `length` is 0. The block's bytes."""
    literal, matched, back = 2 * (at - literals), 2 * length, 2 * distance
    if matched and literal and at > distance and raw[2 * at - 1] == raw[2 * at - 1 - back]:
        # The upper half of the last literal, sign and exponent, is often that of the value it stands in for.
        literal, matched = literal - 1, matched + 1
    token, size = size, size + 1
    block[token] = min(literal, 15) << 4
    if literal >= 15:
        size = _rest(block, size, literal - 15)
    for byte in range(2 * literals, 2 * literals + literal):
        block[size] = raw[byte]
        size += 1
    if matched:
        block[size], block[size + 1] = back & 255, back >> 8
        size += 2
        block[token] |= min(matched - 4, 15)
        if matched - 4 >= 15:
            size = _rest(block, size, matched - 4 - 15)
    return size


@_jit
def _rest(block: Shaped[np.ndarray, " room"], size: int, rest: int) -> int:
    """Appends what of a length does not fit its four bits."""
    while rest >= 255:
        block[size] = 255
        size += 1
        rest -= 255
    block[size] = rest
    return size + 1
