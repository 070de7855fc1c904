"""What the annotation says around a variant: genes, exons, splice sites, polyadenylation sites."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from megabase.genome.annotation import unversioned
from megabase.genome.regions import Region
from megabase.scoring.polyadenylation import UPSTREAM
from megabase.scoring.vcf import Variant

_SHORT = 64
"""Bases of a variant that are usual: longer ones may touch more genes."""
_SHARE = 0.8
"""Least share of a gene's polyadenylation sites on the window's side of each of its ends."""


@dataclasses.dataclass(frozen=True)
class Gene:
    """A gene; 0-based half-open."""

    id: str
    start: int
    end: int
    strand: str
    kind: str
    """Its type, such as `protein_coding`."""
    name: str = ""
    """Its symbol."""


class Annotation:
    """The tables of a reference folder, by chromosome."""

    def __init__(self, genes: pd.DataFrame, exons: pd.DataFrame, polya: pd.DataFrame | None = None) -> None:
        """`genes`, `exons`: as `megabase.genome.reference.Reference` gives them. `polya`: chrom, position (0-based),
        strand, gene_id."""
        self._genes = {str(chrom): _Genes(rows) for chrom, rows in genes.groupby("chrom", sort=False)}
        self._exons = {str(chrom): _Exons(rows) for chrom, rows in exons.groupby("chrom", sort=False)}
        self._polya: dict[tuple[str, str, str], np.ndarray] = {}
        if polya is not None:
            keys = [polya["chrom"], polya["strand"], polya["gene_id"].map(unversioned)]
            self._polya = {
                (str(chrom), str(strand), str(gene)): np.unique(positions)
                for (chrom, strand, gene), positions in polya.groupby(keys, sort=False)["position"]
            }

    @staticmethod
    def open(folder: str | Path) -> Annotation:
        """Of a reference folder; without polyadenylation sites where it has none."""
        folder = Path(folder)
        genes, exons = (pd.read_parquet(folder / f"{name}.parquet") for name in ("genes", "exons"))
        polya = folder / "polya.parquet"
        return Annotation(genes, exons, pd.read_parquet(polya) if polya.exists() else None)

    def most(self, length: int) -> tuple[int, int, int]:
        """The most there is anywhere: genes that start in a window of `length` bp, genes around a short variant, and
        polyadenylation sites of those."""
        genes = self._genes.values()
        sites = [
            [len(self._polya.get((chrom, gene.strand, unversioned(gene.id)), ())) for gene in own.genes]
            for chrom, own in self._genes.items()
        ]
        return (
            max((exons.most(length) for exons in self._exons.values()), default=0),
            max((own.most(np.ones(len(own.genes), int)) for own in genes), default=0),
            max((own.most(np.array(counts, int)) for own, counts in zip(genes, sites, strict=True)), default=0),
        )

    def bodies(self, variant: Variant) -> list[Gene]:
        """The genes around a variant: those that REF, or as many bases as ALT has, overlap."""
        last = max(variant.end, variant.start + len(variant.alt))
        genes = self._genes.get(variant.chrom)
        return [] if genes is None else genes.overlapping(variant.start, last)

    def named(self, name: str) -> tuple[str, Gene] | None:
        """The gene of this identifier, with or without its version, or symbol, and its chromosome; the first of
        several."""
        wanted = unversioned(name)
        for chrom, own in self._genes.items():
            for gene in own.genes:
                if name in (gene.id, gene.name) or unversioned(gene.id) in (name, wanted):
                    return chrom, gene
        return None

    def starting(self, region: Region) -> list[tuple[Gene, Bool[np.ndarray, " S"]]]:
        """The genes of which a transcript starts in the region, and the exons of those transcripts there."""
        exons, genes = self._exons.get(region.chrom), self._genes.get(region.chrom)
        if exons is None or genes is None:
            return []
        found: dict[str, np.ndarray] = {}
        for gene, start, end in exons.of_transcripts_starting(region):
            if gene not in found:
                found[gene] = np.zeros(region.end - region.start, bool)
            found[gene][max(start - region.start, 0) : max(end - region.start, 0)] = True
        return [(gene, found[gene.id]) for gene in genes.named(found) if found[gene.id].any()]

    def ends(self, variant: Variant, region: Region) -> list[tuple[Gene, Int[np.ndarray, " sites"]]]:
        """The genes around a variant with at least two polyadenylation sites in the region and at most a fifth of them
        beyond either end, and those sites in ascending order."""
        found = []
        for gene in self.bodies(variant):
            sites = self._polya.get((variant.chrom, gene.strand, unversioned(gene.id)))
            if sites is None:
                continue
            after, before = sites >= region.start, sites + 1 < region.end
            inside = sites[after & before]
            if len(inside) >= 2 and after.mean() >= _SHARE and before.mean() >= _SHARE:
                found.append((gene, inside))
        return found

    def splice_sites(self, region: Region) -> Bool[np.ndarray, "S 4"]:
        """The exon ends next to introns, by splice class: donor +, acceptor +, donor -, acceptor -."""
        made = np.zeros((region.end - region.start, 4), bool)
        if region.chrom in self._exons:
            for kind, positions in enumerate(self._exons[region.chrom].sites):
                first, last = np.searchsorted(positions, [region.start, region.end])
                made[positions[first:last] - region.start, kind] = True
        return made


class _Genes:
    """Genes of one chromosome, by start."""

    def __init__(self, rows: pd.DataFrame) -> None:
        rows = rows.sort_values(["start", "end"], kind="stable")
        named = rows.assign(gene_name=rows["gene_name"] if "gene_name" in rows else rows["gene_id"])
        columns = (named[name].tolist() for name in ("gene_id", "start", "end", "strand", "gene_type", "gene_name"))
        self.genes = [Gene(*values) for values in zip(*columns, strict=True)]
        self.starts, self.ends = rows["start"].to_numpy(), rows["end"].to_numpy()
        self.places = {gene.id: i for i, gene in enumerate(self.genes)}

    def most(self, weights: Int[np.ndarray, " genes"]) -> int:
        """The largest sum of weights of the genes that one short variant touches."""
        if not len(weights):
            return 0
        order = np.argsort(self.ends, kind="stable")
        begun = np.concatenate([[0], np.cumsum(weights)])[np.searchsorted(self.starts, self.starts + _SHORT)]
        over = np.concatenate([[0], np.cumsum(weights[order])])[np.searchsorted(self.ends[order], self.starts, "right")]
        return int((begun - over).max())

    def overlapping(self, start: int, end: int) -> list[Gene]:
        before = np.searchsorted(self.starts, end)
        return [self.genes[i] for i in np.flatnonzero(self.ends[:before] > start)]

    def named(self, names: dict[str, np.ndarray]) -> list[Gene]:
        return [self.genes[i] for i in sorted(self.places[name] for name in names if name in self.places)]


class _Exons:
    """Exons of one chromosome, by the start of their transcript."""

    def __init__(self, exons: pd.DataFrame) -> None:
        by_transcript = exons.groupby("transcript_id", sort=False)
        first, last = by_transcript["start"].transform("min"), by_transcript["end"].transform("max")
        plus = exons["strand"] == "+"
        rows = exons.assign(first=np.where(plus, first, last - 1)).sort_values("first", kind="stable")
        self.first = rows["first"].to_numpy()
        self.rows = list(zip(rows["gene_id"], rows["start"].tolist(), rows["end"].tolist(), strict=True))
        left, right = exons["start"] > first, exons["end"] < last
        self.sites = [
            np.unique(exons["end"][plus & right] - 1),
            np.unique(exons["start"][plus & left]),
            np.unique(exons["start"][~plus & left]),
            np.unique(exons["end"][~plus & right] - 1),
        ]

    def most(self, length: int) -> int:
        """The largest number of genes with a transcript that starts within `length` bp."""
        starts = sorted({(int(first), gene) for first, (gene, _, _) in zip(self.first, self.rows, strict=True)})
        inside: Counter[str] = Counter()
        left = most = 0
        for place, gene in starts:
            inside[gene] += 1
            while starts[left][0] <= place - length:
                gone = starts[left][1]
                inside[gone] -= 1
                if not inside[gone]:
                    del inside[gone]
                left += 1
            most = max(most, len(inside))
        return most

    def of_transcripts_starting(self, region: Region) -> list[tuple[str, int, int]]:
        first, last = np.searchsorted(self.first, [region.start, region.end])
        return self.rows[first:last]


def pas_mask(site: int, strand: str, region: Region) -> Bool[np.ndarray, " S"]:
    """The bases before a polyadenylation site, itself included, within the region."""
    start, end = (site - UPSTREAM + 1, site + 1) if strand == "+" else (site, site + UPSTREAM)
    mask = np.zeros(region.end - region.start, bool)
    mask[max(start - region.start, 0) : max(end - region.start, 0)] = True
    return mask
