"""How reads become splice junctions and usage of splice sites."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from megabase.settings import settings

_PAPER: dict[str, str | int | float] = {
    "outFilterMultimapNmax": 20,
    "alignSJoverhangMin": 8,
    "alignSJDBoverhangMin": 1,
    "outFilterMismatchNmax": 999,
    "outFilterMismatchNoverReadLmax": 0.04,
    "alignIntronMin": 20,
    "alignIntronMax": 1_000_000,
    "alignMatesGapMax": 1_000_000,
    "outSAMstrandField": "intronMotif",
    "outSAMunmapped": "Within",
}


@settings
class SplicingConfig:
    """Alignment, filters and scale of splice junctions; the defaults are the paper's (section 1.6)."""

    star: Literal["required", "skip"] = "required"
    """`required`: reads are aligned again with STAR. `skip`: they are counted as their file has aligned them."""
    star_parameters: dict[str, str | int | float] = Field(default_factory=lambda: dict(_PAPER))
    """What STAR is called with, by the names of its own options."""
    sjdb_overhang: Annotated[int, Field(ge=1)] = 100
    """Bases on each side of an annotated junction in STAR's index: read length - 1 serves best."""
    min_mapping_quality: Annotated[int, Field(ge=0, le=255)] = 30
    """Reads below this mapping quality say nothing about the usage of sites."""
    min_base_quality: Annotated[int, Field(ge=0)] = 20
    """A read says something about a site only where both bases at its boundary have this quality."""
    percentile: Annotated[float, Field(ge=0, le=100)] = 90.0
    """Tables of many samples: a junction is kept where this percentile of its count over samples ..."""
    percentile_above: Annotated[float, Field(ge=0)] = 1.0
    """... is above this, and ..."""
    event_median: Annotated[float, Field(ge=0)] = 1.0
    """... the median over samples of all reads that share its donor or its acceptor is at least this."""
    within_tables: bool = True
    """Junctions of aligned reads are kept only where a junction table of the organism keeps them; without any table,
    or with `false`, by their median."""
    median_above: Annotated[float, Field(ge=0)] = 3.0
    """Aligned reads: a junction is kept where the median of its count over the condition's samples is above this."""
    total: Annotated[float, Field(gt=0)] = 1e6
    """Sum of the kept junctions that each sample is scaled to, before the mean over samples."""
    clip_percentile: Annotated[float, Field(gt=0, le=100)] = 99.99
    """A condition's junctions are clipped at this percentile, then divided by their mean."""
