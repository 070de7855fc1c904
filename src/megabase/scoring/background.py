"""The common variants that scores are compared with: chosen from a population's VCF once, and then pinned.

Which ones are chosen depends on the variants alone, never on their order, so that the same population gives the same
file and every model is calibrated on the same variants.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from megabase.artifacts import atomic_path, file_sha256
from megabase.errors import InputError
from megabase.genome.text import read_lines
from megabase.scoring.config import BackgroundConfig

logger = logging.getLogger(__name__)
_BASES = frozenset("ACGT")
_FREQUENCY = re.compile(r"^(AF|AF[_-](?!raw$)[a-z]{3}|[A-Z]{3}_AF|MAF)$")
"""INFO keys with allele frequencies: of everybody, and of groups as gnomAD (`AF_afr`) and the 1000 Genomes (`AFR_AF`)
name them. Others of the kind (gnomAD's `AF_raw`, before genotypes are filtered, and its halves by sex) do not count."""


def choose_background(vcf: Path, out: Path, config: BackgroundConfig) -> int:
    """Writes the common single-base variants of a VCF as one without genotypes, in its order; gives their number.

    Those that the VCF itself filtered (FILTER neither PASS nor empty) are left out. With a limit those with the lowest
    digests of place and alleles are taken, and memory is bounded by it. The header names the VCF's checksum and the
    choice. Raises InputError for a malformed row and where no variant is common.
    """
    header = [b"##fileformat=VCFv4.2", b"##source=megabase", b"##population_sha256=" + file_sha256(vcf).encode()]
    choice = f"frequency>{config.frequency:g} chromosomes={','.join(config.chromosomes) or 'all'} most={config.most}"
    lines = [*header, b"##background=" + choice.encode(), b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    found = _common(vcf, config)
    if config.most is not None:
        found = iter(sorted(heapq.nsmallest(config.most, found, key=lambda one: _digest(one[1]))))
    count = 0
    with atomic_path(out) as partial, open(partial, "wb") as file:
        file.writelines(line + b"\n" for line in lines)
        for _, row in found:
            file.write(row + b"\n")
            count += 1
        if not count:
            remedy = "give a VCF with AF in its INFO column, or a lower scoring.background.frequency"
            raise InputError(f"no single-base variant with {choice}", where=vcf, remedy=remedy)
    logger.info("%s: %s variants with %s", out, f"{count:,}", choice)
    return count


def _common(vcf: Path, config: BackgroundConfig) -> Iterator[tuple[int, bytes]]:
    """(place in the file, row) of each allele that is common."""
    chromosomes = {name.encode() for name in config.chromosomes}
    place = 0
    for number, line in enumerate(read_lines(vcf, "VCF of common variants", "correct common_variants"), 1):
        if line.startswith(b"#") or not line.strip():
            continue
        fields = line.rstrip(b"\r\n").split(b"\t", 8)
        if len(fields) < 8 or not fields[1].isdigit():
            remedy = "give CHROM, POS, ID, REF, ALT, QUAL, FILTER and INFO, separated by tabs"
            raise InputError("not a VCF row with frequencies", where=f"{vcf} line {number}", remedy=remedy)
        chrom, position, name, ref, alts, _, passed, info = fields[:8]
        if (chromosomes and chrom not in chromosomes) or passed not in (b"PASS", b"."):
            continue
        alternatives = alts.decode(errors="replace").upper().split(",")
        first = ref.decode(errors="replace").upper()
        if first not in _BASES or not _BASES.intersection(alternatives):
            continue
        highest = _frequencies(info.decode(errors="replace"), len(alternatives), f"{vcf} line {number}")
        for alt, frequency in zip(alternatives, highest, strict=True):
            if alt in _BASES and alt != first and frequency > config.frequency:
                own = name if len(alternatives) == 1 or name == b"." else name + b":" + alt.encode()
                row = (chrom, position, own, first.encode(), alt.encode(), b".", b"PASS", b"MAF=%.6g" % frequency)
                yield place, b"\t".join(row)
                place += 1


def _frequencies(info: str, alternatives: int, where: str) -> list[float]:
    """For each alternative, how frequent the rarer of it and all else is in the group where it is most so."""
    highest = [0.0] * alternatives
    for pair in info.split(";"):
        key, equals, values = pair.partition("=")
        if not equals or not _FREQUENCY.match(key):
            continue
        try:
            for at, value in enumerate(values.split(",")[:alternatives]):
                one = 0.0 if value in (".", "") else float(value)
                highest[at] = max(highest[at], min(one, 1 - one))
        except ValueError:
            raise InputError(f"`{pair}` is no frequency", where=where, remedy="correct it") from None
    return highest


def _digest(row: bytes) -> bytes:
    """Of place and alleles, whatever the variant's name."""
    chrom, position, _, ref, alt = row.split(b"\t", 5)[:5]
    return hashlib.sha256(b"\t".join((chrom, position, ref, alt))).digest()
