"""Alleles against the genome: which of the two it has, on which strand, and where, in a source of another assembly.

The genome decides. An allele pair whose first is the genome's stays as it is; one whose second is the genome's is
swapped, and with it the sign of its effect (evaluation reference 4.2); for sources whose alleles may be of the other
strand, the complements are tried likewise. What fits in no way is left out. Every outcome is counted.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from megabase.errors import InputError
from megabase.evaluation.variant_sets.table import Counts
from megabase.genome.sequence import UNKNOWN, encode
from megabase.scoring.vcf import Sequences

_COMPLEMENT = str.maketrans("ACGT", "TGCA")
_PIECE, _PIECES = 65_536, 256

NOT_LETTERS = "whose alleles are no sequence of A, C, G and T"
EQUAL = "whose alleles are equal"
NO_CHROMOSOME = "on a chromosome that the genome does not have"
BEYOND = "beyond the end of its chromosome"
NOT_THERE = "neither of whose alleles is the genome's"
UNMAPPED = "without a place in the other assembly"
SEVERAL = "with several places in the other assembly"
MOVED = "on another chromosome in the other assembly"
BROKEN = "whose bases are not together in the other assembly"


def reverse_complement(letters: str) -> str:
    """The other strand's letters."""
    return letters.translate(_COMPLEMENT)[::-1]


class Genome:
    """A FASTA file, as builders and scorers read it."""

    def __init__(self, path: Path) -> None:
        import pyfaidx

        if not path.exists():
            raise InputError("no such genome", where=path, remedy="give a FASTA, plain or bgzipped")
        try:
            self._fasta: Any = pyfaidx.Faidx(str(path))
        except Exception as error:
            # pyfaidx has no common base for what it raises: unindexed gzip, broken lines, no write permission.
            raise InputError(f"cannot be read: {error}", where=path, remedy="give a plain or bgzipped FASTA") from None
        self.sizes: dict[str, int] = {name: int(record.rlen) for name, record in self._fasta.index.items()}
        """Chromosome lengths, in bp."""

    def codes(self, chrom: str, start: int, end: int) -> UInt8[np.ndarray, " bases"]:
        """Base codes of [start, end), 4 beyond the chromosome's ends."""
        codes = np.full(end - start, UNKNOWN, np.uint8)
        first, last = max(start, 0), min(end, self.sizes[chrom])
        if first < last:
            codes[first - start : last - start] = encode(str(self._fasta.fetch(chrom, first + 1, last)))
        return codes


class Lift:
    """Places of one assembly in another, by a chain file of UCSC (`hg19ToHg38.over.chain.gz`)."""

    def __init__(self, chain: Path) -> None:
        try:
            from liftover import ChainFile
        except ImportError:
            remedy = "install it: pip install liftover"
            raise InputError("needs the package `liftover`", where=chain, remedy=remedy) from None
        if not chain.exists():
            raise InputError("no such chain file", where=chain, remedy="fetch it from UCSC's liftOver folder")
        try:
            self._chain = ChainFile(str(chain), one_based=True)
        except (RuntimeError, ValueError, OSError) as error:
            raise InputError(f"not a chain file: {error}", where=chain, remedy="fetch it again") from None

    def point(self, chrom: str, position: int) -> tuple[str, int, str] | str:
        """Chromosome, 1-based position and strand of a base, or why it has none."""
        found = self._chain[chrom][position]
        if len(found) != 1:
            return SEVERAL if found else UNMAPPED
        name, place, strand = found[0]
        return (str(name), int(place), str(strand)) if name == chrom else MOVED

    def span(self, chrom: str, first: int, last: int) -> tuple[int, int, str] | str:
        """First and last 1-based position, and strand, of bases that are together in both assemblies, or why not."""
        left = self.point(chrom, first)
        right = left if first == last else self.point(chrom, last)
        if isinstance(left, str) or isinstance(right, str):
            return left if isinstance(left, str) else str(right)
        low, high = sorted((left[1], right[1]))
        return (low, high, left[2]) if left[2] == right[2] and high - low == last - first else BROKEN


@dataclasses.dataclass(frozen=True)
class Placed:
    """A variant as the set has it."""

    chromosome: str
    position: int
    """1-based, of the first base of `ref`."""
    ref: str
    alt: str
    swapped: bool = False
    """The source's second allele is `ref`: the sign of an effect changes."""

    @property
    def sign(self) -> int:
        """What the source's effect is multiplied with."""
        return -1 if self.swapped else 1

    def columns(self) -> dict[str, object]:
        """As columns of the table."""
        return {"chromosome": self.chromosome, "position": self.position, "ref": self.ref, "alt": self.alt}

    def __str__(self) -> str:
        return f"{self.chromosome}:{self.position}:{self.ref}>{self.alt}"


class Placing:
    """Places the variants of one source on the genome, and counts what it does."""

    def __init__(
        self,
        genome: Sequences | None,
        counts: Counts,
        *,
        swap: bool = False,
        complement: bool = False,
        lift: Lift | None = None,
    ) -> None:
        """`swap`: the source's first allele need not be the genome's. `complement`: alleles may be of the other
        strand; an SNV whose alleles are each other's complement cannot tell, and counts as of this one."""
        self._genome, self._counts, self._lift = genome, counts, lift
        strands, orders = (False, True)[: 1 + complement], (False, True)[: 1 + swap]
        self._orders = [(swapped, other) for other in strands for swapped in orders]
        self._piece = functools.lru_cache(maxsize=_PIECES)(self._read)
        self._names: dict[str, str] = {}
        for name in genome.sizes if genome else ():
            self._names[name] = name
            self._names.setdefault(name.removeprefix("chr") if name.startswith("chr") else f"chr{name}", name)

    def place(self, chrom: str, position: int, ref: str, alt: str) -> Placed | None:
        """The variant on the genome; None, and counted, where it has no place there."""
        chrom = chrom if chrom.startswith("chr") or chrom in self._names else f"chr{chrom}"
        chrom, ref, alt = self._names.get(chrom, chrom), ref.upper(), alt.upper()
        if not (ref and alt and set(ref + alt) <= set("ACGT")):
            return self._drop(NOT_LETTERS)
        if ref == alt:
            return self._drop(EQUAL)
        lifted = False
        if self._lift:
            moved = self._lift.span(chrom, position, position + len(ref) - 1)
            if isinstance(moved, str):
                return self._drop(moved)
            position, lifted = moved[0], True
            if moved[2] == "-":
                # The base before an insertion or deletion is on its other side then: such rows are not moved.
                if len(ref) != len(alt):
                    return self._drop(BROKEN)
                ref, alt = reverse_complement(ref), reverse_complement(alt)
        placed = self._checked(chrom, position, ref, alt)
        if placed and lifted:
            self._counts.turned["lifted"] += 1
        return placed

    def _checked(self, chrom: str, position: int, ref: str, alt: str) -> Placed | None:
        if self._genome is None:
            self._counts.turned["unchecked"] += 1
            return Placed(chrom, position, ref, alt)
        size = self._genome.sizes.get(chrom)
        if size is None:
            return self._drop(NO_CHROMOSOME)
        if not 1 <= position <= position + len(ref) - 1 <= size:
            return self._drop(BEYOND)
        for swapped, other in self._orders:
            first, second = (alt, ref) if swapped else (ref, alt)
            if other:
                first, second = reverse_complement(first), reverse_complement(second)
            if self._letters(chrom, position, len(first)) == encode(first).tobytes():
                self._counts.turned["swapped"] += swapped
                self._counts.turned["complemented"] += other
                return Placed(chrom, position, first, second, swapped)
        return self._drop(NOT_THERE)

    def _letters(self, chrom: str, position: int, length: int) -> bytes:
        assert self._genome is not None
        piece, at = divmod(position - 1, _PIECE)
        if at + length > _PIECE:
            return self._genome.codes(chrom, position - 1, position - 1 + length).tobytes()
        return self._piece(chrom, piece)[at : at + length]

    def _read(self, chrom: str, piece: int) -> bytes:
        assert self._genome is not None
        return self._genome.codes(chrom, piece * _PIECE, (piece + 1) * _PIECE).tobytes()

    def _drop(self, reason: str) -> Placed | None:
        self._counts.drop(reason)
        return None
