"""A chromosome of the world: sequence, the elements planted in it, and its genes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int, Int8, UInt8

from megabase.simulate.config import WorldConfig
from megabase.simulate.grammar import (
    ACCEPTOR_EXON,
    CLUSTERS,
    DONOR_EXON,
    INR_START,
    MOTIF_INDEX,
    MOTIFS,
    Cluster,
)

SLOT = 450
"""Distance between neighbouring places for elements between genes, in bp."""
PROMOTER = 320
"""Room kept upstream of a gene for its promoter, in bp."""
TERMINATOR = 80
"""Room kept downstream of a gene for the end of its polyA signal, in bp."""


@dataclasses.dataclass(frozen=True)
class Gene:
    """One gene with one transcript."""

    gene_id: str
    name: str
    gene_type: str
    strand: str
    exons: tuple[tuple[int, int], ...]
    """Half-open, in order of the genome."""
    promoter: int
    """Its promoter among the elements of the chromosome."""

    @property
    def start(self) -> int:
        return self.exons[0][0]

    @property
    def end(self) -> int:
        return self.exons[-1][1]

    @property
    def first_base(self) -> int:
        """The transcription start: the first base in the direction of the gene."""
        return self.start if self.strand == "+" else self.end - 1


@dataclasses.dataclass(frozen=True)
class Sites:
    """Motif instances. How strong they are is read from the sequence, so a changed sequence has changed rates."""

    motif: Int[np.ndarray, " n"]
    """Position in `MOTIFS`."""
    start: Int[np.ndarray, " n"]
    strand: Int8[np.ndarray, " n"]
    """1 or -1."""
    element: Int[np.ndarray, " n"]
    """The element they belong to, or -1."""


@dataclasses.dataclass(frozen=True)
class Elements:
    """Enhancers, promoters, insulators and decoys."""

    kind: tuple[str, ...]
    anchor: Int[np.ndarray, " n"]
    """Middle of the motifs; for promoters, the transcription start."""
    strand: Int8[np.ndarray, " n"]


@dataclasses.dataclass(frozen=True)
class Chromosome:
    """Sequence and everything known about it."""

    name: str
    codes: UInt8[np.ndarray, " S"]
    sites: Sites
    elements: Elements
    genes: tuple[Gene, ...]

    def __len__(self) -> int:
        return len(self.codes)


def lay_out(name: str, length: int, config: WorldConfig, rng: np.random.Generator) -> Chromosome:
    """A chromosome of `length` bp: isochores, genes one after another, elements in the gaps between them."""
    gc = _isochores(length, config, rng)
    structures = list(_genes(gc, config, rng))
    for exons, strand in structures:
        for start, end in exons:
            gc[start:end] += 0.08
        first = exons[0][0] if strand == "+" else exons[-1][1]
        gc[max(0, first - 150) : first + 150] += 0.06
    builder = _Builder(_sequence(gc, rng), rng)
    genes = tuple(
        builder.gene(f"{name}.gene{number}", exons, strand) for number, (exons, strand) in enumerate(structures, 1)
    )
    free = 0
    for gene in [*genes, None]:
        before, after = (PROMOTER, TERMINATOR) if gene is None or gene.strand == "+" else (TERMINATOR, PROMOTER)
        builder.fill(free, (gene.start if gene else length) - before, config)
        free = gene.end + after if gene else length
    return builder.chromosome(name, genes)


def _isochores(length: int, config: WorldConfig, rng: np.random.Generator) -> Float[np.ndarray, " S"]:
    knots = rng.uniform(*config.gc, size=length // config.isochore + 2)
    return np.interp(np.arange(length) / config.isochore, np.arange(len(knots)), knots)


def _sequence(gc: Float[np.ndarray, " S"], rng: np.random.Generator) -> UInt8[np.ndarray, " S"]:
    """Independent bases of the given GC content: A 0, C 1, G 2, T 3."""
    strong = rng.random(len(gc)) < gc
    second = rng.random(len(gc)) < 0.5
    return np.where(strong, 1 + second, 3 * second).astype(np.uint8)


def _genes(
    gc: Float[np.ndarray, " S"], config: WorldConfig, rng: np.random.Generator
) -> Iterator[tuple[tuple[tuple[int, int], ...], str]]:
    """Exons and strand of gene after gene; gaps are shorter where GC is high."""
    position = PROMOTER
    typical = np.mean(config.gc)
    while True:
        local = gc[min(position, len(gc) - 1)]
        position += int(rng.gamma(3.0, config.gene_spacing / 3.0) * (typical / local) ** 2) + 2 * PROMOTER
        strand = "+" if rng.random() < 0.5 else "-"
        count = int(rng.integers(2, 5))
        exons = [rng.integers(150, 350), *rng.integers(120, 260, count - 2), rng.integers(350, 800)]
        introns = rng.integers(240, 700, count - 1)
        if strand == "-":
            exons.reverse()
        starts = position + np.cumsum([0, *(np.array(exons[:-1]) + introns)])
        if starts[-1] + exons[-1] + PROMOTER + TERMINATOR > len(gc):
            return
        yield tuple((int(start), int(start + size)) for start, size in zip(starts, exons, strict=True)), strand
        position = int(starts[-1] + exons[-1])


class _Builder:
    """Plants motifs into a sequence and remembers them."""

    def __init__(self, codes: UInt8[np.ndarray, " S"], rng: np.random.Generator) -> None:
        self.codes, self.rng = codes, rng
        self.sites: list[tuple[int, int, int, int]] = []
        self.elements: list[tuple[str, int, int]] = []

    def plant(self, motif: str, start: int, strand: int, element: int = -1, broken: bool = False) -> None:
        """An instance whose leftmost base is `start`."""
        codes = MOTIFS[motif].sample(self.rng)
        if broken:
            core = self.rng.choice(np.flatnonzero(MOTIFS[motif].probabilities.max(axis=1) > 0.85), 4, replace=False)
            codes[core] = (codes[core] + self.rng.integers(1, 4, 4)) % 4
        self.codes[start : start + len(codes)] = codes if strand > 0 else 3 - codes[::-1]
        self.sites.append((MOTIF_INDEX[motif], start, strand, element))

    def plant_at(self, motif: str, origin: int, offset: int, strand: int, element: int = -1) -> None:
        """An instance whose first base is `offset` bases from `origin` in the direction of `strand`."""
        start = origin + offset if strand > 0 else origin - offset - len(MOTIFS[motif]) + 1
        self.plant(motif, start, strand, element)

    def element(self, kind: str, anchor: int, strand: int) -> int:
        self.elements.append((kind, anchor, strand))
        return len(self.elements) - 1

    def cluster(self, recipe: Cluster, centre: int, element: int) -> None:
        """The motifs of an element, side by side around `centre`, each on a strand of its own."""
        count = int(self.rng.integers(recipe.count[0], recipe.count[1] + 1))
        names = self.rng.choice(list(recipe.motifs), size=count, p=list(recipe.motifs.values()))
        gaps = self.rng.integers(12, 34, size=count)
        position = centre - (sum(len(MOTIFS[name]) for name in names) + int(gaps[1:].sum())) // 2
        for name, gap in zip(names, gaps, strict=True):
            self.plant(name, position, 1 if self.rng.random() < 0.5 else -1, element, recipe.broken)
            position += len(MOTIFS[name]) + int(gap)

    def gene(self, gene_id: str, exons: tuple[tuple[int, int], ...], strand: str) -> Gene:
        """Promoter, initiator, splice sites and polyA signal of a gene."""
        sign = 1 if strand == "+" else -1
        first, last = (exons[0][0], exons[-1][1] - 1)[::sign]
        promoter = self.element("promoter", first, sign)
        self.cluster(self._recipe("promoter"), first - sign * 150, promoter)
        self.plant_at("TATA", first, -33, sign, promoter)
        self.plant_at("INR", first, -INR_START, sign, promoter)
        for (_, left), (right, _) in itertools.pairwise(exons):
            donor, acceptor = (left - 1, right) if sign > 0 else (right, left - 1)
            self.plant_at("DONOR", donor, 1 - DONOR_EXON, sign)
            self.plant_at("ACCEPTOR", acceptor, ACCEPTOR_EXON - len(MOTIFS["ACCEPTOR"]), sign)
        self.plant_at("POLYA", last, -24, sign)
        self.plant_at("GU_RICH", last, 10, sign)
        gene_type = "protein_coding" if self.rng.random() < 0.85 else "lncRNA"
        return Gene(gene_id, gene_id.replace(".", "_").upper(), gene_type, strand, exons, promoter)

    def fill(self, start: int, end: int, config: WorldConfig) -> None:
        """Elements at regular places of [start, end), each a little off."""
        kinds = ["enhancer", "insulator", "decoy", "none"]
        shares = np.array([config.enhancer_share, config.insulator_share, config.decoy_share])
        for middle in range(start + SLOT // 2, end - SLOT // 2 + 1, SLOT):
            kind = str(self.rng.choice(kinds, p=[*shares, max(0.0, 1 - shares.sum())]))
            if kind == "none":
                continue
            centre = middle + int(self.rng.integers(-60, 61))
            self.cluster(self._recipe(kind), centre, self.element(kind, centre, 1))

    def _recipe(self, kind: str) -> Cluster:
        recipes = [recipe for recipe in CLUSTERS if recipe.kind == kind]
        return recipes[self.rng.choice(len(recipes), p=[recipe.share for recipe in recipes])]

    def chromosome(self, name: str, genes: tuple[Gene, ...]) -> Chromosome:
        """What has been built."""
        motif, start, strand, element = np.array(self.sites, dtype=np.int64).reshape(-1, 4).T
        kinds, anchors, directions = zip(*self.elements, strict=True) if self.elements else ((), (), ())
        return Chromosome(
            name,
            self.codes,
            Sites(motif, start, strand.astype(np.int8), element),
            Elements(tuple(kinds), np.array(anchors, dtype=np.int64), np.array(directions, dtype=np.int8)),
            genes,
        )
