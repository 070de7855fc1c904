"""DNA as small integers: A 0, C 1, G 2, T 3, anything else 4."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

UNKNOWN = 4
_CODE = np.full(256, UNKNOWN, np.uint8)
for _letters, _code in (("Aa", 0), ("Cc", 1), ("Gg", 2), ("Tt", 3)):
    for _letter in _letters:
        _CODE[ord(_letter)] = _code
_COMPLEMENT = np.array([3, 2, 1, 0, UNKNOWN], np.uint8)


def encode(sequence: str | bytes) -> UInt8[np.ndarray, "S"]:
    """Letters to codes; lower case counts as upper case."""
    letters = sequence.encode() if isinstance(sequence, str) else sequence
    return _CODE[np.frombuffer(letters, np.uint8)]


def reverse_complement(codes: UInt8[np.ndarray, "*batch S"]) -> UInt8[np.ndarray, "*batch S"]:
    """The other strand, read in its own direction."""
    return _COMPLEMENT[codes[..., ::-1]]
