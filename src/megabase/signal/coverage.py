"""Signal that is read base by base: what every reader offers, and the checks they share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from jaxtyping import Float64

from megabase.errors import InputError
from megabase.genome.regions import Region


class BaseSignal(Protocol):
    """One source file, opened."""

    def values(self, chrom: str) -> Float64[np.ndarray, " S"]:
        """The value at every base of a chromosome of the assembly; 0 where the file says nothing."""
        ...


@dataclasses.dataclass(frozen=True)
class Place:
    """The genome that a file is read against."""

    where: str
    """The file, for messages."""
    sizes: Mapping[str, int]
    """Chromosome lengths of the assembly, in bp."""
    aliases: Mapping[str, str]
    """Names of chromosomes in files, to their names in the assembly."""
    covered: tuple[Region, ...] | None
    """Where the file has data, or everywhere."""
    tolerance: int = 0
    """Bases by which a chromosome's length may differ."""

    @property
    def expected(self) -> list[str]:
        """The chromosomes that the file must know."""
        return list(self.sizes) if self.covered is None else list(dict.fromkeys(place.chrom for place in self.covered))

    def names(self, lengths: Mapping[str, int]) -> dict[str, str]:
        """The file's own name of each chromosome of the assembly it has, from the lengths (bp) in its header.

        Raises InputError for a missing or renamed chromosome, and for a length of another assembly.
        """
        own = {self.aliases.get(name, name): name for name in lengths}
        for chrom in self.expected:
            if chrom not in own:
                raise InputError(
                    f"no chromosome `{chrom}`; the file has {', '.join(list(lengths)[:6])}",
                    where=self.where,
                    remedy="name it in organisms.*.aliases, or leave it out of the row's `covered`",
                )
            if abs(lengths[own[chrom]] - self.sizes[chrom]) > self.tolerance:
                raise InputError(
                    f"wrong assembly: {chrom} has {lengths[own[chrom]]} bp, the reference {self.sizes[chrom]}",
                    where=self.where,
                    remedy="use a file of this assembly",
                )
        return {chrom: name for chrom, name in own.items() if chrom in self.sizes}

    def blank(self, chrom: str) -> Float64[np.ndarray, " S"]:
        """Zeros for a chromosome."""
        return np.zeros(self.sizes[chrom])

    def inside(self, chrom: str) -> list[tuple[int, int]]:
        """The pieces of a chromosome that the file has data for."""
        if self.covered is None:
            return [(0, self.sizes[chrom])]
        return [(place.start, place.end) for place in self.covered if place.chrom == chrom]


def non_negative(values: Float64[np.ndarray, " S"], chrom: str, where: str, *, negated: bool) -> None:
    """Refuses values that a count cannot have; `negated` files store them below zero.

    Raises InputError with the first place that is wrong.
    """
    wrong = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if wrong.size:
        first = int(wrong[0])
        stored = -values[first] if negated else values[first]
        remedy = "remove `negative` from the row's sign" if negated else "correct the file, or set the row's sign"
        kind = "positive" if negated else "negative or infinite"
        raise InputError(f"{kind} value {stored:g} at {chrom}:{first}", where=where, remedy=remedy)
