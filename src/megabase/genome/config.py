"""Which genomes there are, and how each is split."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from megabase.bundles import BundleName
from megabase.settings import settings

Region = Annotated[str, Field(pattern=r"^[^:\s]+(:\d+-\d+)?$")]
"""A whole chromosome (`chrXVI`) or a 0-based half-open piece of one (`chr22:16050000-16697850`)."""


@settings
class Fold:
    """One division of the genome. Windows lie inside these regions; a region of one split never enters another."""

    train: list[Region]
    """Regions whose windows are trained on."""
    valid: list[Region]
    """Regions for choices made while training."""
    test: list[Region]
    """Regions scored once, in the tables of the report."""


@settings
class Organism:
    """One genome with its annotation, its source files and its splits."""

    index: Annotated[int, Field(ge=0)]
    """Row of this organism in the model's organism embeddings and heads."""
    assembly: str
    """Name of the assembly (`GRCh38`, `sacCer3`); source files that name another are refused."""
    fasta: str
    """Reference sequence, plain or (b)gzipped FASTA."""
    annotation: str
    """Genes and exons, plain or gzipped GTF."""
    excluded: str | None = None
    """BED of regions to mask (an exclusion list), or nothing. Values are never edited, only masked."""
    chromosomes: list[str]
    """Chromosomes that enter the store, by their name in the FASTA."""
    aliases: dict[str, str] = Field(default_factory=dict)
    """Other names of chromosomes in source files, to their name here (`I: chrI`)."""
    sources: str
    """The source table: one row per source file, with its track (columns: `config/README.md`)."""
    source_root: str = "."
    """Folder, inside the config's `source_root`, that this organism's paths (but for the table's own) start from."""
    truth: str | None = None
    """Folder of the true rates, in simulated worlds only; gives the best score any model could reach."""
    bundles: dict[BundleName, Annotated[int, Field(ge=0)]]
    """Number of tracks of each output type. The DAG is planned from these; the source table must agree, but 0 leaves
    an output type of the table out."""
    folds: Annotated[list[Fold], Field(min_length=1)]
    """The divisions of this genome that models are trained on, by position: fold 0, fold 1, ..."""
