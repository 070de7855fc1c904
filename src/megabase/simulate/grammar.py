"""The grammar of the world: motifs, which biosample uses which of them, and what elements are made of."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

TEMPER = 0.15
"""Binding strength is the probability of a match under its motif, relative to the consensus, to this power: one
mismatch at a position that is 90 % conserved leaves 61 %, two leave 37 %."""

HALF_OPEN = 1.3
"""Summed strength of the motifs of an element at which it is half open: about two average matches."""
COOPERATION = 4
"""Hill coefficient of opening: one motif alone, without its context, opens next to nothing."""


@dataclasses.dataclass(frozen=True)
class Motif:
    """A position weight matrix, written as its consensus and one digit per position: digit d means probability
    (d + 1) / 10 for the consensus base and the rest shared by the other three; 9 admits no other base."""

    name: str
    consensus: str
    conservation: str
    temper: float = TEMPER

    def __len__(self) -> int:
        return len(self.consensus)

    @functools.cached_property
    def probabilities(self) -> Float[np.ndarray, "L 4"]:
        """Probability of each base (A, C, G, T) at each position."""
        kept = (np.array([int(digit) for digit in self.conservation]) + 1) / 10
        matrix = np.repeat(((1 - kept) / 3)[:, None], 4, axis=1)
        matrix[np.arange(len(self)), ["ACGT".index(base) for base in self.consensus]] = kept
        return matrix

    def sample(self, rng: np.random.Generator) -> UInt8[np.ndarray, " L"]:
        """One instance, as sequence codes."""
        cumulative = self.probabilities.cumsum(axis=1)
        return (rng.random(len(self))[:, None] > cumulative[:, :3]).sum(axis=1).astype(np.uint8)

    def sample_between(
        self, rng: np.random.Generator, lowest: float, highest: float, tries: int = 200
    ) -> UInt8[np.ndarray, " L"]:
        """One instance whose strength is in a range, or of so many the nearest."""
        cumulative = self.probabilities.cumsum(axis=1)
        drawn = (rng.random((tries, len(self), 1)) > cumulative[:, :3]).sum(axis=2).astype(np.uint8)
        strength = self.strength(drawn)
        miss = np.maximum(lowest - strength, 0) + np.maximum(strength - highest, 0)
        return drawn[np.argmin(miss)]

    def strength(self, codes: UInt8[np.ndarray, "n L"]) -> Float[np.ndarray, " n"]:
        """Binding strength of sequences, 1 for the consensus; 0 where a base is impossible or unknown (code 4)."""
        return np.exp(self.logarithms[np.arange(len(self)), codes].sum(axis=1))

    @functools.cached_property
    def logarithms(self) -> Float[np.ndarray, "L 5"]:
        """Natural log of what each base (A, C, G, T, unknown) contributes to the strength."""
        relative = self.probabilities / self.probabilities.max(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            return self.temper * np.log(np.concatenate([relative, np.zeros((len(self), 1))], axis=1))


_FACTORS = (
    Motif("GATA1", "TCAGATAAGAGC", "558999998855"),
    Motif("HNF4A", "GGCAAAGTCCAT", "558999998855"),
    Motif("AP1", "CGATGACTCATC", "558999889855"),
    Motif("SP1", "AGGGGCGGGGCC", "558989999855"),
    Motif("NRF1", "CTGCGCATGCGC", "558999898955"),
    Motif("SPI1", "TAAGAGGAAGTG", "558989999855"),
    Motif("CTCF", "TGGCCACCAGGGGGCGCTA", "5568859988999898655"),
)
_SIGNALS = (
    Motif("TATA", "GCTATAAAAGGC", "558998988855"),
    Motif("INR", "GTTCAGTCTTCG", "556898988655"),
    Motif("DONOR", "CCAGGTAAGTATC", "6778998888665"),
    Motif("ACCEPTOR", "TTTCTTTTCTTGCAGG", "7777777777449996", temper=0.1),
    Motif("POLYA", "GCAATAAAGC", "5688998865"),
    Motif("GU_RICH", "TGTGTTTTGTTG", "777787777777", temper=0.05),
    Motif("SPLICE_ENHANCER", "CACTAACGACTAAC", "56899998999865"),
)
MOTIFS: dict[str, Motif] = {motif.name: motif for motif in _FACTORS + _SIGNALS}
"""Every motif by name; sites refer to them by their position here."""
MOTIF_INDEX: dict[str, int] = {name: index for index, name in enumerate(MOTIFS)}


@functools.cache
def strength_table() -> tuple[Float[np.ndarray, "motifs longest 5"], Int[np.ndarray, " motifs"]]:
    """`Motif.logarithms` of all motifs, zero beyond their ends, and their lengths."""
    lengths = np.array([len(motif) for motif in MOTIFS.values()])
    table = np.zeros((len(MOTIFS), lengths.max(), 5))
    for index, motif in enumerate(MOTIFS.values()):
        table[index, : len(motif)] = motif.logarithms
    return table, lengths


INR_START = 4
"""Position of the first transcribed base (the A) in the initiator."""
DONOR_EXON, ACCEPTOR_EXON = 4, 1
"""Exon bases at the start of the donor motif and at the end of the acceptor motif."""
POLYA_OFFSET, GU_OFFSET = -24, 10
"""First base of the polyA signal and of the GU-rich element, from the last base of the transcript."""

_ALWAYS = {"AP1": 0.7, "SP1": 0.6, "NRF1": 0.8, "CTCF": 5.0}
_BLOOD = {"GATA1": 1.0, "HNF4A": 0.05, "SPI1": 0.05, "SPLICE_ENHANCER": 1.0}
_HEPATIC = {"GATA1": 0.05, "HNF4A": 1.0, "SPI1": 0.05, "SPLICE_ENHANCER": 0.0}
_LYMPHOID = {"GATA1": 0.05, "HNF4A": 0.05, "SPI1": 1.0, "SPLICE_ENHANCER": 0.5}
BIOSAMPLES: dict[str, dict[str, float]] = {
    "K562": _ALWAYS | _BLOOD | {"AP1": 0.9},
    "HepG2": _ALWAYS | _HEPATIC,
    "GM12878": _ALWAYS | _LYMPHOID,
    "Liver": _ALWAYS | _HEPATIC | {"AP1": 0.3, "SP1": 0.7, "SPLICE_ENHANCER": 0.2},
    "MEL": _ALWAYS | _BLOOD,
    "liver": _ALWAYS | _HEPATIC | {"AP1": 0.3},
    "CH12.LX": _ALWAYS | _LYMPHOID,
}
"""Activity of each factor in each biosample (absent: none)."""
CURIES: dict[str, str] = {
    "K562": "EFO:0002067",
    "HepG2": "EFO:0001187",
    "GM12878": "EFO:0002784",
    "Liver": "UBERON:0002107",
    "MEL": "EFO:0003971",
    "liver": "UBERON:0002107",
    "CH12.LX": "EFO:0005233",
}
"""Ontology term of each biosample."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Composition of an element: which motifs, in what proportion, and how many of them."""

    kind: str
    share: float
    """Share of the elements of this kind that have this composition."""
    motifs: dict[str, float]
    count: tuple[int, int] = (3, 5)
    """Fewest and most motifs."""
    broken: bool = False
    """Bases of the motif's core are changed: it looks alike and binds next to nothing."""
    helped: str = ""
    """A weak instance of this motif comes first: it is bound only where the others open the element."""


CLUSTERS = (
    Cluster("enhancer", 0.28, {"GATA1": 0.8, "AP1": 0.2}),
    Cluster("enhancer", 0.28, {"HNF4A": 0.8, "AP1": 0.2}),
    Cluster("enhancer", 0.26, {"SPI1": 0.8, "AP1": 0.2}),
    Cluster("enhancer", 0.18, {"AP1": 0.8, "SP1": 0.2}, (4, 5)),
    Cluster("promoter", 0.34, {"NRF1": 0.6, "SP1": 0.4}, (4, 5)),
    Cluster("promoter", 0.22, {"GATA1": 0.7, "SP1": 0.3}),
    Cluster("promoter", 0.22, {"HNF4A": 0.7, "SP1": 0.3}),
    Cluster("promoter", 0.22, {"SPI1": 0.7, "SP1": 0.3}),
    Cluster("insulator", 0.7, {"CTCF": 1.0}, (1, 1)),
    Cluster("insulator", 0.15, {"GATA1": 1.0}, (2, 3), helped="CTCF"),
    Cluster("insulator", 0.15, {"SPI1": 1.0}, (2, 3), helped="CTCF"),
    Cluster("decoy", 0.75, {"GATA1": 0.25, "HNF4A": 0.25, "SPI1": 0.2, "AP1": 0.15, "NRF1": 0.15}, (1, 1)),
    Cluster("decoy", 0.25, {"CTCF": 1.0}, (1, 1), broken=True),
)
"""Alone, the motif of a decoy lacks the context that opens chromatin; CTCF needs none, so its decoys are broken."""


def opening(drive: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Openness (0 to 1) of elements from the summed strength times activity of their motifs."""
    return hill(drive, HALF_OPEN, COOPERATION)


def hill(value: Any, half: float, power: float) -> Any:
    """Rises from 0 to 1, a half at `half`, the more steeply the higher the power."""
    raised = np.asarray(value, dtype=np.float64) ** power
    return raised / (half**power + raised)
