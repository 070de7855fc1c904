"""Reads as they are drawn: of enzymes' cuts, and of transcripts, alone or in pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
from jaxtyping import Int

from megabase.simulate.alignments import DUPLICATE, Reads, single, together
from megabase.simulate.rates import READ_LENGTH, Transcript

DOUBTFUL = 0.03
"""Share of reads that are added with several places to align to, for the quality filter to remove."""
COPIES = 0.03
"""Share of RNA-seq reads that are copies of others, marked as such."""
POOR, POOR_QUALITY = 0.02, 12
"""Share of RNA-seq reads with poor bases, and the quality of these."""
FRAGMENT, SPREAD = 200, 30
"""Length of the fragments of paired reads and its standard deviation, in bp."""
_PAIR_FLAGS = {(1, "left"): 163, (1, "right"): 83, (-1, "left"): 99, (-1, "right"): 147}
"""Proper pairs of a reverse-stranded library: the first read is antisense to the transcript."""


def cut_reads(
    length: int, cuts: Int[np.ndarray, " n"], read: int, shift: tuple[int, int], rng: np.random.Generator
) -> Reads:
    """Single-end reads of `read` bp on a chromosome of `length`, one for each cut.

    Adding `shift` to the 5' ends of plus- and minus-strand reads gives the cuts. A share `DOUBTFUL` of reads is added
    at random places with mapping quality 3.
    """
    place = np.concatenate([cuts, rng.integers(0, length, int(DOUBTFUL * len(cuts)))])
    first, last = place - shift[0], place - shift[1]
    minus = rng.random(len(place)) < 0.5
    minus = np.where(last - read + 1 < 0, False, np.where((first < 0) | (first + read > length), True, minus))
    start = np.where(minus, last - read + 1, first)
    # A cut so near the end that no read of either strand reaches it is not seen.
    seen = (start >= 0) & (start + read <= length)
    reads = single(start[:, None] + np.arange(read), minus)
    doubtful = np.arange(len(place)) >= len(cuts)
    return _doubted(reads, doubtful, np.full(len(place), 3), np.full(len(place), 2))[seen]


def transcript_reads(
    length: int, molecules: Iterable[Transcript], expected: float, paired: bool, rng: np.random.Generator
) -> Reads:
    """Reads of transcripts on a chromosome of `length` bp: `expected` over each junction of one of abundance 1.

    Some are copies, some have poor bases, and some, from anywhere, align to several places.
    """
    fragments = [_fragments(one, expected, paired, rng) for one in molecules if one.starts > 0]
    unique = sum(len(left) for left, _, _ in fragments)
    anywhere = Transcript(np.arange(length), DOUBTFUL * unique / length, strand="+")
    noise = _fragments(anywhere, (READ_LENGTH - 1) * (2 if paired else 1), paired, rng)
    left, right, strand = (np.concatenate(parts) for parts in zip(*fragments, noise, strict=True))
    doubtful = np.arange(len(left)) >= unique
    poor = rng.random(len(left)) < POOR
    hits = rng.integers(2, 6, len(left))
    copied = np.flatnonzero(rng.random(unique) < COPIES)
    order = np.concatenate([np.arange(len(left)), copied])

    ends = [("left", left), ("right", right)] if paired else [("left", left)]
    span = right[:, -1] + 1 - left[:, 0]
    groups = []
    for end, positions in ends:
        reads = single(positions, strand > 0)
        reads = dataclasses.replace(
            reads,
            strand=strand,
            mapping_quality=np.full(len(left), 255),
            quality=np.where(poor, POOR_QUALITY, reads.quality),
        )
        if paired:
            flag = np.where(strand > 0, _PAIR_FLAGS[1, end], _PAIR_FLAGS[-1, end])
            mate = (right if end == "left" else left)[:, 0]
            reads = dataclasses.replace(reads, flag=flag, mate=mate, span=span if end == "left" else -span)
        # As STAR states it: 3 for two places, 1 for three or four, 0 for more.
        reads = _doubted(reads, doubtful, np.select([hits == 2, hits < 5], [3, 1], 0), hits)[order]
        copy = np.arange(len(order)) >= len(left)
        flag = reads.flag | np.where(copy, DUPLICATE, 0)
        groups.append(dataclasses.replace(reads, flag=flag, name=np.arange(len(order))))
    return together(groups)


def _fragments(
    molecule: Transcript, expected: float, paired: bool, rng: np.random.Generator
) -> tuple[Int[np.ndarray, "n L"], Int[np.ndarray, "n L"], Int[np.ndarray, " n"]]:
    """Positions of the leftmost and rightmost read of each fragment, and the strand of the molecule."""
    # Both reads of a pair may lie over a junction.
    per_base = expected / (READ_LENGTH - 1) / (2 if paired else 1)
    places = max(1, len(molecule.bases) - (FRAGMENT if paired else READ_LENGTH) + 1)
    count = int(rng.poisson(per_base * molecule.abundance * places))
    wanted = rng.normal(FRAGMENT, SPREAD, count).astype(np.int64) if paired else np.full(count, READ_LENGTH)
    size = np.clip(wanted, READ_LENGTH, len(molecule.bases))
    start = (rng.random(count) * (len(molecule.bases) - size + 1)).astype(np.int64)
    inside = np.arange(READ_LENGTH)
    left = molecule.bases[start[:, None] + inside]
    right = molecule.bases[(start + size - READ_LENGTH)[:, None] + inside]
    return left, right, np.full(count, 1 if molecule.strand == "+" else -1)


def _doubted(reads: Reads, which: np.ndarray, quality: np.ndarray, hits: np.ndarray) -> Reads:
    """The reads, some of which align to several places."""
    return dataclasses.replace(
        reads,
        mapping_quality=np.where(which, quality, reads.mapping_quality),
        hits=np.where(which, hits, reads.hits),
    )
