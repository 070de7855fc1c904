"""What the text of a compiled program says about one device's part."""

from __future__ import annotations

import itertools
import math
import re
from typing import NamedTuple

from megabase.model.convolutions import BLOCK

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
"""Operations in which devices exchange values."""
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "f16": 2, "bf16": 2, "s64": 8, "u64": 8, "f64": 8}
_BEYOND = range(16)
"""Positions that a convolution sees beyond a block's ends, both together."""
_SHAPE = re.compile(r"\b(pred|bf16|[fsu]\d+)\[([\d,]*)\]")


class Exchanged(NamedTuple):
    """Collectives of one kind."""

    number: int
    """How many stand in the program; those in a loop count once."""
    bytes: int
    """Size of what each device gets from them."""


def exchanged(text: str) -> dict[str, Exchanged]:
    """The collectives of a compiled program, by kind."""
    found = {}
    for kind in COLLECTIVES:
        # `-start` is the first half of one that runs beside other work; its result holds the operand as well.
        lines = re.findall(rf"= (.*?) {kind}(-start)?\(", text)
        sizes = [_size(shapes) // (2 if start and kind != "all-reduce" else 1) for shapes, start in lines]
        if lines:
            found[kind] = Exchanged(len(lines), sum(sizes))
    return found


def full_length(text: str, length: int, channels: int = 64) -> list[str]:
    """Shapes of arrays with a whole window of `length` positions and at least so many channels: an axis as long as the
    window (or windows, or as long and what a convolution sees beyond), or blocks of a folded convolution that add up to
    it."""
    found = set()
    for _, shape in set(_SHAPE.findall(text)):
        sizes = [int(size) for size in shape.split(",") if size]
        if math.prod(sizes) < channels * length:
            continue
        # Of two axes as long as a block the second has channels.
        pairs = itertools.pairwise(sizes) if len(sizes) > 2 else ()
        count, own = next(((count, own) for count, own in pairs if own - BLOCK in _BEYOND), (0, 0))
        blocks = count * BLOCK >= length and math.prod(sizes) >= channels * count * own
        if blocks or any(size >= length and size % length in _BEYOND for size in sizes):
            found.add(shape)
    return sorted(found)


def _size(shapes: str) -> int:
    return sum(
        _BYTES.get(dtype, 4) * math.prod(int(size) for size in shape.split(",") if size)
        for dtype, shape in _SHAPE.findall(shapes)
    )
