"""Genomes of all organisms: one made anew, others derived from it as by descent from a common ancestor."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Int

from megabase.simulate.activity import strengths
from megabase.simulate.config import GenomeConfig, WorldConfig
from megabase.simulate.edits import move, piece
from megabase.simulate.genome import SLOT, Builder, Chromosome, generator, lay_out, motif_lengths, spacer
from megabase.simulate.grammar import MOTIFS

_MARGIN = 12
"""Bases beside a motif that are never deleted, in bp."""
_DECOY = 0.2
"""Motifs below this strength are lookalikes, and stay as they are."""


def build_genomes(config: WorldConfig) -> dict[str, list[Chromosome]]:
    """The chromosomes of every organism, in the order of the config.

    Chromosomes of the same name are homologous: the same elements and genes in the same order, less space between them,
    other bases outside motifs and other instances of motifs; some elements are lost and others gained.
    """
    own = {name: genome for name, genome in config.organisms.items() if genome.homologous_to is None}
    made = {
        name: {
            one: lay_out(one, size, config, generator(config, name, one)) for one, size in genome.chromosomes.items()
        }
        for name, genome in own.items()
    }
    for name, genome in config.organisms.items():
        if genome.homologous_to is not None:
            ancestor = made[genome.homologous_to]
            made[name] = {
                one: _descend(ancestor[one], size, genome, config, generator(config, name, one))
                for one, size in genome.chromosomes.items()
            }
    return {name: list(made[name].values()) for name in config.organisms}


def _descend(
    ancestor: Chromosome, length: int, genome: GenomeConfig, config: WorldConfig, rng: np.random.Generator
) -> Chromosome:
    """The homologous chromosome of `length` bp."""
    elements = np.array(ancestor.elements.kind)
    lost = (rng.random(len(elements)) < genome.lost) & (elements != "promoter")
    sites = ancestor.sites
    gone = (sites.element >= 0) & lost[sites.element] if len(elements) else np.zeros(len(sites.motif), dtype=bool)
    kept = dataclasses.replace(ancestor, sites=sites[~gone])
    fixed = _fixed(kept)
    changed = ~_covered(kept, 0) & (rng.random(len(kept)) < genome.divergence)
    changed |= _covered(dataclasses.replace(ancestor, sites=sites[gone]), 0) & (rng.random(len(kept)) < 0.7)
    codes = (kept.codes + changed * rng.integers(1, 4, len(kept))).astype(np.uint8) % 4
    moved = _shorten(dataclasses.replace(kept, codes=codes), fixed, genome.kept_space, rng)
    short = length - len(moved)
    if short > 0:
        moved = dataclasses.replace(moved, codes=np.concatenate([moved.codes, spacer(short, config, rng)]))
    # A gene or element cut in two at the end is not taken over; what is left of it in the sequence means nothing.
    moved = _without_lost(piece(moved, 0, length))
    _resample(moved, rng)
    return _gain(moved, round(float(lost.mean() if len(lost) else 0) * len(moved.elements.kind)), rng)


def _covered(chromosome: Chromosome, margin: int) -> Bool[np.ndarray, " S"]:
    """Bases of motifs and `margin` beside them."""
    edges = np.zeros(len(chromosome) + 1, dtype=np.int64)
    start = chromosome.sites.start
    np.add.at(edges, np.maximum(start - margin, 0), 1)
    np.add.at(edges, np.minimum(start + motif_lengths()[chromosome.sites.motif] + margin, len(chromosome)), -1)
    return np.cumsum(edges[:-1]) > 0


def _fixed(chromosome: Chromosome) -> Bool[np.ndarray, " S"]:
    """Bases that are never deleted: genes with their promoters, motifs and what is between motifs of an element."""
    fixed = _covered(chromosome, _MARGIN)
    sites = chromosome.sites
    ends = sites.start + motif_lengths()[sites.motif]
    for element in np.unique(sites.element[sites.element >= 0]):
        inside = sites.element == element
        fixed[sites.start[inside].min() : ends[inside].max()] = True
    for gene in chromosome.genes:
        fixed[gene.start : gene.end] = True
    return fixed


def _shorten(
    chromosome: Chromosome, fixed: Bool[np.ndarray, " S"], share: float, rng: np.random.Generator
) -> Chromosome:
    """Deletes from the middle of every space between fixed bases."""
    stays = np.ones(len(chromosome), dtype=bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[1], fixed.astype(np.int8), [1]])))
    for start, end in edges.reshape(-1, 2):
        deleted = int((end - start) * (1 - share) * rng.uniform(0.6, 1.4))
        first = start + (end - start - deleted) // 2
        stays[first : first + min(deleted, end - start)] = False
    place = np.concatenate([[0], np.cumsum(stays)])
    return move(chromosome, chromosome.codes[stays], lambda at: place[at])


def _without_lost(chromosome: Chromosome) -> Chromosome:
    """Only the elements that have motifs."""
    elements, sites = chromosome.elements, chromosome.sites
    has = np.zeros(len(elements.kind), dtype=bool)
    has[sites.element[sites.element >= 0]] = True
    number = np.where(has, np.cumsum(has) - 1, -1)
    kept = dataclasses.replace(
        elements,
        kind=tuple(kind for kind, one in zip(elements.kind, has.tolist(), strict=True) if one),
        anchor=elements.anchor[has],
        strand=elements.strand[has],
    )
    genes = tuple(dataclasses.replace(gene, promoter=int(number[gene.promoter])) for gene in chromosome.genes)
    renumbered = np.where(sites.element >= 0, number[sites.element], -1) if len(number) else sites.element
    return dataclasses.replace(
        chromosome, elements=kept, genes=genes, sites=dataclasses.replace(sites, element=renumbered)
    )


def _resample(chromosome: Chromosome, rng: np.random.Generator) -> None:
    """Another instance, about as strong, of every motif."""
    sites, names = chromosome.sites, list(MOTIFS)
    for at, strength in enumerate(strengths(chromosome).tolist()):
        if strength >= _DECOY:
            codes = MOTIFS[names[sites.motif[at]]].sample_between(rng, 0.85 * strength, min(1.0, 1.15 * strength), 40)
            start = sites.start[at]
            chromosome.codes[start : start + len(codes)] = codes if sites.strand[at] > 0 else 3 - codes[::-1]


def _gain(chromosome: Chromosome, count: int, rng: np.random.Generator) -> Chromosome:
    """New elements in the largest spaces."""
    covered = _fixed(chromosome)
    covered[[0, -1]] = True
    edges = np.flatnonzero(np.diff(covered.astype(np.int8))).reshape(-1, 2)
    roomy = edges[np.diff(edges, axis=1)[:, 0] >= SLOT]
    chosen: Int[np.ndarray, "n 2"] = roomy[np.sort(rng.permutation(len(roomy))[:count])]
    builder = Builder(chromosome.codes, rng)
    builder.resume(chromosome)
    for start, end in chosen.tolist():
        builder.grow(str(rng.choice(["enhancer", "insulator", "decoy"], p=[0.6, 0.2, 0.2])), (start + end) // 2)
    return builder.chromosome(chromosome.name, chromosome.genes)
