"""Splicing is read from the sequence: what a broken or stronger site does to exons, junctions and polyA sites."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from megabase.simulate import rates
from megabase.simulate.activity import activity
from megabase.simulate.config import GenomeConfig, WorldConfig
from megabase.simulate.genome import Chromosome, Gene
from megabase.simulate.grammar import MOTIF_INDEX, MOTIFS
from megabase.simulate.homology import build_genomes
from megabase.simulate.splicing import Isoform, isoforms, junction_rates, site_usage


@pytest.fixture(scope="module")
def chromosome() -> Chromosome:
    one = GenomeConfig(experiments="none.tsv", chromosomes={"chr1": 400_000})
    return build_genomes(WorldConfig(organisms={"human": one}))["human"][0]


def of(gene: Gene, chromosome: Chromosome, biosample: str = "K562") -> list[Isoform]:
    return [one for one in isoforms(chromosome, biosample) if one.gene_id == gene.gene_id]


def expressed(chromosome: Chromosome, biosample: str = "K562") -> list[tuple[int, Gene]]:
    rate = activity(chromosome, biosample).expression
    return [(number, gene) for number, gene in enumerate(chromosome.genes) if rate[number] > 0.05]


def without(chromosome: Chromosome, motif: str, gene: int, exon: int) -> Chromosome:
    """All bases of the motifs of an exon (or polyA site) are A."""
    sites, codes = chromosome.sites, chromosome.codes.copy()
    found = np.flatnonzero((sites.motif == MOTIF_INDEX[motif]) & (sites.gene == gene) & (sites.exon == exon))
    assert len(found)
    for start in sites.start[found]:
        codes[start : start + len(MOTIFS[motif])] = 0 if motif != "POLYA" else 1
    return dataclasses.replace(chromosome, codes=codes)


def test_isoforms_share_the_expression_of_their_gene_and_follow_its_exons(chromosome: Chromosome) -> None:
    state = activity(chromosome, "K562")
    kinds = {choice.kind for gene in chromosome.genes for choice in gene.alternatives}
    assert kinds == {"cassette", "donor", "acceptor"}
    assert {len(gene.polya) for gene in chromosome.genes} == {1, 2}
    for number, gene in expressed(chromosome):
        found = of(gene, chromosome)
        assert sum(one.abundance for one in found) == pytest.approx(state.expression[number], rel=0.05)
        for one in found:
            assert gene.start <= one.exons[0][0] and one.exons[-1][1] <= gene.end
            assert all(start < end for start, end in one.exons)
            assert all(end - start > 200 for start, end in one.introns)
            assert one.polya in gene.polya
            assert one.polya == (one.exons[-1][1] - 1 if gene.strand == "+" else one.exons[0][0])
        best = max(found, key=lambda one: one.abundance)
        assert best.exons in gene.transcripts or len(gene.polya) > 1


def test_junctions_lie_between_gt_and_ag_and_most_are_annotated(chromosome: Chromosome) -> None:
    table = junction_rates(chromosome, "K562")
    text = "".join("ACGT"[code] for code in chromosome.codes)
    assert not table.duplicated(["start", "end"]).any()
    for start, end, strand in table[["start", "end", "strand"]].itertuples(index=False):
        edges = text[start : start + 2], text[end - 2 : end]
        assert edges == (("GT", "AG") if strand == "+" else ("CT", "AC"))
    known = {
        (left, right)
        for gene in chromosome.genes
        for exons in gene.transcripts
        for (_, left), (right, _) in itertools.pairwise(exons)
    }
    places = list(zip(table["start"], table["end"], strict=True))
    assert table["value"][[place in known for place in places]].sum() > 0.95 * table["value"].sum()


def test_an_inner_exon_without_its_donor_is_skipped(chromosome: Chromosome) -> None:
    number, gene = next(one for one in expressed(chromosome) if len(one[1].exons) > 2 and not one[1].alternatives)
    changed = without(chromosome, "DONOR", number, 1)
    included = [gene.exons[1] in one.exons for one in of(gene, changed)]
    assert not any(included)
    assert any(gene.exons[1] in one.exons for one in of(gene, chromosome))
    skipped = {intron for one in of(gene, changed) for intron in one.introns}
    assert (gene.exons[0][1], gene.exons[2][0]) in skipped
    others = [one for one in isoforms(changed, "K562") if one.gene_id != gene.gene_id]
    assert others == [one for one in isoforms(chromosome, "K562") if one.gene_id != gene.gene_id]


def test_the_first_intron_stays_without_its_donor(chromosome: Chromosome) -> None:
    number, gene = next(one for one in expressed(chromosome) if one[1].strand == "+" and not one[1].alternatives)
    found = of(gene, without(chromosome, "DONOR", number, 0))
    assert all(one.exons[0] != gene.exons[0] and one.exons[0][0] == gene.start for one in found)


def test_a_splicing_factor_keeps_the_exons_that_have_its_motif(chromosome: Chromosome) -> None:
    sites = chromosome.sites
    helped = sites.gene[sites.motif == MOTIF_INDEX["SPLICE_ENHANCER"]]
    assert len(helped) > 3
    kept = {}
    for biosample in ("K562", "HepG2"):
        shares = []
        for number in helped:
            gene = chromosome.genes[number]
            exon = gene.exons[gene.alternatives[0].exon]
            found = of(gene, chromosome, biosample)
            total = sum(one.abundance for one in found)
            shares.append(sum(one.abundance for one in found if exon in one.exons) / total)
        kept[biosample] = np.array(shares)
    assert (kept["K562"] >= kept["HepG2"]).all()
    assert (kept["K562"] - kept["HepG2"]).max() > 0.3


def test_usage_is_a_share_and_full_at_constitutive_sites(chromosome: Chromosome) -> None:
    table = site_usage(chromosome, "K562")
    assert table["value"].between(0, 1).all()
    junctions = junction_rates(chromosome, "K562")
    plus = junctions[junctions["strand"] == "+"]
    donors = table[(table["strand"] == "+") & (table["kind"] == "donor")]
    assert set(donors["position"]) == set(plus["start"] - 1)
    acceptors = table[(table["strand"] == "-") & (table["kind"] == "acceptor")]
    assert set(acceptors["position"]) == set(junctions.loc[junctions["strand"] == "-", "start"] - 1)
    assert table["value"].median() > 0.97
    assert 0.05 < (table["value"] < 0.8).mean() < 0.4


def test_a_broken_polya_signal_moves_the_end(chromosome: Chromosome) -> None:
    number, gene = next(one for one in expressed(chromosome) if len(one[1].polya) == 2)
    assert {one.polya for one in of(gene, chromosome)} == set(gene.polya)
    for broken, left in ((0, 1), (1, 0)):
        assert {one.polya for one in of(gene, without(chromosome, "POLYA", number, broken))} == {gene.polya[left]}
    both = without(without(chromosome, "POLYA", number, 0), "POLYA", number, 1)
    assert activity(both, "K562").expression[number] < 0.01
    assert activity(both, "K562").initiation[number] == activity(chromosome, "K562").initiation[number]


def test_coverage_steps_down_at_the_proximal_polya_site(chromosome: Chromosome) -> None:
    gene = next(gene for _, gene in expressed(chromosome) if len(gene.polya) == 2 and gene.strand == "+")
    coverage = rates.expected_coverage(chromosome, "K562", "+", 0.0)
    proximal, distal = gene.polya
    share = sum(one.abundance for one in of(gene, chromosome) if one.polya == distal)
    assert coverage[proximal + 1 : distal - 100].mean() == pytest.approx(share, rel=0.02)
    assert coverage[proximal - 100] > 1.1 * share


def test_decoys_look_like_splice_sites_and_make_no_junction(chromosome: Chromosome) -> None:
    sites = chromosome.sites
    decoys = sites.of("DONOR", "ACCEPTOR") & (sites.gene < 0)
    real = sites.of("DONOR", "ACCEPTOR") & (sites.gene >= 0)
    strength = activity(chromosome, "K562").strength
    orphans = decoys & (strength > 0.6)
    assert 0.2 * real.sum() < decoys.sum() < real.sum()
    assert 0 < orphans.sum() < 0.25 * decoys.sum()
    assert np.median(strength[decoys]) < 0.4 < np.quantile(strength[real], 0.2)
    used = site_usage(chromosome, "K562")["position"].to_numpy()
    for start in sites.start[decoys]:
        assert not ((used >= start) & (used < start + 13)).any()
