"""Neutral variants of a simulated population, with their frequencies: most are rare, and few do anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from megabase.artifacts import atomic_path
from megabase.simulate.config import WorldConfig
from megabase.simulate.genome import generator

PER_BASE = 1 / 500
"""Variants for each base of the genome."""
RAREST = 0.001
TRANSITIONS = 2 / 3
"""Share of changes between A and G or C and T; in mammals about two to one."""
_TRANSITION = np.array([2, 3, 0, 1], np.uint8)  # A<->G, C<->T by code
_LETTERS = "ACGT"


class Sequences(Protocol):
    """What is needed of `megabase.genome.reference.Reference`."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Chromosome lengths, in bp."""
        ...

    def codes(self, chrom: str, start: int, end: int) -> UInt8[np.ndarray, " bases"]:
        """Base codes of [start, end)."""
        ...


def write_population(genome: Sequences, organism: str, config: WorldConfig, out: Path) -> None:
    """Writes a VCF of single-base variants at places drawn evenly, sorted, with AF in INFO.

    Frequencies x of the alternative are drawn with density 1/x from `RAREST` to 1 - `RAREST`, as neutral drift of a
    population of constant size leaves them.
    """
    rng = generator(config, organism, "population")
    lines = ["##fileformat=VCFv4.2"]
    lines += [f"##contig=<ID={name},length={size}>" for name, size in genome.sizes.items()]
    lines.append('##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency of the alternative">')
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for chrom, size in genome.sizes.items():
        codes = genome.codes(chrom, 0, size)
        places = np.sort(rng.choice(size, round(size * PER_BASE), replace=False))
        places = places[codes[places] < len(_LETTERS)]
        ref = codes[places]
        near = _TRANSITION[ref]
        # One of the two transversions: the other kind of base, and either of its two.
        far = (ref + rng.choice([1, 3], len(ref))) % len(_LETTERS)
        alt = np.where(rng.random(len(ref)) < TRANSITIONS, near, far)
        frequency = RAREST * ((1 - RAREST) / RAREST) ** rng.random(len(ref))
        for number, (place, one, other, share) in enumerate(zip(places, ref, alt, frequency, strict=True)):
            name = f"{organism}.{chrom}.{number}"
            change = f"{_LETTERS[one]}\t{_LETTERS[other]}"
            lines.append(f"{chrom}\t{place + 1}\t{name}\t{change}\t.\tPASS\tAF={share:.4f}")
    with atomic_path(out) as partial:
        Path(partial).write_text("\n".join(lines) + "\n")
