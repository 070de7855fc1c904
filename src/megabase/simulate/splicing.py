"""What the splice sites of a gene make of its transcripts: isoforms, junctions and the usage of sites."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from megabase.simulate.activity import Activity, activity, polya_strengths
from megabase.simulate.genome import Chromosome, Gene
from megabase.simulate.grammar import ACCEPTOR_EXON, BIOSAMPLES, DONOR_EXON, MOTIF_INDEX, MOTIFS, hill

INCLUDED = 0.45
"""Strength of an exon (geometric mean of its acceptor and donor) at which half the transcripts include it."""
SPLICED = 0.2
"""The same of donor and acceptor of an intron at which half of them are spliced."""
STEEPNESS = 8
ENHANCED = 0.9
"""How much stronger the splicing factor, where it is active, makes an exon with its motif."""
COMPETITION = 3
"""Two sites are used in proportion to this power of their strengths."""
SMALLEST = 0.02
"""Isoforms with a smaller share of the transcripts of a gene are left out."""

Site = tuple[int, float]
"""Exonic base and strength."""
Exon = tuple[int, int]
"""First and last base in the direction of the gene."""


@dataclasses.dataclass(frozen=True)
class Isoform:
    """One kind of mature transcript of a gene."""

    gene_id: str
    strand: str
    exons: tuple[tuple[int, int], ...]
    """Half-open, in order of the genome; a retained intron is part of an exon."""
    abundance: float
    """1 for the strongest possible promoter, if all its transcripts are of this kind."""
    polya: int
    """The last base in the direction of the gene."""

    @property
    def introns(self) -> list[tuple[int, int]]:
        """Half-open, in order of the genome."""
        return [(left, right) for (_, left), (right, _) in itertools.pairwise(self.exons)]


def isoforms(chromosome: Chromosome, biosample: str) -> list[Isoform]:
    """The mature transcripts of every gene (unspliced precursors, which assays see to different extents, are added by
    `rates.transcripts`).

    An inner exon is included the more the stronger its two sites and, where it has the motif, the splicing factor; an
    intron stays where the donor before or the acceptor behind it is too weak; sites that compete share by strength.
    """
    state = activity(chromosome, biosample)
    ends = polya_strengths(chromosome, state.strength)
    sites = _sites(chromosome, state, BIOSAMPLES[biosample].get("SPLICE_ENHANCER", 0.0))
    found = []
    for index, gene in enumerate(chromosome.genes):
        chains = [chain for chain in _chains(gene, *sites[index]) if chain[1] >= SMALLEST]
        total = sum(share for _, share in chains)
        for (exons, share), (last, used) in itertools.product(chains, _endings(gene, ends[index])):
            abundance = float(state.expression[index]) * share / total * used
            found.append(Isoform(gene.gene_id, gene.strand, _cut(gene, exons, last), abundance, last))
    return found


def junction_rates(chromosome: Chromosome, biosample: str) -> pd.DataFrame:
    """Columns start, end (intron, half-open), strand, gene_id, value: summed abundance of the isoforms that have it."""
    rows = [
        (start, end, one.strand, one.gene_id, one.abundance)
        for one in isoforms(chromosome, biosample)
        for start, end in one.introns
    ]
    table = pd.DataFrame(rows, columns=["start", "end", "strand", "gene_id", "value"])
    return table.groupby(["start", "end", "strand", "gene_id"])["value"].sum().reset_index()


def site_usage(chromosome: Chromosome, biosample: str) -> pd.DataFrame:
    """Columns position (exonic base), strand, kind (donor, acceptor), gene_id, value: among transcripts that use or
    span the site, spliced over it or not, the share that use it, 0 to 1 (after SpliSER, paper section 1.6)."""
    rows = []
    by_gene = itertools.groupby(isoforms(chromosome, biosample), key=lambda one: one.gene_id)
    for gene_id, group in by_gene:
        molecules = list(group)
        strand = molecules[0].strand
        used: dict[tuple[int, bool], float] = {}
        for one in molecules:
            for start, end in one.introns:
                for side in ((start, True), (end, False)):
                    used[side] = used.get(side, 0.0) + one.abundance
        for (edge, left), amount in sorted(used.items()):
            # A molecule spans an edge between two bases if it has or skips both without a junction at the edge.
            spanned = sum(one.abundance for one in molecules if _spans(one, edge, left))
            donor = left == (strand == "+")
            value = amount / (amount + spanned) if amount else 0.0
            rows.append((edge - 1 if left else edge, strand, "donor" if donor else "acceptor", gene_id, value))
    table = pd.DataFrame(rows, columns=["position", "strand", "kind", "gene_id", "value"])
    return table.sort_values(["position", "kind"], ignore_index=True)


def _spans(one: Isoform, edge: int, left: bool) -> bool:
    uses = any((start if left else end) == edge for start, end in one.introns)
    return not uses and one.exons[0][0] < edge < one.exons[-1][1]


def site_places(chromosome: Chromosome) -> Iterator[tuple[int, int, str]]:
    """Of each splice site of a gene: its number among the motif instances, its exonic base, and its kind."""
    sites = chromosome.sites
    for at in np.flatnonzero((sites.gene >= 0) & sites.of("DONOR", "ACCEPTOR")).tolist():
        donor = int(sites.motif[at]) == MOTIF_INDEX["DONOR"]
        place = _exonic(int(sites.start[at]), bool(sites.strand[at] > 0), donor)
        yield at, place, "donor" if donor else "acceptor"


_Ends = tuple[list[list[Site]], list[list[Site]], list[float]]
"""Acceptors, donors and enhancement of each exon of a gene, in the direction of the gene."""


def _sites(chromosome: Chromosome, state: Activity, factor: float) -> list[_Ends]:
    ends: list[_Ends] = [
        ([[] for _ in gene.exons], [[] for _ in gene.exons], [1.0] * len(gene.exons)) for gene in chromosome.genes
    ]
    sites = chromosome.sites
    for at in np.flatnonzero((sites.gene >= 0) & sites.of("DONOR", "ACCEPTOR", "SPLICE_ENHANCER")).tolist():
        motif, forward, strength = int(sites.motif[at]), sites.strand[at] > 0, float(state.strength[at])
        gene = int(sites.gene[at])
        exon = int(sites.exon[at]) if forward else len(chromosome.genes[gene].exons) - 1 - int(sites.exon[at])
        acceptors, donors, enhanced = ends[gene]
        if motif == MOTIF_INDEX["SPLICE_ENHANCER"]:
            enhanced[exon] = 1 + ENHANCED * factor * strength
        else:
            donor = motif == MOTIF_INDEX["DONOR"]
            (donors if donor else acceptors)[exon].append((_exonic(int(sites.start[at]), forward, donor), strength))
    return ends


def _exonic(start: int, forward: bool, donor: bool) -> int:
    """The exonic base beside the intron of a site whose leftmost base is `start`."""
    if donor:
        return start + (DONOR_EXON - 1 if forward else len(MOTIFS["DONOR"]) - DONOR_EXON)
    return start + (len(MOTIFS["ACCEPTOR"]) - ACCEPTOR_EXON if forward else ACCEPTOR_EXON - 1)


def _chains(
    gene: Gene, acceptors: list[list[Site]], donors: list[list[Site]], enhanced: list[float]
) -> Iterator[tuple[list[Exon], float]]:
    """Exons, in the direction of the gene, and the share of transcripts that are made of them."""
    sign = 1 if gene.strand == "+" else -1
    whole = [(start, end - 1) if sign > 0 else (end - 1, start) for start, end in gene.exons[::sign]]
    best = [[max((strength for _, strength in sites), default=0.0) for sites in side] for side in (acceptors, donors)]
    skipping: list[tuple[tuple[int, ...], float]] = [((0,), 1.0)]
    for exon in range(1, len(whole) - 1):
        strength = math.sqrt(best[0][exon] * best[1][exon]) * enhanced[exon]
        included = float(hill(np.float64(strength), INCLUDED, STEEPNESS))
        skipping = [
            (chain, share)
            for kept, before in skipping
            for chain, share in (((*kept, exon), before * included), (kept, before * (1 - included)))
            if share >= SMALLEST
        ]
    for kept, share in skipping:
        chain = (*kept, len(whole) - 1) if len(whole) > 1 else kept
        choices = [_introns(donors[one], acceptors[other]) for one, other in itertools.pairwise(chain)]
        for introns in itertools.product(*choices):
            exons = [whole[chain[0]]]
            for (donor, acceptor, _), exon in zip(introns, chain[1:], strict=True):
                begin = exons[-1][0]
                if donor < 0:
                    exons[-1] = (begin, whole[exon][1])
                else:
                    exons[-1:] = [(begin, donor), (acceptor, whole[exon][1])]
            yield exons, share * math.prod(one for _, _, one in introns)


def _introns(donors: list[Site], acceptors: list[Site]) -> list[tuple[int, int, float]]:
    """Donor, acceptor and share of each way to splice between two exons; (-1, -1) if they stay joined."""
    strongest = [max((strength for _, strength in sites), default=0.0) for sites in (donors, acceptors)]
    spliced = float(hill(np.sqrt(strongest[0] * strongest[1]), SPLICED, STEEPNESS))
    ways = [(-1, -1, 1 - spliced)]
    for (donor, first), (acceptor, second) in itertools.product(_shares(donors), _shares(acceptors)):
        ways.append((donor, acceptor, spliced * first * second))
    return [way for way in ways if way[2] >= SMALLEST]


def _shares(sites: list[Site]) -> list[Site]:
    total = sum(strength**COMPETITION for _, strength in sites)
    return [(position, strength**COMPETITION / total) for position, strength in sites if strength > 0]


def _endings(gene: Gene, strengths: np.ndarray) -> list[tuple[int, float]]:
    """PolyA sites and the share of transcripts that end there; at the last where all are broken."""
    powers = strengths[: len(gene.polya)] ** COMPETITION
    if powers.sum() == 0:
        return [(gene.polya[-1], 1.0)]
    shares = (powers / powers.sum()).tolist()
    return [(last, share) for last, share in zip(gene.polya, shares, strict=True) if share >= SMALLEST]


def _cut(gene: Gene, exons: list[Exon], last: int) -> tuple[tuple[int, int], ...]:
    """Exons half-open and in order of the genome, the last one ending at the polyA site."""
    ended = [*exons[:-1], (exons[-1][0], last)]
    if gene.strand == "+":
        return tuple((first, end + 1) for first, end in ended)
    return tuple((end, first + 1) for first, end in reversed(ended))
