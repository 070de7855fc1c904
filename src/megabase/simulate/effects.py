"""What a change of the sequence does to a true quantity, as a signed log2 fold change, for each modality of variants.

The quantity of splicing is the usage of a splice site (the share of transcripts that use it): of all annotated sites of
the gene, the one whose usage changes most in absolute terms, so that a weakened site has a negative effect and a
strengthened one a positive effect.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from megabase.simulate import contacts, rates
from megabase.simulate.activity import activity, polya_strengths
from megabase.simulate.edits import mutate, piece, place_after
from megabase.simulate.genome import Chromosome
from megabase.simulate.splicing import COMPETITION, site_usage

Condition = tuple[str, str]
"""Biosample and target of the ChIP (else empty)."""
CENTRE, WIDE = 501, 2001
"""Widths around a variant over which signal is summed, in bp (paper section 7: 2001 for histone marks)."""
_SILENT = 0.01
"""Expression that is as good as none."""
EXPRESSED = 0.05
"""Expression of a gene from which its splicing is seen."""
_RARE = 0.05
"""Usage of a splice site that is as good as none."""


@dataclasses.dataclass(frozen=True)
class Effect:
    """What a change does in one condition."""

    fold: float
    """log2 fold change of the true quantity."""
    size: float
    """How clearly it shows: the magnitude of `fold`; of splicing, by how much more (in usage, 0 to 1) the site changes
    than any site of the gene that changes the other way, as competing sites do."""


@dataclasses.dataclass(frozen=True)
class Change:
    """A change within a piece of a chromosome, before and after."""

    before: Chromosome
    after: Chromosome
    position: int
    ref: int
    alt: int
    """Bases before and after."""
    gene_id: str

    def gene(self, chromosome: Chromosome) -> int:
        """The number of its gene in the piece."""
        return [gene.gene_id for gene in chromosome.genes].index(self.gene_id)

    def ratio(self, measure: Callable[[Chromosome], float], least: float) -> Effect:
        """log2 fold change of what is measured, with `least` added to both."""
        return _effect(np.log2((measure(self.after) + least) / (measure(self.before) + least)))

    def near(self, signal: Float[np.ndarray, " bins"], width: int, bin: int = 1) -> float:
        """Mean of a signal around the change."""
        first, last = (self.position - width // 2) // bin, (self.position + width // 2) // bin
        return float(signal[max(0, first) : last + 1].mean())


def _accessibility(change: Change, condition: Condition) -> Effect:
    return change.ratio(lambda one: change.near(rates.cut_rate(one, condition[0], "DNASE"), CENTRE), 0.0)


def _binding(change: Change, condition: Condition) -> Effect:
    return change.ratio(lambda one: change.near(rates.factor_enrichment(one, *condition), CENTRE, rates.CHIP_BIN), 0.0)


def _histone(change: Change, condition: Condition) -> Effect:
    return change.ratio(lambda one: change.near(rates.mark_enrichment(one, *condition), WIDE, rates.CHIP_BIN), 0.0)


def _expression(change: Change, condition: Condition) -> Effect:
    return change.ratio(lambda one: float(activity(one, condition[0]).expression[change.gene(one)]), _SILENT)


def _splicing(change: Change, condition: Condition) -> Effect:
    """Of the splice site of the gene whose usage changes most; none where the gene is not expressed."""
    if activity(change.before, condition[0]).expression[change.gene(change.before)] < EXPRESSED:
        return _effect(0.0)
    usage: dict[tuple[int, str], list[float]] = {}
    for side, one in enumerate((change.before, change.after)):
        table = site_usage(one, condition[0])
        table = table[table["gene_id"] == change.gene_id]
        places = table["position"].to_numpy()
        if side == 0:
            places = place_after(places, change.position, change.ref, change.alt)
        for place, kind, value in zip(places.tolist(), table["kind"], table["value"].tolist(), strict=True):
            usage.setdefault((place, kind), [0.0, 0.0])[side] = value
    before, after = np.array([*usage.values(), [0.0, 0.0]]).T
    differences = after - before
    most = np.argmax(np.abs(differences))
    against = np.maximum(-np.sign(differences[most]) * differences, 0).max()
    fold = np.log2((after[most] + _RARE) / (before[most] + _RARE))
    return Effect(float(fold), float(abs(differences[most]) - against))


def _polyadenylation(change: Change, condition: Condition) -> Effect:
    """Of transcripts that end at the proximal site, relative to those that end at the distal one."""

    def odds(one: Chromosome) -> float:
        near, far = polya_strengths(one, activity(one, condition[0]).strength)[change.gene(one)] ** COMPETITION
        share = near / (near + far) if near + far > 0 else 0.0
        return float((share + 0.05) / (1 - share + 0.05))

    return change.ratio(odds, 0.0)


def _contacts(change: Change, condition: Condition) -> Effect:
    """Of the contact of the changed bin that changes most."""
    before, after = (contacts.log_change(one, condition[0], offsets=20) for one in (change.before, change.after))
    here = change.position // contacts.BIN
    rows = min(len(before), len(after))
    difference = (after[:rows] - before[:rows]) / np.log(2)
    back = np.arange(1, min(here, 19) + 1)
    row = np.concatenate([difference[here], difference[here - back, back]])
    return _effect(row[np.argmax(np.abs(row))])


def _effect(fold: float) -> Effect:
    """Of a quantity whose fold change says it all."""
    return Effect(float(fold), abs(float(fold)))


_MEASURES: dict[str, tuple[int, Callable[[Change, Condition], Effect]]] = {
    "accessibility": (1_500, _accessibility),
    "binding": (1_500, _binding),
    "histone": (2_500, _histone),
    "expression": (10_000, _expression),
    "splicing": (10_000, _splicing),
    "polyadenylation": (10_000, _polyadenylation),
    "contacts": (24_000, _contacts),
}
"""How far around a change its effects reach, in bp, and how they are measured."""


def effect(
    modality: str,
    chromosome: Chromosome,
    position: int,
    ref: np.ndarray,
    alt: np.ndarray,
    conditions: list[Condition],
    gene_id: str = "",
) -> dict[Condition, Effect]:
    """What a variant does in each condition."""
    reach, measure = _MEASURES[modality]
    # Pieces begin at the edge of a bin, so that bins are those of the chromosome.
    start = max(0, position - reach) // contacts.BIN * contacts.BIN
    before = piece(chromosome, start, min(len(chromosome), position + len(ref) + reach))
    at = position - start
    change = Change(before, mutate(before, at, ref, alt), at, len(ref), len(alt), gene_id)
    return {condition: measure(change, condition) for condition in conditions}
