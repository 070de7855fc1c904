"""LZ4 for rows that are mostly zero, such as means of cut sites: packed twice as fast as by lz4's own high compression,
into less room, and unpacked faster.

An LZ4 block is a list of sequences: some literal bytes, then a match, which is a distance back and a length. What an
unpacker needs time for is the number of sequences. lz4 looks for matches of four bytes at every byte, most of which are
zeros that lie everywhere. Here a value that is not zero is looked up where it was last, with as many zeros before it
as are to be covered, and matches are measured from value to value: one sequence covers a value and all zeros around
it. What comes out is a chunk of Blosc, which any reader of that format unpacks
(https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md,
https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst).

Unpacking takes the time of wrong guesses: how long a match is decides how often a loop goes round, and the processor
cannot tell lengths like these before. So the first 128 bytes of a match are copied whatever its length.

Where packing is concerned, lengths, distances and places are in values of two bytes; where unpacking is, in bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numba
import numcodecs.blosc
import numpy as np
from jaxtyping import Int32, Shaped, UInt8, UInt16
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

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
_HEADER, _BLOCK = struct.Struct("<4B3I"), struct.Struct("<2I")
"""Of a chunk: version of the format and of its LZ4, flags, bytes of a value; bytes unpacked, of a block, of all this.
Of one that is packed as one block, behind it: where that begins, and its bytes."""
_WIDE, _NARROW = 64, 16
"""Bytes that are copied at once."""
_MARGIN = 3 * _WIDE
"""What copies may write beyond the end of a match."""
_number: Any = np.intp
"""Of a byte, one that does not run over where it is shifted or added to."""


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
    head = _HEADER.size + _BLOCK.size
    if head + size < _HEADER.size + len(raw):
        chunk = _HEADER.pack(2, 1, _LZ4 | _UNSPLIT, 2, len(raw), len(raw), head + size)
        chunk += _BLOCK.pack(head - 4, size) + block[:size].tobytes()
    else:
        flags, whole = _LZ4 | _UNSPLIT | _STORED, _HEADER.size + len(raw)
        chunk = _HEADER.pack(2, 1, flags, 2, len(raw), len(raw), whole) + raw.tobytes()
    if not np.array_equal(np.frombuffer(numcodecs.blosc.decompress(chunk), np.uint8), raw):
        raise RuntimeError(f"{rows.shape[0]} rows of {rows.shape[1]} values were packed wrongly")
    return chunk


def unpack(chunk: bytes, into: UInt16[np.ndarray, "rows T"]) -> None:
    """Fills rows that lie without gaps from a Blosc chunk, whoever packed it.

    Raises RuntimeError for what is no such chunk, or one of other size.
    """
    _, _, flags, _, unpacked, block_bytes, whole = _HEADER.unpack_from(chunk)
    if (unpacked, whole) != (into.nbytes, len(chunk)):
        raise RuntimeError(f"a chunk of {whole} bytes for {unpacked}, not of {len(chunk)} for {into.nbytes}")
    if flags == _LZ4 | _UNSPLIT and block_bytes == unpacked:
        begin, size = _BLOCK.unpack_from(chunk, _HEADER.size)
        if begin + 4 + size == whole and size < unpacked:
            block = np.frombuffer(chunk, np.uint8, size, begin + 4)
            if _uncompressed(block, into.reshape(-1).view(np.uint8)) != into.nbytes:
                raise RuntimeError("a chunk that was packed wrongly")
            return
    numcodecs.blosc.decompress(chunk, into)


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


def _copier(size: int) -> Any:
    """A function that copies so many bytes from one place in an array to one in another, by one load and one store
    where the processor has units so wide. They must be there: it looks at no bounds."""

    @intrinsic
    def copy(context: Any, into: Any, at: Any, source: Any, begin: Any) -> Any:
        def generated(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            bytes_at = []
            for array, place, kind in ((given[0], given[1], into), (given[2], given[3], source)):
                start = context.make_array(kind)(context, builder, array).data
                bytes_at.append(builder.bitcast(builder.gep(start, [place]), vector.as_pointer()))
            value = builder.load(bytes_at[1], align=1)
            builder.store(value, bytes_at[0], align=1)
            return context.get_dummy_value()

        return types.void(into, types.intp, source, types.intp), generated

    vector = ir.VectorType(ir.IntType(8), size)
    return copy


_copy_wide, _copy_narrow = _copier(_WIDE), _copier(_NARROW)


@_jit
def _uncompressed(block: UInt8[np.ndarray, " size"], into: UInt8[np.ndarray, " N"]) -> int:
    """Unpacks an LZ4 block; how many bytes came out, or -1 for what is no such block."""
    # As long as no copy can go over an end.
    done, begin = _quickly(block, into)
    while 0 <= begin < len(block):
        token, begin = _number(block[begin]), begin + 1
        literal = token >> 4
        if literal == 15:
            literal, begin = _full(block, begin, literal)
        if begin + literal > len(block) or done + literal > len(into):
            return -1
        into[done : done + literal] = block[begin : begin + literal]
        done, begin = done + literal, begin + literal
        if begin == len(block):
            return done
        if begin + 2 > len(block):
            return -1
        distance, begin = _number(block[begin]) | _number(block[begin + 1]) << 8, begin + 2
        length = (token & 15) + 4
        if length == 19:
            length, begin = _full(block, begin, length)
        if distance == 0 or distance > done or done + length > len(into):
            return -1
        for place in range(done, done + length):
            into[place] = into[place - distance]
        done += length
    return -1


@_jit
def _quickly(block: UInt8[np.ndarray, " size"], into: UInt8[np.ndarray, " N"]) -> tuple[int, int]:
    """Unpacks all but the last sequences: bytes written, and where in the block to go on; -1 for what is no block."""
    last_done, last_begin = len(into) - _MARGIN, len(block) - _WIDE
    done = begin = 0
    while done < last_done and begin < last_begin:
        start, token = begin, _number(block[begin])
        begin += 1
        literal = token >> 4
        if literal < 15:
            _copy_narrow(into, done, block, begin)
        else:
            literal, begin = _full(block, begin, literal)
            if done + literal > last_done or begin + literal > last_begin:
                return done, start
            for place in range(0, literal, _WIDE):
                _copy_wide(into, done + place, block, begin + place)
        done, begin = done + literal, begin + literal
        distance = _number(block[begin]) | _number(block[begin + 1]) << 8
        # Most lengths need one byte more, but not all: a branch would often be guessed wrong, a sum cannot be.
        more = _number(token & 15 == 15)
        rest = _number(block[begin + 2]) * more
        length, begin = (token & 15) + 4 + rest, begin + 2 + more
        if rest == 255:
            length, begin = _full(block, begin, length)
        end = done + length
        if distance == 0 or distance > done or end > len(into):
            return done, -1
        if distance >= _WIDE and end <= last_done:
            _copy_wide(into, done, into, done - distance)
            _copy_wide(into, done + _WIDE, into, done + _WIDE - distance)
            for place in range(done + 2 * _WIDE, end, _WIDE):
                _copy_wide(into, place, into, place - distance)
        else:
            apart = max(done, min(end, last_done)) if distance >= _NARROW else done
            for place in range(done, apart, _NARROW):
                _copy_narrow(into, place, into, place - distance)
            for place in range(apart, end):
                into[place] = into[place - distance]
        done = end
    return done, begin


@_jit
def _full(block: UInt8[np.ndarray, " size"], begin: int, length: int) -> tuple[int, int]:
    """A length with the bytes that add to it, and where they end."""
    byte = _number(255)
    while byte == 255 and begin < len(block):
        byte = _number(block[begin])
        length, begin = length + byte, begin + 1
    return length, begin
