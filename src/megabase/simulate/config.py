"""What the simulated world looks like and how deeply it is sequenced."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from megabase.settings import settings

Share = Annotated[float, Field(ge=0, le=1)]
Depth = Annotated[float, Field(gt=0)]
Length = Annotated[int, Field(ge=8192)]


def _sections(length: int) -> dict[str, int]:
    """Eight chromosomes, one for each fold section."""
    return {f"chr{number}": length for number in range(1, 9)}


@settings
class GenomeConfig:
    """One organism of the world."""

    experiments: str
    """Table of the experiments that are drawn for it."""
    chromosomes: Annotated[dict[str, Length], Field(min_length=1)] = Field(default_factory=lambda: _sections(300_000))
    """Chromosomes and their lengths, in bp."""
    homologous_to: str | None = None
    """Organism whose chromosomes of the same names this one shares its ancestry with (none: its own grammar only)."""
    divergence: Share = 0.35
    """Share of bases outside motifs that differ from the homologous organism."""
    lost: Share = 0.12
    """Share of the elements between genes that the homologous organism has and this one lost; as many are gained."""
    kept_space: Share = 0.6
    """Share of the space between elements and genes that this organism has kept of the homologous one."""


def _organisms() -> dict[str, GenomeConfig]:
    return {
        "human": GenomeConfig(experiments="config/demo/human.experiments.tsv"),
        "mouse": GenomeConfig(
            experiments="config/demo/mouse.experiments.tsv", chromosomes=_sections(120_000), homologous_to="human"
        ),
    }


@settings
class WorldConfig:
    """Genomes with a known grammar and the noise of their assays. The same values give the same bytes."""

    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of the sequence, the elements in it and every draw."""
    organisms: Annotated[dict[str, GenomeConfig], Field(min_length=1)] = Field(default_factory=_organisms)
    """The organisms of the world."""
    gc: tuple[Share, Share] = (0.36, 0.50)
    """Lowest and highest GC content of the isochores; genes stand closer where it is high."""
    isochore: Annotated[int, Field(ge=1000)] = 30_000
    """Distance, in bp, over which the GC content changes from one level to another."""
    gene_spacing: Annotated[int, Field(ge=1000)] = 3_000
    """Mean distance between neighbouring genes, in bp."""
    enhancer_share: Share = 0.45
    """Share of the places between genes (one every 450 bp) that hold an enhancer."""
    insulator_share: Share = 0.16
    """Share of these places that hold a CTCF site."""
    decoy_share: Share = 0.17
    """Share of these places that hold a decoy: a motif without its context, or one whose core is broken."""
    alternative_share: Share = 0.5
    """Share of the genes of three or more exons with a cassette exon or an alternative donor or acceptor."""
    polya_share: Share = 0.5
    """Share of the genes with a second, proximal polyA site."""
    cuts: Depth = 8.0
    """Cuts expected at the best base of an open site, per file (DNase and ATAC): r = 0.83 at 1 bp for the truth."""
    cap_starts: Depth = 80.0
    """5' ends expected at the main start of the strongest promoter, per file (CAGE and PRO-cap)."""
    coverage: Depth = 30.0
    """Reads expected over an exon base of the most expressed gene, per file (RNA-seq)."""
    junction_reads: Depth = 120.0
    """Reads expected over a junction that every transcript of the most expressed gene has, per alignment file."""
    chip_reads: Depth = 1.5
    """Reads expected per 16 bp where the fold change is one (ChIP-seq)."""
    contacts: Depth = 400.0
    """Contacts expected between neighbouring bins of 1 kb, per map."""
    overdispersion: Annotated[float, Field(ge=0, lt=2)] = 0.4
    """Coefficient of variation, beyond counting, of the noise that the bases of 512 bp or of a transcript share."""
    variants: Annotated[int, Field(ge=0)] = 24
    """Variants planted per modality and organism, each with a control."""

    @model_validator(mode="after")
    def _check(self) -> WorldConfig:
        if self.enhancer_share + self.insulator_share + self.decoy_share > 1:
            raise ValueError("the shares of enhancers, insulators and decoys add up to more than one")
        if self.gc[0] > self.gc[1]:
            raise ValueError("the lowest GC content is above the highest")
        for name, genome in self.organisms.items():
            ancestor = genome.homologous_to
            if ancestor is None:
                continue
            if ancestor not in self.organisms or self.organisms[ancestor].homologous_to is not None:
                raise ValueError(f"`{name}` is homologous to `{ancestor}`, which is not an organism of its own")
            if missing := genome.chromosomes.keys() - self.organisms[ancestor].chromosomes.keys():
                raise ValueError(f"`{ancestor}` has no chromosome {', '.join(sorted(missing))} for `{name}`")
        return self
