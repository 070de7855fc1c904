"""What a biosample makes of a chromosome: how strong its motifs are, which factors bind, what is open and expressed."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from megabase.simulate.genome import Chromosome
from megabase.simulate.grammar import BIOSAMPLES, MOTIFS, hill, opening, strength_table

ENHANCER_REACH = 1500.0
"""Distance, in bp, over which the help of an enhancer for a promoter falls to 37 %."""
ENHANCED = 0.4
"""Share of the expression of a gene that depends on enhancers."""
_PROCESSED = 0.15
"""Summed strength of polyA signals at which half the transcripts are cleaved."""


@dataclasses.dataclass(frozen=True)
class Activity:
    """What one biosample makes of one chromosome."""

    strength: Float[np.ndarray, " sites"]
    """Of each motif instance, whatever its factor does."""
    occupancy: Float[np.ndarray, " sites"]
    """Strength times activity of the factor, at most 1."""
    openness: Float[np.ndarray, " elements"]
    """0 to 1."""
    initiation: Float[np.ndarray, " genes"]
    """Transcripts that begin, 0 to 1."""
    expression: Float[np.ndarray, " genes"]
    """Transcripts that come to their end, 0 to 1."""


def activity(chromosome: Chromosome, biosample: str) -> Activity:
    """Motifs open their element together; an open promoter fires as strongly as its TATA box and initiator allow, the
    more so beside open enhancers."""
    sites, factors = chromosome.sites, BIOSAMPLES[biosample]
    strength = strengths(chromosome)
    drive = strength * np.array([factors.get(name, 0.0) for name in MOTIFS])[sites.motif]
    inside, count = sites.element >= 0, len(chromosome.elements.kind)
    openness = opening(np.bincount(sites.element[inside], weights=drive[inside], minlength=count))
    core = np.ones(count)
    box = inside & sites.of("TATA", "INR")
    np.multiply.at(core, sites.element[box], strength[box])
    promoters = np.array([gene.promoter for gene in chromosome.genes], dtype=np.int64)
    help = 1 - np.exp(-_enhancers(chromosome, openness, promoters))
    initiation = (core * openness)[promoters] * (1 - ENHANCED + ENHANCED * help)
    signals = polya_strengths(chromosome, strength).sum(axis=1)
    return Activity(strength, np.minimum(drive, 1.0), openness, initiation, initiation * hill(signals, _PROCESSED, 4))


def polya_strengths(chromosome: Chromosome, strength: Float[np.ndarray, " sites"]) -> Float[np.ndarray, "genes 2"]:
    """Strength of the polyA sites of each gene, proximal first: of the signal, and a little of the GU-rich element."""
    sites, totals = chromosome.sites, np.zeros((len(chromosome.genes), 2))
    factor = np.ones_like(totals)
    signal, rich = sites.of("POLYA") & (sites.gene >= 0), sites.of("GU_RICH") & (sites.gene >= 0)
    totals[sites.gene[signal], sites.exon[signal]] = strength[signal]
    factor[sites.gene[rich], sites.exon[rich]] = 0.3 + 0.7 * strength[rich]
    return totals * factor


def strengths(chromosome: Chromosome) -> Float[np.ndarray, " sites"]:
    """Strength of every motif instance, read from the sequence."""
    sites, (table, lengths) = chromosome.sites, strength_table()
    step = np.arange(table.shape[1])
    forward = sites.strand[:, None] > 0
    length = lengths[sites.motif][:, None]
    place = sites.start[:, None] + np.where(forward, step, length - 1 - step)
    codes = chromosome.codes[np.clip(place, 0, len(chromosome) - 1)]
    codes = np.where(forward | (codes > 3), codes, 3 - codes)
    return np.exp(table[sites.motif[:, None], step, codes].sum(axis=1))


def _enhancers(
    chromosome: Chromosome, openness: Float[np.ndarray, " elements"], promoters: Int[np.ndarray, " genes"]
) -> Float[np.ndarray, " genes"]:
    """Summed openness of the enhancers around each promoter, weighted by distance."""
    elements = chromosome.elements
    enhancers = np.array([kind == "enhancer" for kind in elements.kind], dtype=bool)
    distance = np.abs(elements.anchor[promoters][:, None] - elements.anchor[enhancers])
    return np.exp(-distance / ENHANCER_REACH) @ openness[enhancers]
