"""Where the portals are, how politely they are asked, and what an organism asks them for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from megabase.bundles import BundleName
from megabase.settings import settings

PortalName = Literal["encode", "fdn", "fantom5", "recount3", "gtex", "references"]
"""`fdn` is the 4D Nucleome data portal (4DN); `references` is any place that serves static files."""

BASE_URLS: dict[str, str] = {
    "encode": "https://www.encodeproject.org",
    "fdn": "https://data.4dnucleome.org",
    "fantom5": "https://fantom.gsc.riken.jp/5/datafiles",
    "recount3": "https://recount-opendata.s3.amazonaws.com/recount3/release",
    "gtex": "https://storage.googleapis.com/adult-gtex",
    "references": "https://ftp.ebi.ac.uk/pub/databases/gencode",
}
"""The portals' own addresses (data reference 1.1-1.5; not checked against the live portals)."""


@settings
class PortalsConfig:
    """How portals are asked and files fetched. Nothing here changes which tracks there are."""

    base_urls: dict[PortalName, str] = Field(default_factory=dict)
    """Addresses that stand in for the portals' own: mirrors, by portal."""
    requests_per_second: Annotated[float, Field(gt=0)] = 5.0
    """Requests to one host, by all jobs on this machine together (ENCODE allows 10 a second)."""
    parallel: Annotated[int, Field(ge=1)] = 4
    """Files fetched from one host at the same time, by all jobs on this machine together."""
    retries: Annotated[int, Field(ge=0)] = 6
    """Attempts after the first that failed for a reason that may pass."""
    backoff: Annotated[float, Field(gt=0)] = 1.0
    """Seconds before the first retry; doubled for each further one, and at most five minutes."""
    timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds without a byte, or with less than 5 kB for each, after which a connection counts as lost."""
    raw: str = "raw"
    """Folder of fetched files, inside the dataset's."""
    keep_raw: bool = False
    """Keep fetched files after use. Otherwise each is deleted once its track is built, so that the disk stays small."""
    prefer_s3: bool = False
    """Fetch ENCODE's files from its public bucket, which has no request limit, instead of through the portal."""
    audits: str | None = None
    """Table of the audit categories that exclude an experiment of ENCODE; none: the repository's own."""


@settings
class Query:
    """One question to one portal, for the tracks of one output type. Tracks follow in the order of the queries; within
    one they are sorted by biosample (in the order given here, else by ontology term), assay, target and strand."""

    portal: Literal["encode", "fdn", "fantom5", "recount3", "gtex"]
    """The portal that is asked."""
    bundle: BundleName
    """The output type of the tracks."""
    assays: list[str] = Field(default_factory=list)
    """Assay titles in the portal's words; empty: those of the paper (sections 1.5 and 1.7)."""
    biosamples: list[str] = Field(default_factory=list)
    """Names or ontology terms of biosamples, all of which must be found; empty: all there are."""
    targets: list[str] = Field(default_factory=list)
    """Labels of ChIP targets; empty: all there are."""
    accessions: list[str] = Field(default_factory=list)
    """Exactly these files (ENCODE, 4DN), experiments (ENCODE: the best files of each) or libraries (FANTOM5), in this
    order, past all filters but revocation."""
    without: list[str] = Field(default_factory=list)
    """Files or libraries to leave out whatever the filters say: those that lack a chromosome (paper section 1.4)."""
    assembly: str | None = None
    """The portal's name of the assembly; none: the organism's `assembly`."""
    species: str | None = None
    """First word of FANTOM5's folders and of recount3's tree (`human`); none: the organism's name."""
    folder: str = "reprocessed/{assembly}_v9/basic"
    """FANTOM5's release, with the assembly in its place. Pin a version: `_latest` moves."""
    ontology: str = "latest/extra/Ontology/ff-phase2-170801.obo.txt"
    """FANTOM5's ontology of samples."""
    categories: list[str] = Field(default_factory=lambda: ["cell_line", "primary_cell", "tissue"])
    """FANTOM5's kinds of sample; time courses and fractionations are no baseline samples."""
    projects: list[str] = Field(default_factory=list)
    """recount3's projects (for GTEx: tissues in capitals, `LIVER`)."""
    curies: dict[str, str] = Field(default_factory=dict)
    """Ontology terms by biosample, where the portal's own metadata names none."""
    statuses: Annotated[list[str], Field(min_length=1)] = Field(default_factory=lambda: ["released"])
    """Statuses of files and experiments that count."""
    processed_since: str | None = "2020-01-01"
    """Files of ENCODE made before this day are left out (paper section 1.4)."""
    min_read_length: Annotated[int, Field(ge=0)] | None = None
    """Shortest mapped reads, in bp; none: the paper's threshold of the output type (section 1.5)."""
    min_frip: Annotated[float, Field(ge=0, le=1)] | None = None
    """Fraction of reads in peaks that must be exceeded; none: the paper's of the output type."""
    keep_unknown_frip: bool = True
    """Keep DNase and ATAC files for which the portal records no fraction of reads in peaks."""
    baseline: bool = True
    """Only untreated samples, not genetically modified (ChIP_TF may be), not arrested in the cell cycle."""
    audited: bool = True
    """Only experiments without a critical audit; ChIP may pass by its fraction of reads in peaks instead."""
    prioritised: bool = True
    """Of several experiments for one track keep those that are first by the paper's order (section 1.4). Stranded and
    unstranded files are different tracks, and so are genetically modified samples of ChIP_TF."""
    min_bytes: Annotated[int, Field(ge=0)] | None = None
    """Smallest contact map, in bytes; none: the paper's 7.74 GB (section 1.7)."""
    minus_sign: Literal["", "negative"] = ""
    """`negative`: files of the minus strand hold negated values (some PRO-cap bigWigs)."""
    sizes: bool = True
    """Ask for the size of each file whose portal publishes none in its listing (FANTOM5, recount3, GTEx)."""

    @model_validator(mode="after")
    def _check(self) -> Query:
        made = {
            "encode": ("ATAC", "DNASE", "RNA_SEQ", "PROCAP", "CHIP_HISTONE", "CHIP_TF", "SPLICE_JUNCTIONS"),
            "fdn": ("CONTACT_MAPS",),
            "fantom5": ("CAGE",),
            "recount3": ("RNA_SEQ", "SPLICE_JUNCTIONS"),
            "gtex": ("SPLICE_JUNCTIONS",),
        }[self.portal]
        if self.bundle not in made:
            raise ValueError(f"{self.portal} has no {self.bundle}; it has {', '.join(made)}")
        if self.portal == "recount3" and not self.projects:
            raise ValueError("name the `projects` of recount3")
        return self
