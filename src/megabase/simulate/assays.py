"""Each assay of the world: its true rate along a chromosome, and how a file of it is drawn with noise."""

from __future__ import annotations

import abc
import dataclasses
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from megabase.simulate import files, rates
from megabase.simulate.config import WorldConfig
from megabase.simulate.genome import Chromosome

NEIGHBOURHOOD = 512
"""Bases that share the noise beyond counting, in bp."""
UNSPLICED = {"polyA plus RNA-seq": 0.03, "total RNA-seq": 0.15}
"""Share of unspliced transcripts in what each RNA-seq assay sees."""
_CONTROL_BINS = 65
"""Bins of 16 bp over which the control of a ChIP is averaged."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is measured: an assay of a target (ChIP only, else empty) in a biosample, on one strand or both (`.`)."""

    bundle: str
    biosample: str
    assay: str
    target: str
    strand: str


class Assay(abc.ABC):
    """How the experiments of one output type come about."""

    format: str
    reading: str
    titles: tuple[str, ...]
    """Assay names that the source table may use."""
    targets: tuple[str, ...]
    """Targets it may name; empty where there is none to name."""
    strands: tuple[str, ...]

    @abc.abstractmethod
    def truth(self, chromosome: Chromosome, experiment: Experiment) -> Float[np.ndarray, " bins"]:
        """The expected value at each bin of the bundle, up to a constant factor."""

    @abc.abstractmethod
    def write(
        self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig, controlled: bool
    ) -> None:
        """Draws the experiment once and writes its source file; `controlled`: its control is a file of its own."""


def generator(config: WorldConfig, *names: str) -> np.random.Generator:
    """Random numbers of their own for everything that has a name: nothing depends on the order of the work."""
    return np.random.default_rng([config.seed, zlib.crc32("/".join(names).encode())])


class Cuts(Assay):
    """DNase (alignments) and ATAC (fragments): cut sites of an enzyme in open chromatin."""

    reading, targets, strands = "cut_sites", (), (".",)

    def __init__(self, title: str, format: str) -> None:
        self.titles, self.format = (title,), format

    def truth(self, chromosome: Chromosome, experiment: Experiment) -> Float[np.ndarray, " S"]:
        return rates.cut_rate(chromosome, experiment.biosample, experiment.bundle)

    def write(
        self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig, controlled: bool
    ) -> None:
        rng = generator(config, path.name)
        cuts = {}
        for chromosome in chromosomes:
            counts = _counts(config.cuts * self.truth(chromosome, experiment), config, rng)
            cuts[chromosome.name] = np.repeat(np.arange(len(chromosome)), counts)
        if self.format == "BAM":
            files.write_dnase_bam(path, chromosomes, cuts, rng)
        else:
            files.write_fragments(path, cuts, rng)


class CapStarts(Assay):
    """CAGE: capped 5' ends, both strands in one file."""

    format, reading, titles = "CTSS", "five_prime", ("hCAGE", "LQhCAGE")
    targets, strands = (), ("+", "-")

    def truth(self, chromosome: Chromosome, experiment: Experiment) -> Float[np.ndarray, " S"]:
        return rates.cap_rate(chromosome, experiment.biosample, experiment.strand)

    def write(
        self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig, controlled: bool
    ) -> None:
        rng = generator(config, path.name)
        counts = {}
        for chromosome in chromosomes:
            both = {strand: dataclasses.replace(experiment, strand=strand) for strand in self.strands}
            expected = {strand: config.cap_starts * self.truth(chromosome, one) for strand, one in both.items()}
            counts[chromosome.name] = {strand: _counts(rate, config, rng) for strand, rate in expected.items()}
        files.write_ctss(path, counts)


class Coverage(Assay):
    """RNA-seq: coverage by reads of spliced and, more in total RNA, unspliced transcripts."""

    format, reading = "bigWig", "coverage"
    targets, strands = (), ("+", "-", ".")
    titles = tuple(UNSPLICED)

    def truth(self, chromosome: Chromosome, experiment: Experiment) -> Float[np.ndarray, " S"]:
        share = UNSPLICED[experiment.assay]
        return rates.expected_coverage(chromosome, experiment.biosample, experiment.strand, share)

    def write(
        self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig, controlled: bool
    ) -> None:
        rng = generator(config, path.name)
        share = UNSPLICED[experiment.assay]
        signal = {}
        for chromosome in chromosomes:
            reads = []
            for one in rates.transcripts(chromosome, experiment.biosample, experiment.strand, share):
                rate = config.coverage * one.abundance / rates.READ_LENGTH * _excess(1, config, rng)
                reads.append((one, rng.poisson(rate, one.starts)))
            signal[chromosome.name] = rates.pile_up(len(chromosome), reads)
        files.write_bigwig(path, signal, {one.name: len(one) for one in chromosomes}, 1)


class Enrichment(Assay):
    """ChIP-seq of factors and histone marks: fold change over the control, in bins of 16 bp.

    Without a control file the values are fold changes already. With one, both files hold reads, and both rise and fall
    with the number of copies that the biosample has of a region: only their ratio is the truth.
    """

    format, reading, strands = "bigWig", "fold_change", (".",)

    def __init__(self, title: str, targets: tuple[str, ...]) -> None:
        self.titles, self.targets = (title,), targets

    def truth(self, chromosome: Chromosome, experiment: Experiment) -> Float[np.ndarray, " bins"]:
        enrichment = rates.factor_enrichment if experiment.bundle == "CHIP_TF" else rates.mark_enrichment
        return enrichment(chromosome, experiment.biosample, experiment.target)

    def write(
        self, path: Path, chromosomes: list[Chromosome], experiment: Experiment, config: WorldConfig, controlled: bool
    ) -> None:
        rng = generator(config, path.name)
        signal = {}
        for chromosome in chromosomes:
            rate = config.chip_reads * self.truth(chromosome, experiment)
            if controlled:
                copies = _copies(chromosome, experiment.biosample, config)
                signal[chromosome.name] = _counts(rate * copies, config, rng, rates.CHIP_BIN).astype(np.float64)
            else:
                signal[chromosome.name] = _counts(rate, config, rng, rates.CHIP_BIN) / config.chip_reads
        files.write_bigwig(path, signal, {one.name: len(one) for one in chromosomes}, rates.CHIP_BIN)


def write_control(path: Path, chromosomes: list[Chromosome], biosample: str, config: WorldConfig) -> None:
    """The control of a ChIP: reads that follow the number of copies only, averaged over a kilobase."""
    rng = generator(config, path.name)
    signal = {}
    for chromosome in chromosomes:
        counts = rng.poisson(config.chip_reads * _copies(chromosome, biosample, config))
        padded = np.pad(counts, _CONTROL_BINS // 2, mode="reflect")
        signal[chromosome.name] = np.convolve(padded, np.full(_CONTROL_BINS, 1 / _CONTROL_BINS), mode="valid")
    files.write_bigwig(path, signal, {one.name: len(one) for one in chromosomes}, rates.CHIP_BIN)


ASSAYS: dict[str, Assay] = {
    "RNA_SEQ": Coverage(),
    "DNASE": Cuts("DNase-seq", "BAM"),
    "ATAC": Cuts("ATAC-seq", "BEDPE"),
    "CAGE": CapStarts(),
    "CHIP_TF": Enrichment("TF ChIP-seq", rates.CHIP_TARGETS),
    "CHIP_HISTONE": Enrichment("Histone ChIP-seq", rates.HISTONE_MARKS),
}
"""What the world can be measured with, by bundle."""


def _copies(chromosome: Chromosome, biosample: str, config: WorldConfig) -> Float[np.ndarray, " bins"]:
    """Copies of each 16-bp bin in a biosample, relative to two: pieces of about 60 kb, as in a cancer cell line."""
    rng = generator(config, "copies", biosample, chromosome.name)
    bins = -(-len(chromosome) // rates.CHIP_BIN)
    pieces = rng.choice([1.0, 1.5, 2.0], size=len(chromosome) // 60_000 + 1)
    return np.repeat(pieces, -(-bins // len(pieces)))[:bins]


def _excess(count: int, config: WorldConfig, rng: np.random.Generator) -> Float[np.ndarray, " count"]:
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
    excess = np.repeat(_excess(-(-len(expected) // shared), config, rng), shared)[: len(expected)]
    return rng.poisson(expected * excess)
