"""From what both alleles predict to the scores of one variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from megabase.errors import InputError
from megabase.genome.regions import Region
from megabase.scoring.annotation import Gene, pas_mask
from megabase.scoring.center import NARROW, aggregated, center_score, window_bins
from megabase.scoring.comparison import Compared
from megabase.scoring.config import EXTRA, SCORERS, Scorer
from megabase.scoring.contacts import contact_score
from megabase.scoring.genes import exon_score
from megabase.scoring.junctions import junction_scores
from megabase.scoring.polyadenylation import polyadenylation_score
from megabase.scoring.vcf import Variant


class Setting(NamedTuple):
    """One variant, its window, and the genes there."""

    variant: Variant
    region: Region
    exons: list[tuple[Gene, Bool[np.ndarray, " S"]]]
    """Genes that start in the window, with their exons."""
    bodies: list[Gene]
    """Genes around the variant."""
    ends: list[tuple[Gene, Int[np.ndarray, " sites"]]]
    """Those of them with polyadenylation sites."""

    def masks(self) -> Iterator[Bool[np.ndarray, " S"]]:
        """The masks that RNA-seq coverage is summed over: exons by gene, then the bases before each site."""
        for _, mask in self.exons:
            yield mask
        for gene, sites in self.ends:
            for site in sites:
                yield pas_mask(int(site), gene.strand, self.region)


class Score(NamedTuple):
    """The scores of one scorer for one gene or junction, or for neither."""

    gene: Gene | None
    junction: tuple[int, int] | None
    """Start and end of the intron, 0-based half-open."""
    values: Float[np.ndarray, " T"]
    both: tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]] | None = None
    """What REF and ALT predict (`megabase.scoring.table.VALUES`), where that is known."""


def chosen_scorers(names: Sequence[str], bundles: Sequence[str]) -> list[Scorer]:
    """The scorers of these names, or all if there are none, for which there are tracks.

    Raises InputError for an unknown name, for a named one without tracks, and where nothing is left.
    """
    known = SCORERS | EXTRA
    for name in names:
        if name not in known:
            raise InputError(f"no scorer `{name}`", where="scorers", remedy=f"choose from {', '.join(known)}")
    usable = {
        name: scorer
        for name, scorer in known.items()
        if scorer.bundle in bundles and (scorer.family != "junctions" or "SPLICE_SITES" in bundles)
    }
    if missing := [name for name in names if name not in usable]:
        what = f"the model has no tracks for {', '.join(missing)}"
        raise InputError(what, where="scorers", remedy=f"choose from {', '.join(usable)}")
    if not usable:
        raise InputError("the model has no tracks to score", where="scorers", remedy="choose another model or organism")
    return [scorer for name, scorer in usable.items() if not names or name in names]


def scores(scorer: Scorer, setting: Setting, seen: Compared) -> Iterator[Score]:
    """The scores of a variant; none where there is no gene for a scorer of genes."""
    match scorer.family:
        case "center":
            yield _center(scorer, setting, seen)
        case "contacts":
            assert seen.contacts is not None
            ref, alt = seen.contacts
            yield Score(None, None, contact_score(ref, alt), (ref.mean(axis=0), alt.mean(axis=0)))
        case "exons":
            lengths = np.array([mask.sum() for _, mask in setting.exons], int)
            ref, alt = seen.covered[scorer.bundle][:, : len(lengths)]
            values = exon_score(ref, alt, lengths, scorer.aggregation)  # type: ignore[arg-type]
            for row, (gene, _) in enumerate(setting.exons):
                yield Score(gene, None, values[row], (ref[row] / lengths[row], alt[row] / lengths[row]))
        case "bodies":
            before = seen.before.get(scorer.bundle)
            for row, gene in enumerate(setting.bodies):
                change = seen.bodies[scorer.bundle][row]
                both = None if before is None else (before[row], before[row] + change)
                yield Score(gene, None, change if scorer.aggregation == "SIGNED" else np.abs(change), both)
        case "junctions":
            assert seen.junctions is not None and seen.positions is not None
            ref, alt = seen.junctions
            for found in junction_scores(ref, alt, seen.positions, setting.region, setting.bodies):
                yield Score(found.gene, (found.start, found.end), found.scores, (found.ref, found.alt))
        case "polyadenylation":
            first = len(setting.exons)
            for gene, sites in setting.ends:
                ref, alt = seen.covered[scorer.bundle][:, first : first + len(sites)]
                both = ref.sum(axis=0), alt.sum(axis=0)
                yield Score(gene, None, polyadenylation_score(ref, alt), both)
                first += len(sites)


def _center(scorer: Scorer, setting: Setting, seen: Compared) -> Score:
    """Of the window around the variant, cut where the sequence ends."""
    positions = (setting.region.end - setting.region.start) // scorer.resolution
    first, last = 0, positions
    if scorer.width:
        at = setting.variant.start - setting.region.start
        first, last = window_bins(at, scorer.bins, scorer.resolution, positions * scorer.resolution)
    bins = scorer.bins_of(positions)
    if bins > NARROW:
        return Score(None, None, aggregated(seen.wide[scorer.name], last - first, scorer.aggregation))  # type: ignore[arg-type]
    # The device gives a whole window even at the sequence's ends.
    shown = min(first, positions - bins)
    ref, alt = seen.center[scorer.bundle, scorer.width][:, first - shown : last - shown]
    both = ref.sum(axis=0), alt.sum(axis=0)
    return Score(None, None, center_score(ref, alt, scorer.aggregation), both)  # type: ignore[arg-type]
