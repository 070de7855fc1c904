"""How variants are scored, and the scorers there are."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from megabase.bundles import BundleName
from megabase.settings import settings

Aggregation = Literal[
    "DIFF_MEAN", "DIFF_SUM", "DIFF_SUM_LOG2", "DIFF_LOG2_SUM", "L2_DIFF", "L2_DIFF_LOG1P", "ACTIVE_MEAN", "ACTIVE_SUM"
]
"""How a window around the variant becomes one number (`megabase.scoring.center`)."""
Family = Literal["center", "contacts", "exons", "bodies", "junctions", "polyadenylation"]


@dataclasses.dataclass(frozen=True)
class Scorer:
    """One way to compare the predictions for both alleles."""

    name: str
    bundle: BundleName
    family: Family
    """What is compared: a window around the variant, the variant's contacts, exons of the genes that start nearby,
    bodies of the genes around the variant, their junctions, or their polyadenylation sites."""
    aggregation: Aggregation | Literal["LFC", "ACTIVE", "SIGNED"] | None = None
    """Of families `center` and `exons`; of family `bodies`, `SIGNED` keeps the sign of the change, otherwise its
    magnitude counts."""
    width: int = 0
    """Of family `center`: bp of the window; 0: the whole sequence."""
    resolution: int = 1
    """Of the predictions that are compared, in bp."""

    @property
    def bins(self) -> int:
        """Bins of the window around the variant."""
        return -(-self.width // self.resolution)

    def bins_of(self, positions: int) -> int:
        """Bins that are looked at in a sequence of so many positions."""
        return min(self.bins or positions, positions)


def _center(bundle: BundleName, width: int, resolution: int = 1) -> tuple[Scorer, Scorer]:
    return (
        Scorer(bundle, bundle, "center", "DIFF_LOG2_SUM", width, resolution),
        Scorer(f"{bundle}_ACTIVE", bundle, "center", "ACTIVE_SUM", width, resolution),
    )


SCORERS: dict[str, Scorer] = {
    scorer.name: scorer
    for scorer in (
        *_center("ATAC", 501),
        *_center("DNASE", 501),
        *_center("CAGE", 501),
        *_center("PROCAP", 501),
        *_center("CHIP_TF", 501, 128),
        *_center("CHIP_HISTONE", 2001, 128),
        Scorer("CONTACT_MAPS", "CONTACT_MAPS", "contacts", resolution=2048),
        Scorer("RNA_SEQ", "RNA_SEQ", "exons", "LFC"),
        Scorer("RNA_SEQ_ACTIVE", "RNA_SEQ", "exons", "ACTIVE"),
        Scorer("SPLICE_SITES", "SPLICE_SITES", "bodies"),
        Scorer("SPLICE_SITE_USAGE", "SPLICE_SITE_USAGE", "bodies"),
        Scorer("SPLICE_JUNCTIONS", "SPLICE_JUNCTIONS", "junctions"),
        Scorer("POLYADENYLATION", "RNA_SEQ", "polyadenylation"),
    )
}
"""The nineteen recommended ones by name (paper section 7, architecture reference 9)."""
EXTRA: dict[str, Scorer] = {
    "SPLICE_SITE_USAGE_SIGNED": Scorer("SPLICE_SITE_USAGE_SIGNED", "SPLICE_SITE_USAGE", "bodies", "SIGNED")
}
"""Beyond the recommended ones: ALT - REF of the position in the gene whose usage changes most, which says whether a
variant strengthens or weakens a splice site; SPLICE_SITE_USAGE is its magnitude."""


@settings
class BackgroundConfig:
    """Which variants of a population a score is compared with (paper section 7): single bases that are common."""

    frequency: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    """The rarer allele is more frequent than this in one group of people at least."""
    chromosomes: list[str] = Field(default_factory=list)
    """Chromosomes that variants are taken from, by their name in the VCF; all if empty. The paper: `chr22`."""
    most: Annotated[int, Field(ge=1)] | None = None
    """So many of them at most, drawn the same way every time; none: all of them. The paper has 348,126."""


@settings
class ScoringConfig:
    """Scoring of variants. The window is that of the model."""

    batch: Annotated[int, Field(ge=1)] = 1
    """Variants at once. Both alleles (and both strands) of each are predicted together."""
    reverse_complement: bool = True
    """Predict both strands and average (paper section 7)."""
    scorers: list[str] = Field(default_factory=list)
    """Names of scorers; all (`SCORERS` and `EXTRA`) that the model has tracks for if empty."""
    background: BackgroundConfig = Field(default_factory=BackgroundConfig)
    """What quantiles of scores are taken of, where an organism has `common_variants`."""
