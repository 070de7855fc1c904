"""Pieces of a chromosome, and the chromosome after its sequence has changed: what is known about it moves along."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Int, UInt8

from megabase.simulate.genome import Chromosome, Elements, Gene, Sites, motif_lengths

Places = Int[np.ndarray, " n"]


def move(chromosome: Chromosome, codes: UInt8[np.ndarray, " S"], place: Callable[[Places], Places]) -> Chromosome:
    """The chromosome with another sequence; `place` says where bases of the old one are in it.

    Motifs of splice sites keep their exonic end, all others their left end.
    """
    sites, length = chromosome.sites, motif_lengths()[chromosome.sites.motif]
    right = (sites.of("DONOR") & (sites.strand < 0)) | (sites.of("ACCEPTOR") & (sites.strand > 0))
    start = np.where(right, place(sites.start + length - 1) - length + 1, place(sites.start))
    start = np.clip(start, 0, len(codes) - length)
    return Chromosome(
        chromosome.name,
        codes,
        dataclasses.replace(sites, start=start),
        dataclasses.replace(chromosome.elements, anchor=place(chromosome.elements.anchor)),
        tuple(_moved(gene, place) for gene in chromosome.genes),
    )


def mutate(
    chromosome: Chromosome, position: int, ref: UInt8[np.ndarray, " r"], alt: UInt8[np.ndarray, " a"]
) -> Chromosome:
    """The chromosome with `alt` instead of `ref` at `position` (0-based)."""
    if not np.array_equal(chromosome.codes[position : position + len(ref)], ref):
        raise ValueError(f"{chromosome.name} has another sequence at {position}")
    codes = np.concatenate([chromosome.codes[:position], alt, chromosome.codes[position + len(ref) :]])
    return move(chromosome, codes, lambda at: place_after(at, position, len(ref), len(alt)))


def place_after(at: Places, position: int, ref: int, alt: int) -> Places:
    """Where bases are after `ref` bases at `position` have become `alt`."""
    changed = np.minimum(at, position + alt - 1)
    return np.where(at >= position + ref, at + alt - ref, np.where(at < position, at, changed))


def piece(chromosome: Chromosome, start: int, end: int) -> Chromosome:
    """What lies wholly within [start, end), counted from `start`."""
    sites, elements = chromosome.sites, chromosome.elements
    count, inside = len(elements.kind), (sites.start >= start) & (sites.start + motif_lengths()[sites.motif] <= end)
    whole = (elements.anchor >= start) & (elements.anchor < end)
    whole[sites.element[~inside & (sites.element >= 0)]] = False
    genes = [
        index
        for index, gene in enumerate(chromosome.genes)
        if gene.start >= start and gene.end <= end and whole[gene.promoter]
    ]
    with_gene = np.zeros(len(chromosome.genes), dtype=bool)
    with_gene[genes] = True
    with_gene[sites.gene[~inside & (sites.gene >= 0)]] = False
    promoters = np.zeros(count, dtype=bool)
    promoters[[gene.promoter for gene, kept in zip(chromosome.genes, with_gene, strict=True) if not kept]] = True
    whole &= ~promoters
    element_number, gene_number = _numbers(whole), _numbers(with_gene)
    kept = sites[inside & ((sites.element < 0) | whole[sites.element] if count else inside)]
    gene = np.where(kept.gene >= 0, gene_number[kept.gene], -1)
    return Chromosome(
        chromosome.name,
        chromosome.codes[start:end].copy(),
        Sites(
            kept.motif,
            kept.start - start,
            kept.strand,
            np.where(kept.element >= 0, element_number[kept.element], -1),
            gene,
            np.where(gene >= 0, kept.exon, -1),
        ),
        Elements(
            tuple(kind for kind, one in zip(elements.kind, whole.tolist(), strict=True) if one),
            elements.anchor[whole] - start,
            elements.strand[whole],
        ),
        tuple(
            dataclasses.replace(_moved(one, lambda at: at - start), promoter=int(element_number[one.promoter]))
            for one, taken in zip(chromosome.genes, with_gene.tolist(), strict=True)
            if taken
        ),
    )


def _numbers(kept: np.ndarray) -> Int[np.ndarray, " n"]:
    """New numbers of what is kept, -1 for the rest; one more -1, so that empty tables can be asked too."""
    return np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)


def _moved(gene: Gene, place: Callable[[Places], Places]) -> Gene:
    exons = np.array(gene.exons)
    # Ends are places of the last base, so that what is inserted behind an exon is not part of it.
    edges = np.stack([place(exons[:, 0]), place(exons[:, 1] - 1) + 1], axis=1)
    choices = tuple(
        dataclasses.replace(one, position=int(place(np.array([one.position]))[0])) if one.position >= 0 else one
        for one in gene.alternatives
    )
    polya = tuple(place(np.array(gene.polya)).tolist())
    return dataclasses.replace(gene, exons=tuple(map(tuple, edges.tolist())), alternatives=choices, polya=polya)
