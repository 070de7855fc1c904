"""A chromosome of the world: sequence, the elements planted in it, and its genes."""

from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int, Int8, UInt8

from megabase.simulate.config import WorldConfig
from megabase.simulate.grammar import (
    ACCEPTOR_EXON,
    CLUSTERS,
    DONOR_EXON,
    GU_OFFSET,
    INR_START,
    MOTIF_INDEX,
    MOTIFS,
    POLYA_OFFSET,
    Cluster,
)

SLOT = 450
"""Distance between neighbouring places for elements between genes, in bp."""
PROMOTER = 320
"""Room kept upstream of a gene for its promoter, in bp."""
TERMINATOR = 80
"""Room kept downstream of a gene for the end of its polyA signal, in bp."""

Exons = tuple[tuple[int, int], ...]
"""Half-open, in order of the genome."""


@dataclasses.dataclass(frozen=True)
class Alternative:
    """A choice that the splicing of a gene leaves open."""

    kind: str
    """cassette, donor or acceptor."""
    exon: int
    """The exon concerned, counted in order of the genome."""
    position: int = -1
    """Exonic base of the second donor or acceptor, inside the exon."""


@dataclasses.dataclass(frozen=True)
class Gene:
    """One gene: all its exons, and what may be left out of them."""

    gene_id: str
    name: str
    gene_type: str
    strand: str
    exons: Exons
    promoter: int
    """Its promoter among the elements of the chromosome."""
    alternatives: tuple[Alternative, ...] = ()
    polya: tuple[int, ...] = ()
    """Last bases of its transcripts, in the direction of the gene: proximal first."""

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

    @property
    def transcripts(self) -> list[Exons]:
        """The annotated transcripts: all exons; then one for each choice; then one that ends at each early polyA."""
        return [self.exons, *map(self._without, self.alternatives), *map(self._until, self.polya[:-1])]

    def _without(self, choice: Alternative) -> Exons:
        start, end = self.exons[choice.exon]
        if choice.kind == "cassette":
            kept: Exons = ()
        elif (choice.kind == "donor") == (self.strand == "+"):
            kept = ((start, choice.position + 1),)
        else:
            kept = ((choice.position, end),)
        return (*self.exons[: choice.exon], *kept, *self.exons[choice.exon + 1 :])

    def _until(self, last: int) -> Exons:
        if self.strand == "+":
            return (*self.exons[:-1], (self.exons[-1][0], last + 1))
        return ((last, self.exons[0][1]), *self.exons[1:])


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
    gene: Int[np.ndarray, " n"]
    """The gene whose splicing or polyadenylation they take part in, or -1."""
    exon: Int[np.ndarray, " n"]
    """Its exon, in order of the genome, or its polyA site; -1 without a gene."""

    def __getitem__(self, chosen: np.ndarray) -> Sites:
        return Sites(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))

    def of(self, *motifs: str) -> np.ndarray:
        """Which of them are instances of one of these motifs."""
        return np.any([self.motif == MOTIF_INDEX[motif] for motif in motifs], axis=0)


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


def generator(config: WorldConfig, *names: str) -> np.random.Generator:
    """Random numbers of their own for everything that has a name: nothing depends on the order of the work."""
    return np.random.default_rng([config.seed, zlib.crc32("/".join(names).encode())])


def motif_lengths() -> Int[np.ndarray, " motifs"]:
    """Length of each motif, in bp."""
    return np.array([len(motif) for motif in MOTIFS.values()])


def lay_out(name: str, length: int, config: WorldConfig, rng: np.random.Generator) -> Chromosome:
    """A chromosome of `length` bp: isochores, genes one after another, elements in the gaps between them."""
    gc = _isochores(length, config, rng)
    structures = list(_genes(gc, config, rng))
    for structure in structures:
        for start, end in structure.exons:
            gc[start:end] += 0.08
        first = structure.exons[0][0] if structure.strand == "+" else structure.exons[-1][1]
        gc[max(0, first - 150) : first + 150] += 0.06
    builder = Builder(_sequence(gc, rng), rng)
    genes = tuple(builder.gene(f"{name}.gene{number}", number - 1, one) for number, one in enumerate(structures, 1))
    free = 0
    for gene in [*genes, None]:
        before, after = (PROMOTER, TERMINATOR) if gene is None or gene.strand == "+" else (TERMINATOR, PROMOTER)
        builder.fill(free, (gene.start if gene else length) - before, config)
        free = gene.end + after if gene else length
    return builder.chromosome(name, genes)


def spacer(length: int, config: WorldConfig, rng: np.random.Generator) -> UInt8[np.ndarray, " S"]:
    """Sequence without genes and elements."""
    return _sequence(_isochores(length, config, rng), rng)


def _isochores(length: int, config: WorldConfig, rng: np.random.Generator) -> Float[np.ndarray, " S"]:
    knots = rng.uniform(*config.gc, size=length // config.isochore + 2)
    return np.interp(np.arange(length) / config.isochore, np.arange(len(knots)), knots)


def _sequence(gc: Float[np.ndarray, " S"], rng: np.random.Generator) -> UInt8[np.ndarray, " S"]:
    """Independent bases of the given GC content: A 0, C 1, G 2, T 3."""
    strong = rng.random(len(gc)) < gc
    second = rng.random(len(gc)) < 0.5
    return np.where(strong, 1 + second, 3 * second).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class _Structure:
    """Where the exons of a gene will be, and its choices."""

    exons: Exons
    strand: str
    alternatives: tuple[Alternative, ...]
    polya: tuple[int, ...]


def _genes(gc: Float[np.ndarray, " S"], config: WorldConfig, rng: np.random.Generator) -> Iterator[_Structure]:
    """The structure of gene after gene; gaps are shorter where GC is high."""
    position = PROMOTER
    typical = np.mean(config.gc)
    while True:
        local = gc[min(position, len(gc) - 1)]
        position += int(rng.gamma(3.0, config.gene_spacing / 3.0) * (typical / local) ** 2) + 2 * PROMOTER
        sign = 1 if rng.random() < 0.5 else -1
        count = int(rng.integers(2, 6))
        late = rng.random() < config.polya_share
        last = rng.integers(650, 900) if late else rng.integers(350, 500)
        sizes = [rng.integers(150, 350), *rng.integers(120, 260, count - 2), last]
        kind, chosen = "", 0
        if count > 2 and rng.random() < config.alternative_share:
            kind, chosen = (
                str(rng.choice(["cassette", "cassette", "donor", "acceptor"])),
                int(rng.integers(1, count - 1)),
            )
            sizes[chosen] += 80 * (kind != "cassette")
        introns = rng.integers(240, 700, count - 1)
        starts = position + np.cumsum([0, *(np.array(sizes[::sign][:-1]) + introns)])
        exons = tuple((int(at), int(at + size)) for at, size in zip(starts, sizes[::sign], strict=True))
        if exons[-1][1] + PROMOTER + TERMINATOR > len(gc):
            return
        yield _structure(exons, sign, kind, chosen, late, rng)
        position = exons[-1][1]


def _structure(exons: Exons, sign: int, kind: str, chosen: int, late: bool, rng: np.random.Generator) -> _Structure:
    """A gene whose exon `chosen`, counted in its direction, is alternative in one way, and that may end early."""
    exon = chosen if sign > 0 else len(exons) - 1 - chosen
    first, last = (exons[exon][0], exons[exon][1] - 1)[::sign]
    inside = int(rng.integers(40, 80))
    position = {"donor": last - sign * inside, "acceptor": first + sign * inside}.get(kind, -1)
    begin, end = (exons[::sign][-1][0], exons[::sign][-1][1] - 1)[::sign]
    early = (begin + sign * int(rng.integers(200, 280)),) if late else ()
    choice = (Alternative(kind, exon, position),) if kind else ()
    return _Structure(exons, "+" if sign > 0 else "-", choice, (*early, end))


_USUAL, _WEAK, _COMPETING = (0.65, 1.0), (0.3, 0.62), (0.4, 0.9)
"""Strengths of the splice sites of constitutive exons, of cassette exons, and of two sites that compete."""
_DECOY_SHARE, _ORPHAN_SHARE = 0.5, 0.08
"""Share of introns, and of empty places between genes, with a lookalike of a splice site, and with a real one that has
no partner."""


class Builder:
    """Plants motifs into a sequence and remembers them."""

    def __init__(self, codes: UInt8[np.ndarray, " S"], rng: np.random.Generator) -> None:
        self.codes, self.rng = codes, rng
        self.sites: list[tuple[int, int, int, int, int, int]] = []
        self.elements: list[tuple[str, int, int]] = []

    def plant(
        self,
        motif: str,
        start: int,
        strand: int,
        element: int = -1,
        broken: bool = False,
        strength: tuple[float, float] = (0.0, 1.0),
        of: tuple[int, int] = (-1, -1),
    ) -> None:
        """An instance whose leftmost base is `start`; `of`: the gene and exon it serves."""
        free = strength == (0.0, 1.0)
        codes = MOTIFS[motif].sample(self.rng) if free else MOTIFS[motif].sample_between(self.rng, *strength)
        if broken:
            self._break(motif, codes)
        self.codes[start : start + len(codes)] = codes if strand > 0 else 3 - codes[::-1]
        self.sites.append((MOTIF_INDEX[motif], start, strand, element, *of))

    def _break(self, motif: str, codes: UInt8[np.ndarray, " L"]) -> None:
        """Changes four or five conserved bases; GT and AG of splice sites stay, so that these look alike."""
        kept = MOTIFS[motif].probabilities.max(axis=1)
        spliced = motif in ("DONOR", "ACCEPTOR")
        core = np.flatnonzero((kept > 0.75) & (kept < 0.95)) if spliced else np.flatnonzero(kept > 0.85)
        changed = self.rng.choice(core, 5 if motif == "ACCEPTOR" else 4, replace=False)
        consensus = MOTIFS[motif].probabilities.argmax(axis=1)
        codes[changed] = (consensus[changed] + self.rng.integers(1, 4, len(changed))) % 4

    def plant_at(
        self,
        motif: str,
        origin: int,
        offset: int,
        strand: int,
        element: int = -1,
        strength: tuple[float, float] = (0.0, 1.0),
        of: tuple[int, int] = (-1, -1),
        broken: bool = False,
    ) -> None:
        """An instance whose first base is `offset` bases from `origin` in the direction of `strand`."""
        start = origin + offset if strand > 0 else origin - offset - len(MOTIFS[motif]) + 1
        self.plant(motif, start, strand, element, broken, strength, of)

    def resume(self, chromosome: Chromosome) -> None:
        """Takes over what a chromosome has."""
        sites, elements = chromosome.sites, chromosome.elements
        self.sites = [tuple(row) for row in np.stack(dataclasses.astuple(sites), axis=1).tolist()]
        self.elements = list(zip(elements.kind, elements.anchor.tolist(), elements.strand.tolist(), strict=True))

    def element(self, kind: str, anchor: int, strand: int) -> int:
        self.elements.append((kind, anchor, strand))
        return len(self.elements) - 1

    def cluster(self, recipe: Cluster, centre: int, element: int) -> None:
        """The motifs of an element, side by side around `centre`, each on a strand of its own."""
        count = int(self.rng.integers(recipe.count[0], recipe.count[1] + 1))
        names = [str(one) for one in self.rng.choice(list(recipe.motifs), size=count, p=list(recipe.motifs.values()))]
        names = [recipe.helped] * bool(recipe.helped) + names
        gaps = self.rng.integers(12, 34, size=len(names))
        position = centre - (sum(len(MOTIFS[name]) for name in names) + int(gaps[1:].sum())) // 2
        for name, gap in zip(names, gaps, strict=True):
            strand = 1 if self.rng.random() < 0.5 else -1
            strength = (0.08, 0.16) if name == recipe.helped else (0.0, 1.0)
            self.plant(name, position, strand, element, recipe.broken, strength)
            position += len(MOTIFS[name]) + int(gap)

    def gene(self, gene_id: str, index: int, structure: _Structure) -> Gene:
        """Promoter, initiator, splice sites and polyA signals of a gene."""
        exons, sign = structure.exons, 1 if structure.strand == "+" else -1
        first = (exons[0][0], exons[-1][1] - 1)[::sign][0]
        promoter = self.element("promoter", first, sign)
        self.cluster(self._recipe("promoter"), first - sign * 150, promoter)
        self.plant_at("TATA", first, -33, sign, promoter)
        self.plant_at("INR", first, -INR_START, sign, promoter)
        self._splice_sites(index, structure, sign)
        strengths = [(0.4, 1.0)] if len(structure.polya) == 1 else [(0.3, 0.9), (0.4, 1.0)]
        for number, (last, strength) in enumerate(zip(structure.polya, strengths, strict=True)):
            self.plant_at("POLYA", last, POLYA_OFFSET, sign, strength=strength, of=(index, number))
            self.plant_at("GU_RICH", last, GU_OFFSET, sign, of=(index, number))
        gene_type = "protein_coding" if self.rng.random() < 0.85 else "lncRNA"
        name = gene_id.replace(".", "_").upper()
        return Gene(
            gene_id, name, gene_type, structure.strand, exons, promoter, structure.alternatives, structure.polya
        )

    def _splice_sites(self, gene: int, structure: _Structure, sign: int) -> None:
        kinds = {choice.exon: choice.kind for choice in structure.alternatives}
        introns = [
            (exon, left, right) for exon, ((_, left), (right, _)) in enumerate(itertools.pairwise(structure.exons))
        ]
        for exon, left, right in introns:
            donor, acceptor = ((exon, left - 1), (exon + 1, right))[::sign]
            for motif, (of, position) in (("DONOR", donor), ("ACCEPTOR", acceptor)):
                kind = kinds.get(of, "")
                strength = _WEAK if kind == "cassette" else _COMPETING if kind == motif.lower() else _USUAL
                self._splice_site(motif, position, sign, strength, (gene, of))
            if kinds.get(donor[0]) == "cassette" and self.rng.random() < 0.5:
                self.plant_at("SPLICE_ENHANCER", donor[1], 30, sign, strength=(0.6, 1.0), of=(gene, donor[0]))
            self._decoy((left + right) // 2, sign)
        for choice in structure.alternatives:
            if choice.kind != "cassette":
                self._splice_site(choice.kind.upper(), choice.position, sign, _COMPETING, (gene, choice.exon))

    def _splice_site(
        self,
        motif: str,
        position: int,
        sign: int,
        strength: tuple[float, float],
        of: tuple[int, int],
        broken: bool = False,
    ) -> None:
        """A donor or acceptor whose exonic base is `position`."""
        offset = 1 - DONOR_EXON if motif == "DONOR" else ACCEPTOR_EXON - len(MOTIFS[motif])
        self.plant_at(motif, position, offset, sign, strength=strength, of=of, broken=broken)

    def _decoy(self, middle: int, sign: int) -> None:
        """Perhaps a lookalike of a splice site, or one without a partner, within 40 bp of `middle`."""
        drawn, place = self.rng.random(), middle + int(self.rng.integers(-40, 41))
        motif = "DONOR" if self.rng.random() < 0.5 else "ACCEPTOR"
        if drawn < _DECOY_SHARE + _ORPHAN_SHARE:
            self._splice_site(motif, place, sign, _USUAL, (-1, -1), broken=drawn < _DECOY_SHARE)

    def fill(self, start: int, end: int, config: WorldConfig) -> None:
        """Elements at regular places of [start, end), each a little off."""
        kinds = ["enhancer", "insulator", "decoy", "none"]
        shares = np.array([config.enhancer_share, config.insulator_share, config.decoy_share])
        for middle in range(start + SLOT // 2, end - SLOT // 2 + 1, SLOT):
            kind = str(self.rng.choice(kinds, p=[*shares, max(0.0, 1 - shares.sum())]))
            centre = middle + int(self.rng.integers(-60, 61))
            if kind == "none":
                self._decoy(centre, 1 if self.rng.random() < 0.5 else -1)
            else:
                self.grow(kind, centre)

    def grow(self, kind: str, centre: int) -> None:
        """A new element of a kind."""
        self.cluster(self._recipe(kind), centre, self.element(kind, centre, 1))

    def _recipe(self, kind: str) -> Cluster:
        recipes = [recipe for recipe in CLUSTERS if recipe.kind == kind]
        return recipes[self.rng.choice(len(recipes), p=[recipe.share for recipe in recipes])]

    def chromosome(self, name: str, genes: tuple[Gene, ...]) -> Chromosome:
        """What has been built."""
        motif, start, strand, element, gene, exon = np.array(self.sites, dtype=np.int64).reshape(-1, 6).T
        kinds, anchors, directions = zip(*self.elements, strict=True) if self.elements else ((), (), ())
        return Chromosome(
            name,
            self.codes,
            Sites(motif, start, strand.astype(np.int8), element, gene, exon),
            Elements(tuple(kinds), np.array(anchors, dtype=np.int64), np.array(directions, dtype=np.int8)),
            genes,
        )
