"""From what both alleles predict to the scores of one variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from megabase.errors import InputError
from megabase.genome.regions import Region
from megabase.scoring.annotation import Gene, pas_mask
from megabase.scoring.center import center_score
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


class Seen(NamedTuple):
    """What both alleles of one variant predict: one variant of `megabase.scoring.comparison.Compared`."""

    center: dict[str, Float[np.ndarray, "2 bins T"]]
    contacts: Float[np.ndarray, "2 P T"] | None
    covered: Float[np.ndarray, "2 M T"] | None
    bodies: dict[str, Float[np.ndarray, "H T"]]
    junctions: Float[np.ndarray, "2 K K 2*T"] | None
    positions: Int[np.ndarray, "4 K"] | None


class Score(NamedTuple):
    """The scores of one scorer for one gene or junction, or for neither."""

    gene: Gene | None
    junction: tuple[int, int] | None
    """Start and end of the intron, 0-based half-open."""
    values: Float[np.ndarray, " T"]


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


def scores(scorer: Scorer, setting: Setting, seen: Seen) -> Iterator[Score]:
    """The scores of a variant; none where there is no gene for a scorer of genes."""
    match scorer.family:
        case "center":
            ref, alt = seen.center[scorer.bundle]
            values = center_score(ref, alt, scorer.aggregation)  # type: ignore[arg-type]
            yield Score(None, None, values)
        case "contacts":
            assert seen.contacts is not None
            yield Score(None, None, contact_score(*seen.contacts))
        case "exons":
            assert seen.covered is not None
            lengths = np.array([mask.sum() for _, mask in setting.exons], int)
            ref, alt = seen.covered[:, : len(lengths)]
            values = exon_score(ref, alt, lengths, scorer.aggregation)  # type: ignore[arg-type]
            for (gene, _), row in zip(setting.exons, values, strict=True):
                yield Score(gene, None, row)
        case "bodies":
            for gene, row in zip(setting.bodies, seen.bodies[scorer.bundle], strict=False):
                yield Score(gene, None, row if scorer.aggregation == "SIGNED" else np.abs(row))
        case "junctions":
            assert seen.junctions is not None and seen.positions is not None
            ref, alt = seen.junctions
            for found in junction_scores(ref, alt, seen.positions, setting.region, setting.bodies):
                yield Score(found.gene, (found.start, found.end), found.scores)
        case "polyadenylation":
            assert seen.covered is not None
            first = len(setting.exons)
            for gene, sites in setting.ends:
                ref, alt = seen.covered[:, first : first + len(sites)]
                yield Score(gene, None, polyadenylation_score(ref, alt))
                first += len(sites)
