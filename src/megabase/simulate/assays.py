"""Each assay of the world: its true rate along a chromosome, and how a file of it is drawn with noise."""

from __future__ import annotations

import abc
import dataclasses
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from megabase.simulate import contacts, files, rates
from megabase.simulate.alignments import write_bam
from megabase.simulate.config import WorldConfig
from megabase.simulate.experiments import Experiment
from megabase.simulate.genome import Chromosome, generator
from megabase.simulate.reads import cut_reads, transcript_reads

NEIGHBOURHOOD = 512
"""Bases that share the noise beyond counting, in bp."""
UNSPLICED = {"polyA plus RNA-seq": 0.03, "total RNA-seq": 0.15, "GTEx RNA-seq": 0.03}
"""Share of unspliced transcripts in what each RNA-seq assay sees."""
MAP_OFFSETS = 128
"""Diagonals of a contact map that are drawn at most."""
_VISIBILITY = 0.2
"""How unequally bins are seen in a contact map (standard deviation of the natural log), for balancing to undo."""


class Assay(abc.ABC):
    """How the experiments of one output type come about."""

    format: str
    titles: tuple[str, ...]
    """Names that the experiments table may use."""
    targets: tuple[str, ...] = ("",)
    """Targets it may name."""
    strands: tuple[str, ...] = (".",)
    """Strands a file may be of."""
    tracks: dict[str, tuple[str, ...]]
    """Strands of the tracks that a file of a strand belongs to."""

    def __init__(self) -> None:
        self.tracks = {strand: (strand,) for strand in self.strands}

    @abc.abstractmethod
    def truth(self, chromosome: Chromosome, experiment: Experiment, strand: str) -> Float[np.ndarray, "bins ..."]:
        """The expected value at each bin of the bundle, up to a constant factor."""

    @abc.abstractmethod
    def write(self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig) -> None:
        """Draws the experiment once and writes its source file."""


class Cuts(Assay):
    """DNase and ATAC: alignments that begin at the cut sites of an enzyme in open chromatin."""

    format = "bam"

    def __init__(self, title: str, shift: tuple[int, int]) -> None:
        """`shift` added to the 5' ends of plus- and minus-strand reads gives the cuts."""
        super().__init__()
        self.titles, self._shift = (title,), shift

    def truth(self, chromosome: Chromosome, experiment: Experiment, strand: str) -> Float[np.ndarray, " S"]:
        return rates.cut_rate(chromosome, experiment.rates_of, experiment.bundle)

    def write(self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig) -> None:
        rng = random_numbers(config, experiment)
        reads = {}
        for chromosome in chromosomes:
            counts = _counts(config.cuts * self.truth(chromosome, experiment, "."), config, rng)
            cuts = np.repeat(np.arange(len(chromosome)), counts)
            reads[chromosome.name] = cut_reads(len(chromosome), cuts, int(experiment.read_length), self._shift, rng)
        write_bam(path, chromosomes, reads)


class CapStarts(Assay):
    """CAGE: capped 5' ends, both strands in one file."""

    format, titles = "ctss", ("hCAGE", "LQhCAGE")

    def __init__(self) -> None:
        self.tracks = {".": ("+", "-")}

    def truth(self, chromosome: Chromosome, experiment: Experiment, strand: str) -> Float[np.ndarray, " S"]:
        return rates.cap_rate(chromosome, experiment.rates_of, strand)

    def write(self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig) -> None:
        rng = random_numbers(config, experiment)
        counts = {}
        for chromosome in chromosomes:
            expected = {one: config.cap_starts * self.truth(chromosome, experiment, one) for one in self.tracks["."]}
            counts[chromosome.name] = {one: _counts(rate, config, rng) for one, rate in expected.items()}
        files.write_ctss(path, counts)


class EngagedStarts(Assay):
    """PRO-cap: 5' ends of engaged polymerases, a bigWig for each strand."""

    format, titles, strands = "bigWig", ("PRO-cap",), ("+", "-")

    def truth(self, chromosome: Chromosome, experiment: Experiment, strand: str) -> Float[np.ndarray, " S"]:
        return rates.procap_rate(chromosome, experiment.rates_of, strand)

    def write(self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig) -> None:
        rng = random_numbers(config, experiment)
        signal = {}
        for chromosome in chromosomes:
            expected = config.cap_starts * self.truth(chromosome, experiment, experiment.strand)
            signal[chromosome.name] = _counts(expected, config, rng).astype(np.float64)
        files.write_bigwig(path, signal, sizes(chromosomes), 1)


class Coverage(Assay):
    """RNA-seq: coverage by unique reads of spliced and, more in total RNA, unspliced transcripts."""

    format, strands, titles = "bigWig", ("+", "-", "."), tuple(UNSPLICED)

    def truth(self, chromosome: Chromosome, experiment: Experiment, strand: str) -> Float[np.ndarray, " S"]:
        return rates.expected_coverage(chromosome, experiment.rates_of, strand, UNSPLICED[experiment.assay])

    def write(self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig) -> None:
        files.write_bigwig(path, coverage(chromosomes, experiment, config), sizes(chromosomes), 1)


class Alignments(Assay):
    """RNA-seq alignments, from which junctions are counted; the same transcripts as in the coverage."""

    format, titles = "bam", tuple(UNSPLICED)

    def truth(self, chromosome: Chromosome, experiment: Experiment, strand: str) -> Float[np.ndarray, " S"]:
        raise NotImplementedError("junctions have positions and no bins: their truth is in tables")

    def write(self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig) -> None:
        rng = random_numbers(config, experiment)
        paired, reads = experiment.run == "paired-ended", {}
        for chromosome in chromosomes:
            molecules = [
                dataclasses.replace(one, abundance=one.abundance * float(excess(1, config, rng)[0]))
                for one in rates.transcripts(chromosome, experiment.rates_of, ".", UNSPLICED[experiment.assay])
            ]
            reads[chromosome.name] = transcript_reads(len(chromosome), molecules, config.junction_reads, paired, rng)
        write_bam(path, chromosomes, reads)


class Enrichment(Assay):
    """ChIP-seq of factors and histone marks: fold change over the control, in bins of 16 bp."""

    format = "bigWig"

    def __init__(self, title: str, targets: tuple[str, ...]) -> None:
        super().__init__()
        self.titles, self.targets = (title,), targets

    def truth(self, chromosome: Chromosome, experiment: Experiment, strand: str) -> Float[np.ndarray, " bins"]:
        enrichment = rates.factor_enrichment if experiment.bundle == "CHIP_TF" else rates.mark_enrichment
        return enrichment(chromosome, experiment.rates_of, experiment.target)

    def write(self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig) -> None:
        rng = random_numbers(config, experiment)
        signal = {}
        for chromosome in chromosomes:
            expected = config.chip_reads * self.truth(chromosome, experiment, ".")
            signal[chromosome.name] = _counts(expected, config, rng, rates.CHIP_BIN) / config.chip_reads
        files.write_bigwig(path, signal, sizes(chromosomes), rates.CHIP_BIN)


class ContactMaps(Assay):
    """Hi-C: raw counts of contacts at 1 and 2 kb, balanced."""

    format, titles = "mcool", ("in situ Hi-C",)

    def truth(self, chromosome: Chromosome, experiment: Experiment, strand: str) -> Float[np.ndarray, "bins offsets"]:
        return contacts.log_ratio(chromosome, experiment.rates_of)

    def write(self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig) -> None:
        rng = random_numbers(config, experiment)
        bands = {}
        for chromosome in chromosomes:
            bins = -(-len(chromosome) // contacts.BIN)
            offsets = min(bins, MAP_OFFSETS)
            expected = contacts.expected_map(chromosome, experiment.rates_of, contacts.BIN, offsets)
            seen = np.exp(rng.normal(0, _VISIBILITY, bins))
            partner = np.minimum(np.arange(bins)[:, None] + np.arange(offsets), bins - 1)
            bands[chromosome.name] = rng.poisson(config.contacts * expected * seen[:, None] * seen[partner])
        files.write_mcool(path, bands, sizes(chromosomes), contacts.BIN, (1, 2), experiment.assembly)


ASSAYS: dict[str, Assay] = {
    "RNA_SEQ": Coverage(),
    "DNASE": Cuts("DNase-seq", (0, 1)),
    "ATAC": Cuts("ATAC-seq", (4, -4)),
    "CAGE": CapStarts(),
    "PROCAP": EngagedStarts(),
    "CHIP_TF": Enrichment("TF ChIP-seq", rates.CHIP_TARGETS),
    "CHIP_HISTONE": Enrichment("Histone ChIP-seq", rates.HISTONE_MARKS),
    "CONTACT_MAPS": ContactMaps(),
    "SPLICE_JUNCTIONS": Alignments(),
}
"""What the world can be measured with, by bundle."""


def random_numbers(config: WorldConfig, experiment: Experiment, *names: str) -> np.random.Generator:
    """Random numbers of one file's own: nothing depends on the order of the work."""
    return generator(config, experiment.organism, experiment.accession, *names)


def sizes(chromosomes: list[Chromosome]) -> dict[str, int]:
    """Lengths by name."""
    return {one.name: len(one) for one in chromosomes}


def coverage(
    chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig
) -> dict[str, Float[np.ndarray, " S"]]:
    """Coverage of one RNA-seq file, drawn."""
    rng = random_numbers(config, experiment)
    signal = {}
    for chromosome in chromosomes:
        reads = []
        for one in rates.transcripts(chromosome, experiment.rates_of, experiment.strand, UNSPLICED[experiment.assay]):
            rate = config.coverage * one.abundance / rates.READ_LENGTH * float(excess(1, config, rng)[0])
            reads.append((one, rng.poisson(rate, one.starts).astype(np.float64)))
        signal[chromosome.name] = rates.pile_up(len(chromosome), reads)
    return signal


def excess(count: int, config: WorldConfig, rng: np.random.Generator) -> Float[np.ndarray, " count"]:
    """Factors with mean 1 and the configured coefficient of variation: a Poisson rate times these is Poisson-gamma."""
    if config.overdispersion == 0:
        return np.ones(count)
    shape = config.overdispersion**-2
    return rng.gamma(shape, 1 / shape, size=count)


def _counts(
    expected: Float[np.ndarray, " bins"], config: WorldConfig, rng: np.random.Generator, bin: int = 1
) -> Int[np.ndarray, " bins"]:
    """Poisson-gamma counts; bins of the same 512 bp share their factor."""
    shared = NEIGHBOURHOOD // bin
    factors = np.repeat(excess(-(-len(expected) // shared), config, rng), shared)[: len(expected)]
    return rng.poisson(expected * factors)
