"""The grammar of the world: motifs, which biosample uses which of them, and what elements are made of."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, UInt8

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

    def strength(self, codes: UInt8[np.ndarray, "n L"]) -> Float[np.ndarray, " n"]:
        """Binding strength of sequences, 1 for the consensus; 0 where a base is impossible or unknown (code 4)."""
        relative = self.probabilities / self.probabilities.max(axis=1, keepdims=True)
        known = np.concatenate([relative, np.zeros((len(self), 1))], axis=1)
        return known[np.arange(len(self)), codes].prod(axis=1) ** TEMPER


_FACTORS = (
    Motif("GATA1", "TCAGATAAGAGC", "558999998855"),
    Motif("HNF4A", "GGCAAAGTCCAT", "558999998855"),
    Motif("AP1", "CGATGACTCATC", "558999889855"),
    Motif("SP1", "AGGGGCGGGGCC", "558989999855"),
    Motif("NRF1", "CTGCGCATGCGC", "558999898955"),
    Motif("CTCF", "TGGCCACCAGGGGGCGCTA", "5568859988999898655"),
)
_SIGNALS = (
    Motif("TATA", "GCTATAAAAGGC", "558998988855"),
    Motif("INR", "GTTCAGTCTTCG", "556898988655"),
    Motif("DONOR", "CAGGTAAGT", "568996785"),
    Motif("ACCEPTOR", "TTTCTTTTCTTGCAGG", "6666666666448995"),
    Motif("POLYA", "CAATAAAG", "59889885"),
    Motif("GU_RICH", "TGTGTTTTGTTG", "777787777777"),
)
MOTIFS: dict[str, Motif] = {motif.name: motif for motif in _FACTORS + _SIGNALS}
"""Every motif by name; sites refer to them by their position here."""
MOTIF_INDEX: dict[str, int] = {name: index for index, name in enumerate(MOTIFS)}

INR_START = 4
"""Position of the first transcribed base (the A) in the initiator."""
DONOR_EXON, ACCEPTOR_EXON = 3, 1
"""Exon bases at the start of the donor motif and at the end of the acceptor motif."""

BIOSAMPLES: dict[str, dict[str, float]] = {
    "K562": {"GATA1": 1.0, "HNF4A": 0.05, "AP1": 0.9, "SP1": 0.6, "NRF1": 0.8, "CTCF": 3.6},
    "HepG2": {"GATA1": 0.05, "HNF4A": 1.0, "AP1": 0.6, "SP1": 0.6, "NRF1": 0.8, "CTCF": 3.6},
}
"""Activity of each factor in each biosample (absent: none)."""


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


CLUSTERS = (
    Cluster("enhancer", 0.36, {"GATA1": 0.8, "AP1": 0.2}),
    Cluster("enhancer", 0.36, {"HNF4A": 0.8, "AP1": 0.2}),
    Cluster("enhancer", 0.28, {"AP1": 0.8, "SP1": 0.2}, (4, 5)),
    Cluster("promoter", 0.36, {"NRF1": 0.6, "SP1": 0.4}, (4, 5)),
    Cluster("promoter", 0.32, {"GATA1": 0.7, "SP1": 0.3}),
    Cluster("promoter", 0.32, {"HNF4A": 0.7, "SP1": 0.3}),
    Cluster("insulator", 1.0, {"CTCF": 1.0}, (1, 1)),
    Cluster("decoy", 0.75, {"GATA1": 0.3, "HNF4A": 0.3, "AP1": 0.2, "NRF1": 0.2}, (1, 1)),
    Cluster("decoy", 0.25, {"CTCF": 1.0}, (1, 1), broken=True),
)
"""Alone, the motif of a decoy lacks the context that opens chromatin; CTCF needs none, so its decoys are broken."""


def opening(drive: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Openness (0 to 1) of elements from the summed strength times activity of their motifs."""
    return drive**COOPERATION / (HALF_OPEN**COOPERATION + drive**COOPERATION)
