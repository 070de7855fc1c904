"""From a chromosome to the true rate of each assay: what a perfect model would predict.

Everything is read from the sequence at the planted sites, in float64 and in units of the strongest possible signal:
one is the best base of a fully open site, the start of the strongest promoter, or the background of a ChIP.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from megabase.simulate.activity import activity
from megabase.simulate.genome import Chromosome, motif_lengths
from megabase.simulate.grammar import MOTIF_INDEX, MOTIFS
from megabase.simulate.splicing import isoforms

READ_LENGTH = 75
"""Length of an RNA-seq read, in bp."""
CHIP_BIN = 16
"""Resolution at which ChIP is drawn and written, in bp."""


def _bump(offset: Float[np.ndarray, " n"], centre: float, width: float) -> Float[np.ndarray, " n"]:
    return np.exp(-0.5 * ((offset - centre) / width) ** 2)


_NEAR = np.arange(-200.0, 201.0)
_FAR = np.arange(-800.0, 801.0)
# Cuts are densest just outside a bound factor, which protects its own motif; Tn5, a larger enzyme, stays further off.
_FOOTPRINTS = {
    "DNASE": 0.85 * (_bump(_NEAR, -12, 4) + _bump(_NEAR, 12, 4)) + 0.15 * _bump(_NEAR, 0, 45),
    "ATAC": 0.8 * (_bump(_NEAR, -15, 6) + _bump(_NEAR, 15, 6)) + 0.2 * _bump(_NEAR, 0, 60),
}
_CUT_BACKGROUND = 0.002
_CAP_SHAPE = {-3: 0.02, -2: 0.05, -1: 0.12, 0: 1.0, 1: 0.3, 2: 0.12, 3: 0.06, 5: 0.1}
_CAP_BACKGROUND = 2e-5
# Engaged polymerases start sharply too, over a few more bases; enhancers fire to both sides, more weakly.
_PROCAP_SHAPE = {-3: 0.05, -2: 0.1, -1: 0.25, 0: 1.0, 1: 0.5, 2: 0.3, 3: 0.2, 4: 0.12, 5: 0.15, 7: 0.08}
_ENHANCER_STARTS, _ENHANCER_SHARE = 90, 0.3

CHIP_TARGETS = ("CTCF", "GATA1", "HNF4A", "SPI1")
"""Factors that have a ChIP."""
_CHIP_HEIGHT, _CHIP_SHAPE = 15.0, _bump(_NEAR, 0, 55)
HISTONE_MARKS = ("H3K27ac", "H3K4me3")
"""Histone marks that have a ChIP."""
# Marks sit on the nucleosomes beside the open element; H3K4me3 mostly on those inside the gene.
_MARK_SHAPES = {
    "H3K27ac": 9.0 * (_bump(_FAR, -230, 100) + _bump(_FAR, 230, 100)),
    "H3K4me3": 16.0 * (0.4 * _bump(_FAR, -260, 110) + _bump(_FAR, 260, 160)),
}
_MARKED = {"H3K27ac": ("enhancer", "promoter"), "H3K4me3": ("promoter",)}


def cut_rate(chromosome: Chromosome, biosample: str, enzyme: str) -> Float[np.ndarray, " S"]:
    """Cuts per base of DNase (`DNASE`) or Tn5 (`ATAC`), both strands together."""
    sites, state = chromosome.sites, activity(chromosome, biosample)
    bound = sites.element >= 0
    weight = state.occupancy[bound] * state.openness[sites.element[bound]]
    middle = sites.start[bound] + motif_lengths()[sites.motif[bound]] // 2
    signal = _stamp(len(chromosome), middle, weight, _FOOTPRINTS[enzyme])
    # Open chromatin is richer in GC, and so is what either enzyme cuts at random.
    return signal + _CUT_BACKGROUND * (_local_gc(chromosome) / 0.43) ** 2


def cap_rate(chromosome: Chromosome, biosample: str, strand: str) -> Float[np.ndarray, " S"]:
    """Capped 5' ends per base on one strand."""
    rate = np.full(len(chromosome), _CAP_BACKGROUND)
    _starts(rate, chromosome, biosample, strand, _CAP_SHAPE)
    return rate


def procap_rate(chromosome: Chromosome, biosample: str, strand: str) -> Float[np.ndarray, " S"]:
    """5' ends of engaged polymerases per base on one strand: at promoters, and beside enhancers to both sides."""
    rate = np.full(len(chromosome), _CAP_BACKGROUND)
    _starts(rate, chromosome, biosample, strand, _PROCAP_SHAPE)
    elements, sign = chromosome.elements, 1 if strand == "+" else -1
    enhancers = np.isin(elements.kind, ["enhancer"])
    openness = activity(chromosome, biosample).openness[enhancers]
    first = elements.anchor[enhancers] + sign * _ENHANCER_STARTS
    for offset, share in _PROCAP_SHAPE.items():
        place = np.clip(first + sign * offset, 0, len(rate) - 1)
        np.add.at(rate, place, _ENHANCER_SHARE * openness * share)
    return rate


def _starts(
    rate: Float[np.ndarray, " S"], chromosome: Chromosome, biosample: str, strand: str, shape: dict[int, float]
) -> None:
    """Adds the starts of the genes of a strand."""
    for gene, initiation in zip(chromosome.genes, activity(chromosome, biosample).initiation, strict=True):
        if gene.strand == strand:
            for offset, share in shape.items():
                rate[gene.first_base + (offset if strand == "+" else -offset)] += initiation * share


@dataclasses.dataclass(frozen=True)
class Transcript:
    """A molecule that reads come from."""

    bases: Int[np.ndarray, " n"]
    """Its positions on the chromosome, ascending."""
    abundance: float
    """Reads over an inner base, 1 for the strongest possible promoter."""
    gene_id: str = ""
    strand: str = "."

    @property
    def starts(self) -> int:
        """Places at which a read can lie."""
        return len(self.bases) - READ_LENGTH + 1


def transcripts(chromosome: Chromosome, biosample: str, strand: str, unspliced: float) -> Iterator[Transcript]:
    """Of every gene of a strand (`.`: both), its isoforms and a share of unspliced precursors."""
    for one in isoforms(chromosome, biosample):
        if strand in (".", one.strand):
            bases = np.concatenate([np.arange(*exon) for exon in one.exons])
            yield Transcript(bases, one.abundance, one.gene_id, one.strand)
    for gene, initiation in zip(chromosome.genes, activity(chromosome, biosample).initiation, strict=True):
        if strand in (".", gene.strand):
            yield Transcript(np.arange(gene.start, gene.end), initiation * unspliced, gene.gene_id, gene.strand)


def pile_up(length: int, reads: list[tuple[Transcript, Float[np.ndarray, " starts"]]]) -> Float[np.ndarray, " S"]:
    """Coverage by reads, given for each transcript how many start at each of its places."""
    coverage = np.zeros(length)
    for transcript, starts in reads:
        edges = np.zeros(len(transcript.bases) + 1)
        edges[: transcript.starts] += starts
        edges[READ_LENGTH:] -= starts
        coverage[transcript.bases] += np.cumsum(edges[:-1])
    return coverage


def expected_coverage(chromosome: Chromosome, biosample: str, strand: str, unspliced: float) -> Float[np.ndarray, " S"]:
    """Expected reads over each base."""
    molecules = transcripts(chromosome, biosample, strand, unspliced)
    uniform = [(one, np.full(one.starts, one.abundance / READ_LENGTH)) for one in molecules]
    return pile_up(len(chromosome), uniform)


def factor_enrichment(chromosome: Chromosome, biosample: str, target: str) -> Float[np.ndarray, " bins"]:
    """Fold change over background of a factor's ChIP, in 16-bp means: bound where its motif lies in open chromatin."""
    sites, state = chromosome.sites, activity(chromosome, biosample)
    bound = (sites.motif == MOTIF_INDEX[target]) & (sites.element >= 0)
    weight = state.occupancy[bound] * state.openness[sites.element[bound]]
    middle = sites.start[bound] + len(MOTIFS[target]) // 2
    return 1.0 + _binned(_stamp(len(chromosome), middle, _CHIP_HEIGHT * weight, _CHIP_SHAPE))


def mark_enrichment(chromosome: Chromosome, biosample: str, target: str) -> Float[np.ndarray, " bins"]:
    """Fold change over background of a histone mark's ChIP, in 16-bp means."""
    elements, openness = chromosome.elements, activity(chromosome, biosample).openness
    fold = np.ones(-(-len(chromosome) // CHIP_BIN))
    marked = np.isin(elements.kind, _MARKED[target])
    for strand in (1, -1):
        chosen = marked & (elements.strand == strand)
        shape = _MARK_SHAPES[target][::strand]
        fold += _binned(_stamp(len(chromosome), elements.anchor[chosen], openness[chosen], shape))
    return fold


def _stamp(
    length: int, middle: Int[np.ndarray, " n"], weight: Float[np.ndarray, " n"], shape: Float[np.ndarray, " w"]
) -> Float[np.ndarray, " S"]:
    """The sum of `shape`, weighted and centred on each of `middle`; what sticks out is lost."""
    half = len(shape) // 2
    padded = np.zeros(length + 2 * half)
    np.add.at(padded, middle[:, None] + np.arange(len(shape)), weight[:, None] * shape)
    return padded[half : half + length]


def _binned(values: Float[np.ndarray, " S"]) -> Float[np.ndarray, " bins"]:
    """Means over 16 bp; the last bin over what is there."""
    edges = np.arange(0, len(values), CHIP_BIN)
    return np.add.reduceat(values, edges) / np.diff([*edges, len(values)])


def _local_gc(chromosome: Chromosome, width: int = 501) -> Float[np.ndarray, " S"]:
    strong = np.isin(chromosome.codes, (1, 2)).astype(np.float64)
    total = np.concatenate([[0.0], np.cumsum(np.pad(strong, width // 2, mode="reflect"))])
    return (total[width:] - total[:-width]) / width
