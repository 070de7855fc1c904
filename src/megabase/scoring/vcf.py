"""Variants from VCF files, checked against the reference."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from megabase.errors import InputError
from megabase.genome.sequence import UNKNOWN, encode
from megabase.genome.text import read_lines

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Variant:
    """One alternative allele."""

    id: str
    chrom: str
    position: int
    """1-based, of the first base of `ref`."""
    ref: str
    alt: str

    @property
    def start(self) -> int:
        """0-based position of the first base of `ref`."""
        return self.position - 1

    @property
    def end(self) -> int:
        """0-based position after the last base of `ref`."""
        return self.start + len(self.ref)

    def __str__(self) -> str:
        return f"{self.chrom}:{self.position}:{self.ref}>{self.alt}"


class Sequences(Protocol):
    """What is needed of `megabase.genome.reference.Reference`."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Chromosome lengths, in bp."""
        ...

    def codes(self, chrom: str, start: int, end: int) -> UInt8[np.ndarray, " bases"]:
        """Base codes of [start, end), 4 beyond the chromosome's ends."""
        ...


@dataclasses.dataclass(frozen=True)
class Skipped:
    """An allele that cannot be scored."""

    line: int
    """1-based, in the file."""
    variant: Variant
    reason: str
    """Ends the sentence "left out 1 ..."."""


def read_vcf(path: str | Path, reference: Sequences, *, longest: int) -> list[Variant]:
    """The variants of a plain or gzipped VCF that can be scored, as `alleles_of` gives them.

    What is left out is counted in a warning. Raises InputError for a malformed row and where no variant is left.
    """
    found = list(alleles_of(path, reference, longest=longest))
    tell_skipped(path, Skips().of(item for item in found if isinstance(item, Skipped)), len(found))
    return [item for item in found if isinstance(item, Variant)]


class Skips:
    """How many alleles were left out, by reason, with an example of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, skipped: Skipped) -> None:
        """Counts one."""
        self.counts[skipped.reason] += 1
        self._examples.setdefault(skipped.reason, str(skipped.variant))

    def of(self, skipped: Iterable[Skipped]) -> Skips:
        """With all of these."""
        for item in skipped:
            self.add(item)
        return self

    def __str__(self) -> str:
        said = [f"{n:,} {reason} (such as {self._examples[reason]})" for reason, n in self.counts.most_common()]
        return "; ".join(said)


def tell_skipped(path: str | Path, skips: Skips, alleles: int) -> None:
    """Warns of what is left out. Raises InputError where nothing else is."""
    left_out = skips.counts.total()
    if left_out == alleles:
        what = f"no variant can be scored: {skips}" if left_out else "no variants"
        raise InputError(what, where=path, remedy="give a VCF of the reference's own assembly")
    if left_out:
        logger.warning("%s: left out %s", path, skips)


def alleles_of(path: str | Path, reference: Sequences, *, longest: int) -> Iterator[Variant | Skipped]:
    """Every alternative allele of a plain or gzipped VCF in its order, one after the other: memory does not grow.

    Skipped: alleles that are no sequences of A, C, G, T (symbolic, `*`, breakends, N), alleles longer than `longest`
    bp, other chromosomes than the reference's (`1` and `chr1` are the same), and rows whose REF is not what the
    reference has there. A variant without ID is named `chrom:position:ref>alt`; of several alternatives under one ID
    each gets `ID:alt`. Raises InputError for a malformed row.
    """
    check = _Check(reference, longest)
    for number, line in enumerate(read_lines(path, "VCF", "give the path of a VCF"), 1):
        if line.startswith(b"#") or not line.strip():
            continue
        fields = line.rstrip(b"\r\n").split(b"\t", 5)
        if len(fields) < 5 or not fields[1].isdigit() or len(fields[1]) > _DIGITS:
            remedy = "give CHROM, POS, ID, REF and ALT, separated by tabs"
            raise InputError("not a VCF row", where=f"{path} line {number}", remedy=remedy)
        chrom, position, name, ref, alts = (field.decode(errors="replace") for field in fields[:5])
        if not ref or not alts:
            remedy = "give REF and ALT as VCF does, with the base before"
            raise InputError("an empty allele", where=f"{path} line {number}", remedy=remedy)
        chrom, ref, alternatives = check.named(chrom), ref.upper(), alts.upper().split(",")
        for alt in alternatives:
            if name in (".", ""):
                own = f"{chrom}:{int(position)}:{ref}>{alt}"
            else:
                own = name if len(alternatives) == 1 else f"{name}:{alt}"
            variant = Variant(own, chrom, int(position), ref, alt)
            reason = check.unusable(variant)
            yield Skipped(number, variant, reason) if reason else variant


class _Check:
    """Compares variants with the reference, of which it keeps pieces: most VCFs are sorted."""

    def __init__(self, reference: Sequences, longest: int) -> None:
        self._reference, self._longest = reference, longest
        self._names = {name: name for name in reference.sizes}
        for name in reference.sizes:
            self._names.setdefault(name.removeprefix("chr") if name.startswith("chr") else f"chr{name}", name)
        self._piece = functools.lru_cache(maxsize=_PIECES)(self._read)

    def named(self, chrom: str) -> str:
        """The reference's own name of a chromosome."""
        return self._names.get(chrom, chrom)

    def unusable(self, variant: Variant) -> str | None:
        """Why a variant cannot be scored."""
        if variant.alt == ".":
            return "without another allele"
        ref, alt = _codes(variant.ref), _codes(variant.alt)
        if _UNKNOWN in ref or _UNKNOWN in alt:
            return "whose alleles are no sequence of A, C, G and T"
        if variant.ref == variant.alt:
            return "whose alleles are equal"
        if max(len(ref), len(alt)) > self._longest:
            return f"longer than {self._longest:,} bp"
        size = self._reference.sizes.get(variant.chrom)
        if size is None:
            return "on a chromosome that the reference does not have"
        if not 0 <= variant.start < variant.end <= size:
            return "beyond the end of its chromosome"
        piece, at = divmod(variant.start, _PIECE)
        there = self._piece(variant.chrom, piece)[at : at + len(ref)]
        if len(there) < len(ref):
            there = self._reference.codes(variant.chrom, variant.start, variant.end).tobytes()
        return None if there == ref else "whose REF is not the reference's"

    def _read(self, chrom: str, piece: int) -> bytes:
        return self._reference.codes(chrom, piece * _PIECE, (piece + 1) * _PIECE).tobytes()


_DIGITS = 12
_PIECE, _PIECES = 65_536, 64
_UNKNOWN = bytes([UNKNOWN])
_TABLE = encode(bytes(range(256))).tobytes()


def _codes(letters: str) -> bytes:
    return letters.encode(errors="replace").translate(_TABLE)
