"""Which genomes there are, and how each is split."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from megabase.bundles import BundleName
from megabase.settings import settings

Region = Annotated[str, Field(pattern=r"^[^:\s]+(:\d+-\d+)?$")]
"""A whole chromosome (`chrXVI`) or a 0-based half-open piece of one (`chr22:16050000-16697850`)."""


ReferenceKey = Literal["fasta", "annotation", "splice_annotation", "polya", "excluded", "intervals", "released"]
"""Keys of an organism that name files; one behind a URL is fetched."""
REFERENCE_FILES: tuple[ReferenceKey, ...] = get_args(ReferenceKey)[:-1]
"""What the reference is built from: all of them but the released table, which only comparisons read."""
GENOMES = {"GRCh38": 3_088_269_832, "GRCm38": 2_725_521_370}
"""Lengths in bp of whole genomes (autosomes, X and Y), for plans that are made before a reference is built."""
HELD_OUT_SECTIONS = ((0, 1), (3, 4), (2, 5), (6, 7))
"""Sections of (validation, test) of the four folds; the other six are trained on (paper section 2)."""
FoldNumber = Annotated[int, Field(ge=0)] | Literal["all"]
"""Position of a fold, or `all` for the whole genome, with nothing held out."""


def fold_name(fold: int | str) -> str:
    """The name of a fold in paths: `fold_0`, or `all_folds`."""
    return "all_folds" if fold == "all" else f"fold_{fold}"


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
    """Reference sequence, plain or (b)gzipped FASTA. It and the other files here may be a URL, or `references:/path`
    for a file of the portal of references."""
    annotation: str
    """Genes and exons, plain or gzipped GTF."""
    splice_annotation: str | None = None
    """GTF whose junctions STAR knows beforehand, where that is another release than `annotation`."""
    polya: str | None = None
    """Polyadenylation sites: a table with the columns chrom, position (0-based), strand, gene_id, pas_id, or
    PolyA_DB's as Borzoi distributes it."""
    checksums: dict[ReferenceKey, Annotated[str, Field(pattern=r"^(md5|sha256):[0-9a-f]+$")]] = Field(
        default_factory=dict
    )
    """`md5:` or `sha256:` and the hex digits that a fetched reference must have."""
    excluded: str | None = None
    """BED of regions to mask (an exclusion list), or nothing. Values are never edited, only masked."""
    intervals: str | None = None
    """BED of the places of windows, each with its section in the fourth column (Borzoi's `sequences_human.bed.gz`):
    windows are centred on its rows. Sections and folds then name values of that column; with neither, the sections are
    `fold0` to `fold7`."""
    released: str | None = None
    """The release's metadata of tracks (text protocol buffer) or the table made from it, which the manifest and the
    signal are compared with."""
    chromosomes: list[str]
    """Chromosomes that enter the store, by their name in the FASTA."""
    aliases: dict[str, str] = Field(default_factory=dict)
    """Other names of chromosomes in source files, to their name here (`I: chrI`)."""
    sources: str | None = None
    """The source table: one row per source file, with its track (columns: `config/README.md`). Without one the portals
    are asked, by `queries`, and their answer is pinned."""
    source_root: str = "."
    """Folder, inside the config's `source_root`, that this organism's paths (but for the table's own) start from."""
    truth: str | None = None
    """Folder of the true rates, in simulated worlds only; gives the best score any model could reach."""
    variants: str | None = None
    """VCF of planted variants with known effects, in simulated worlds only."""
    common_variants: str | None = None
    """VCF of a population's variants with their allele frequencies, plain or (b)gzipped. The scores of common ones
    among them make the quantiles of all others (`scoring.background`)."""
    bundles: dict[BundleName, Annotated[int, Field(ge=0)]]
    """Number of tracks of each output type. The DAG is planned from these; the source table must agree, but 0 leaves
    an output type of the table out. Splice junctions: one per condition; usage: two (its strands); sites: four."""
    sections: list[list[Region]] = Field(default_factory=list)
    """Eight sections of the genome, from which the paper's four folds follow; or give `folds`, or `intervals`."""
    folds: list[Fold] = Field(default_factory=list)
    """The divisions of this genome that models are trained on, by position: fold 0, fold 1, ..."""

    @property
    def tracks(self) -> int:
        """Tracks of all output types as the paper counts them: a condition's junctions are one for each strand."""
        return sum(self.bundles.values()) + self.bundles.get("SPLICE_JUNCTIONS", 0)

    @property
    def divisions(self) -> list[Fold]:
        """The folds as given, or those that follow from the sections."""
        sections = self.sections or [[f"fold{number}"] for number in range(2 * len(HELD_OUT_SECTIONS))]
        return self.folds or [
            Fold(train=_without(sections, valid, test), valid=sections[valid], test=sections[test])
            for valid, test in HELD_OUT_SECTIONS
        ]

    def fold(self, number: int | str) -> Fold:
        """One fold; for `all`, all is trained on, fold 0's held-out regions too."""
        if number != "all":
            return self.divisions[int(number)]
        first = self.divisions[0]
        return Fold(train=[*first.train, *first.valid, *first.test], valid=first.valid, test=first.test)

    @model_validator(mode="after")
    def _check(self) -> Organism:
        given = bool(self.folds) + bool(self.sections)
        if given > 1 or not (given or self.intervals):
            raise ValueError("give either `folds` or `sections`")
        if self.sections and len(self.sections) != 2 * len(HELD_OUT_SECTIONS):
            raise ValueError(f"{len(self.sections)} sections: there must be {2 * len(HELD_OUT_SECTIONS)}")
        conditions = self.bundles.get("SPLICE_JUNCTIONS", 0)
        follows = {"SPLICE_SITES": 4 * bool(conditions), "SPLICE_SITE_USAGE": 2 * conditions}
        for bundle, tracks in follows.items():
            if self.bundles.get(bundle, 0) != tracks:  # type: ignore[call-overload]
                raise ValueError(f"{conditions} SPLICE_JUNCTIONS make {tracks} tracks of {bundle}")
        return self


def _without(sections: list[list[str]], *held: int) -> list[str]:
    """The regions of all sections but these."""
    return list(itertools.chain.from_iterable(own for number, own in enumerate(sections) if number not in held))
