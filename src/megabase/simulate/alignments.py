"""Alignments as BAM, built as whole arrays of records: a read at a time would be most of the time the world takes.

Layout of a record: SAM/BAM format specification, section 4.2.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pysam
from jaxtyping import Bool, Int, UInt8

from megabase.artifacts import atomic_path
from megabase.simulate.genome import Chromosome

REVERSE, DUPLICATE = 0x10, 0x400
"""Flags of a read of the minus strand, and of a copy of another read."""
QUALITY = 37
"""Base quality of good reads."""
_NUCLEOTIDES = np.array([1, 2, 4, 8, 15], dtype=np.uint8)
_NAME = 11
"""Bytes of a read's name, its final zero among them."""
_MATCH, _SKIP = 0, 3


@dataclasses.dataclass(frozen=True)
class Reads:
    """Aligned reads of one length on one chromosome."""

    positions: Int[np.ndarray, "n L"]
    """Position of each base of a read, ascending; jumps are introns."""
    flag: Int[np.ndarray, " n"]
    mapping_quality: Int[np.ndarray, " n"]
    hits: Int[np.ndarray, " n"]
    """Places that the read aligns to (tag NH)."""
    strand: Int[np.ndarray, " n"]
    """Strand of the transcript (tag XS): 1, -1, or 0 for reads that say nothing of it."""
    quality: Int[np.ndarray, " n"]
    """Of every base."""
    name: Int[np.ndarray, " n"]
    """Number of the read or pair."""
    mate: Int[np.ndarray, " n"]
    """Leftmost position of the mate, or -1."""
    span: Int[np.ndarray, " n"]
    """Signed length of the pair on the chromosome, or 0."""

    @property
    def start(self) -> Int[np.ndarray, " n"]:
        """Leftmost position."""
        return self.positions[:, 0]

    def __getitem__(self, chosen: Int[np.ndarray, " m"] | Bool[np.ndarray, " n"]) -> Reads:
        return Reads(**{field.name: getattr(self, field.name)[chosen] for field in dataclasses.fields(self)})


def single(positions: Int[np.ndarray, "n L"], reverse: Bool[np.ndarray, " n"], first_name: int = 0) -> Reads:
    """Good single-end reads that say nothing of a transcript."""
    count = len(positions)
    same = {name: np.full(count, value) for name, value in _GOOD.items()}
    names = first_name + np.arange(count)
    return Reads(positions=positions, flag=np.where(reverse, REVERSE, 0), name=names, **same)


_GOOD = {"mapping_quality": 60, "hits": 1, "strand": 0, "quality": QUALITY, "mate": -1, "span": 0}


def together(groups: Iterable[Reads]) -> Reads:
    """All reads of several groups."""
    listed = list(groups)
    names = [field.name for field in dataclasses.fields(Reads)]
    return Reads(**{name: np.concatenate([getattr(one, name) for one in listed]) for name in names})


def write_bam(path: Path, chromosomes: list[Chromosome], reads: Mapping[str, Reads]) -> None:
    """Sorted alignments by chromosome, and their .bai."""
    index = path.with_name(f"{path.name}.bai")
    with atomic_path(path) as partial, atomic_path(index) as partial_index:
        # Level 1: half the time, and files a little larger.
        with pysam.BGZFile(str(partial), "wb1", None) as file:  # type: ignore[arg-type]
            file.write(_header(chromosomes))
            for number, chromosome in enumerate(chromosomes):
                for record in _records(number, chromosome.codes, reads[chromosome.name]):
                    file.write(record)
        pysam.index(str(partial), str(partial_index))


def _header(chromosomes: list[Chromosome]) -> bytes:
    lines = ["@HD\tVN:1.6\tSO:coordinate", *(f"@SQ\tSN:{one.name}\tLN:{len(one)}" for one in chromosomes)]
    text = "".join(f"{line}\n" for line in lines).encode()
    parts = [b"BAM\1", struct.pack("<i", len(text)), text, struct.pack("<i", len(chromosomes))]
    for one in chromosomes:
        name = one.name.encode() + b"\0"
        parts.append(struct.pack("<i", len(name)) + name + struct.pack("<i", len(one)))
    return b"".join(parts)


def _records(reference: int, codes: UInt8[np.ndarray, " S"], reads: Reads) -> Iterable[bytes]:
    """The records of a chromosome in order of their start, in pieces."""
    if len(reads.flag) == 0:
        return
    reads = reads[np.argsort(reads.start, kind="stable")]
    jumps = np.diff(reads.positions, axis=1) != 1
    introns = jumps.sum(axis=1)
    if not introns.any():
        yield _encoded(reference, codes, reads, jumps).tobytes()
        return
    encoded = np.empty(len(introns), dtype=object)
    for count in np.unique(introns):
        (chosen,) = np.nonzero(introns == count)
        group = _encoded(reference, codes, reads[chosen], jumps[chosen])
        raw, size = group.tobytes(), group.dtype.itemsize
        encoded[chosen] = [raw[at : at + size] for at in range(0, len(raw), size)]
    yield b"".join(encoded.tolist())


def _encoded(
    reference: int, codes: UInt8[np.ndarray, " S"], reads: Reads, jumps: Bool[np.ndarray, "n L-1"]
) -> np.ndarray:
    """Records of reads that all have the same number of introns."""
    count, length = reads.positions.shape
    blocks = int(jumps[0].sum()) + 1
    packed = (length + 1) // 2
    record = np.zeros(
        count,
        dtype=[
            *((name, "<i4") for name in ("block_size", "reference", "start")),
            *(("name_length", "u1"), ("mapping_quality", "u1"), ("bin", "<u2"), ("operations", "<u2"), ("flag", "<u2")),
            *((name, "<i4") for name in ("length", "mate_reference", "mate", "span")),
            *(("name", f"S{_NAME}"), ("cigar", "<u4", (2 * blocks - 1,)), ("sequence", "u1", (packed,))),
            *(("quality", "u1", (length,)), ("nh", "S3"), ("hits", "u1")),
            *((("xs", "S3"), ("strand", "S1")) if reads.strand.any() else ()),
        ],
    )
    record["block_size"] = record.dtype.itemsize - 4
    record["reference"], record["start"] = reference, reads.start
    record["bin"] = _bins(reads.start, reads.positions[:, -1] + 1)
    record["name_length"], record["operations"], record["length"] = _NAME, 2 * blocks - 1, length
    for name in ("mapping_quality", "flag", "mate", "span", "hits"):
        record[name] = getattr(reads, name)
    record["mate_reference"] = np.where(reads.mate < 0, -1, reference)
    record["name"] = _names(reference, reads.name)

    # The last base of each block; then block lengths and intron lengths take turns.
    last = np.concatenate([np.nonzero(jumps)[1].reshape(count, -1), np.full((count, 1), length - 1)], axis=1)
    record["cigar"][:, ::2] = np.diff(last, axis=1, prepend=-1) << 4 | _MATCH
    rows = np.arange(count)[:, None]
    left, right = reads.positions[rows, last[:, :-1]], reads.positions[rows, last[:, :-1] + 1]
    record["cigar"][:, 1::2] = (right - left - 1) << 4 | _SKIP

    bases = np.zeros((count, 2 * packed), dtype=np.uint8)
    bases[:, :length] = _NUCLEOTIDES[codes[reads.positions]]
    record["sequence"] = bases[:, ::2] << 4 | bases[:, 1::2]
    record["quality"] = reads.quality[:, None]
    record["nh"] = b"NHC"
    if reads.strand.any():
        record["xs"], record["strand"] = b"XSA", np.where(reads.strand > 0, b"+", b"-")
    return record


def _names(reference: int, number: Int[np.ndarray, " n"]) -> np.ndarray:
    """Names like `02.0000123`, all of one length."""
    text = np.zeros((len(number), _NAME), dtype=np.uint8)
    text[:, :3] = np.frombuffer(f"{reference:02d}.".encode(), dtype=np.uint8)
    text[:, 3:-1] = number[:, None] // 10 ** np.arange(_NAME - 5, -1, -1) % 10 + ord("0")
    return text.view(f"S{_NAME}")[:, 0]


def _bins(start: Int[np.ndarray, " n"], end: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The smallest bin of the index that holds each read (specification, section 5.3)."""
    found = np.zeros_like(start)
    for shift in (26, 23, 20, 17, 14):
        first = ((1 << (29 - shift)) - 1) // 7
        found = np.where(start >> shift == (end - 1) >> shift, first + (start >> shift), found)
    return found
