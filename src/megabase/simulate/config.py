"""What the simulated world looks like and how deeply it is sequenced."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from megabase.settings import settings

Share = Annotated[float, Field(ge=0, le=1)]
Depth = Annotated[float, Field(gt=0)]


@settings
class WorldConfig:
    """A genome with a known grammar and the noise of its assays. The same values give the same bytes."""

    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of the sequence, the elements in it and every draw."""
    chromosomes: Annotated[dict[str, Annotated[int, Field(ge=8192)]], Field(min_length=1)] = Field(
        default_factory=lambda: {"chr1": 750_000, "chr2": 500_000}
    )
    """Chromosomes and their lengths, in bp."""
    gc: tuple[Share, Share] = (0.36, 0.50)
    """Lowest and highest GC content of the isochores; genes stand closer where it is high."""
    isochore: Annotated[int, Field(ge=1000)] = 30_000
    """Distance, in bp, over which the GC content changes from one level to another."""
    gene_spacing: Annotated[int, Field(ge=1000)] = 3_000
    """Mean distance between neighbouring genes, in bp."""
    enhancer_share: Share = 0.4
    """Share of the places between genes (one every 450 bp) that hold an enhancer."""
    insulator_share: Share = 0.25
    """Share of these places that hold a CTCF site."""
    decoy_share: Share = 0.15
    """Share of these places that hold a decoy: a motif without its context, or one whose core is broken."""
    cuts: Depth = 8.0
    """Cuts expected at the best base of an open site, per file (DNase and ATAC): r = 0.83 at 1 bp for the truth."""
    cap_starts: Depth = 80.0
    """5' ends expected at the main start of the strongest promoter, per file (CAGE)."""
    coverage: Depth = 30.0
    """Reads expected over an exon base of the most expressed gene, per file (RNA-seq)."""
    chip_reads: Depth = 1.5
    """Reads expected per 16 bp where the fold change is one (ChIP-seq)."""
    overdispersion: Annotated[float, Field(ge=0, lt=2)] = 0.3
    """Coefficient of variation, beyond counting, of the noise that the bases of 512 bp or of a transcript share."""

    @model_validator(mode="after")
    def _check(self) -> WorldConfig:
        if self.enhancer_share + self.insulator_share + self.decoy_share > 1:
            raise ValueError("the shares of enhancers, insulators and decoys add up to more than one")
        if self.gc[0] > self.gc[1]:
            raise ValueError("the lowest GC content is above the highest")
        return self
