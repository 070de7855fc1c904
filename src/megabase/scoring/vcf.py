"""Variants from VCF files, checked against the reference."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
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


def read_vcf(path: str | Path, reference: Sequences, *, longest: int) -> list[Variant]:
    """The variants of a plain or gzipped VCF that can be scored, in its order, one for each alternative allele.

    Left out, and counted in a warning: alleles that are no sequences of A, C, G, T (symbolic, `*`, breakends, N),
    alleles longer than `longest` bp, other chromosomes than the reference's (`1` and `chr1` are the same), and rows
    whose REF is not what the reference has there. A variant without ID is named `chrom:position:ref>alt`; of several
    alternatives under one ID each gets `ID:alt`.
    Raises InputError for a malformed row and where no variant is left.
    """
    variants: list[Variant] = []
    skipped: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for where, fields in _rows(Path(path)):
        for variant in _alleles(fields, where, reference.sizes):
            if reason := _unusable(variant, reference, longest):
                skipped[reason] += 1
                examples.setdefault(reason, str(variant))
            else:
                variants.append(variant)
    reasons = [f"{count:,} {reason} (such as {examples[reason]})" for reason, count in skipped.most_common()]
    if not variants:
        what = f"no variant can be scored: {'; '.join(reasons)}" if reasons else "no variants"
        raise InputError(what, where=path, remedy="give a VCF of the reference's own assembly")
    if reasons:
        logger.warning("%s: left out %s", path, "; ".join(reasons))
    return variants


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(read_lines(path, "VCF", "give the path of a VCF"), 1):
        if line.startswith(b"#") or not line.strip():
            continue
        fields = line.decode(errors="replace").rstrip("\r\n").split("\t")
        where = f"{path} line {number}"
        if len(fields) < 5 or not fields[1].isdigit():
            remedy = "give CHROM, POS, ID, REF and ALT, separated by tabs"
            raise InputError("not a VCF row", where=where, remedy=remedy)
        yield where, fields


def _alleles(fields: list[str], where: str, sizes: Mapping[str, int]) -> Iterator[Variant]:
    chrom, position, name, ref, alts = fields[:5]
    if not ref or not alts:
        raise InputError("an empty allele", where=where, remedy="give REF and ALT as VCF does, with the base before")
    if chrom not in sizes:
        other = chrom.removeprefix("chr") if chrom.startswith("chr") else f"chr{chrom}"
        chrom = other if other in sizes else chrom
    alternatives = alts.upper().split(",")
    for alt in alternatives:
        variant = Variant(name, chrom, int(position), ref.upper(), alt)
        if name in (".", ""):
            yield dataclasses.replace(variant, id=str(variant))
        elif len(alternatives) > 1:
            yield dataclasses.replace(variant, id=f"{name}:{alt}")
        else:
            yield variant


def _unusable(variant: Variant, reference: Sequences, longest: int) -> str | None:
    ref, alt = encode(variant.ref), encode(variant.alt)
    if variant.alt == ".":
        return "without another allele"
    if (ref == UNKNOWN).any() or (alt == UNKNOWN).any():
        return "whose alleles are no sequence of A, C, G and T"
    if variant.ref == variant.alt:
        return "whose alleles are equal"
    if max(len(ref), len(alt)) > longest:
        return f"longer than {longest:,} bp"
    if variant.chrom not in reference.sizes:
        return "on a chromosome that the reference does not have"
    if not 0 <= variant.start < variant.end <= reference.sizes[variant.chrom]:
        return "beyond the end of its chromosome"
    if not np.array_equal(reference.codes(variant.chrom, variant.start, variant.end), ref):
        return "whose REF is not the reference's"
    return None
