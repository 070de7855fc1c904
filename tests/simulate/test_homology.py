"""The second organism: homologous chromosomes with the same genes, other sequence, less space, other elements."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from megabase.simulate.activity import activity, strengths
from megabase.simulate.config import GenomeConfig, WorldConfig
from megabase.simulate.edits import mutate, piece
from megabase.simulate.genome import Chromosome
from megabase.simulate.grammar import MOTIFS
from megabase.simulate.homology import build_genomes
from megabase.simulate.rates import cut_rate
from megabase.simulate.splicing import isoforms

CONFIG = WorldConfig(
    organisms={
        "mouse": GenomeConfig(
            experiments="m.tsv", chromosomes={"chr2": 90_000, "chr1": 260_000}, homologous_to="human"
        ),
        "human": GenomeConfig(experiments="h.tsv", chromosomes={"chr1": 200_000, "chr2": 200_000}),
    }
)


@pytest.fixture(scope="module")
def genomes() -> dict[str, list[Chromosome]]:
    return build_genomes(CONFIG)


@pytest.fixture(scope="module")
def pair(genomes: dict[str, list[Chromosome]]) -> tuple[Chromosome, Chromosome]:
    return genomes["human"][1], genomes["mouse"][0]


def test_chromosomes_have_their_lengths_and_order(genomes: dict[str, list[Chromosome]]) -> None:
    assert list(genomes) == ["mouse", "human"]
    assert [(one.name, len(one)) for one in genomes["mouse"]] == [("chr2", 90_000), ("chr1", 260_000)]
    for one in genomes["mouse"] + genomes["human"]:
        lengths = np.array([len(motif) for motif in MOTIFS.values()])[one.sites.motif]
        assert one.sites.start.min() >= 0 and (one.sites.start + lengths).max() <= len(one)
        order = np.argsort(one.sites.start)
        assert (one.sites.start[order][1:] >= (one.sites.start + lengths)[order][:-1]).all()


def test_genes_are_the_same_in_the_same_order_and_closer(pair: tuple[Chromosome, Chromosome]) -> None:
    human, mouse = pair
    ids = [gene.gene_id for gene in mouse.genes]
    assert ids == [gene.gene_id for gene in human.genes][: len(ids)] and len(ids) > 10
    for old, new in zip(human.genes, mouse.genes, strict=False):
        assert old.strand == new.strand
        assert [end - start for start, end in old.exons] == [end - start for start, end in new.exons]
        assert mouse.elements.kind[new.promoter] == "promoter"
        assert mouse.elements.anchor[new.promoter] == new.first_base
    assert mouse.genes[-1].start < 0.9 * human.genes[len(ids) - 1].start


def test_sequence_has_diverged_outside_motifs_and_instances_are_others(pair: tuple[Chromosome, Chromosome]) -> None:
    human, mouse = pair
    old, new = human.genes[3], mouse.genes[3]
    left, right = (one.codes[gene.start : gene.end] for one, gene in ((human, old), (mouse, new)))
    assert 0.5 < (left == right).mean() < 0.8
    sites = [one.sites.of("DONOR", "ACCEPTOR") & (one.sites.gene >= 0) for one in pair]
    count = int(sites[1].sum())
    before, after = strengths(human)[sites[0]][:count], strengths(mouse)[sites[1]]
    np.testing.assert_array_equal(human.sites[sites[0]].exon[:count], mouse.sites[sites[1]].exon)
    assert np.corrcoef(before, after)[0, 1] > 0.8
    assert np.mean(before == after) < 0.5


def test_some_elements_are_lost_and_others_gained(pair: tuple[Chromosome, Chromosome]) -> None:
    human, mouse = pair
    assert {"enhancer", "promoter", "insulator", "decoy"} == set(mouse.elements.kind)
    shared = piece(human, 0, human.genes[len(mouse.genes) - 1].end)
    counts = Counter(shared.elements.kind), Counter(mouse.elements.kind)
    assert counts[0]["enhancer"] != counts[1]["enhancer"]
    assert 0.7 < sum(counts[1].values()) / sum(counts[0].values()) < 1.3
    open_ = activity(mouse, "MEL").openness[[kind == "enhancer" for kind in mouse.elements.kind]]
    assert 0.2 < (open_ > 0.5).mean() < 0.8


def test_expression_is_conserved_but_not_equal(genomes: dict[str, list[Chromosome]]) -> None:
    human, mouse = genomes["human"][0], genomes["mouse"][1]
    rates = activity(human, "K562").expression[: len(mouse.genes)], activity(mouse, "MEL").expression
    assert len(human.genes) == len(mouse.genes)
    assert 0.5 < np.corrcoef(*rates)[0, 1] < 0.999


def test_the_same_seed_gives_the_same_genomes_and_another_seed_others(genomes: dict[str, list[Chromosome]]) -> None:
    again, other = build_genomes(CONFIG), build_genomes(dataclasses.replace(CONFIG, seed=2))
    for name, chromosomes in genomes.items():
        for first, second, third in zip(chromosomes, again[name], other[name], strict=True):
            np.testing.assert_array_equal(first.codes, second.codes)
            assert first.genes == second.genes != third.genes
            assert not np.array_equal(first.codes, third.codes)


def test_a_piece_has_the_rates_of_the_whole(pair: tuple[Chromosome, Chromosome]) -> None:
    human, _ = pair
    part = piece(human, 50_000, 90_000)
    inner = slice(3_000, 37_000)
    whole = cut_rate(human, "K562", "DNASE")[50_000:90_000]
    np.testing.assert_allclose(cut_rate(part, "K562", "DNASE")[inner], whole[inner], rtol=1e-9)
    assert [gene.gene_id for gene in part.genes] == [
        gene.gene_id for gene in human.genes if gene.start - 400 > 50_000 and gene.end + 100 < 90_000
    ]


def test_a_mutated_chromosome_moves_what_lies_behind(pair: tuple[Chromosome, Chromosome]) -> None:
    human, _ = pair
    gene = human.genes[5]
    at = (gene.exons[0][1] + gene.exons[1][0]) // 2 + 60
    changed = mutate(human, at, human.codes[at : at + 1], np.append(human.codes[at], [0, 1, 2]).astype(np.uint8))
    assert len(changed) == len(human) + 3
    assert changed.genes[5].exons[0] == gene.exons[0]
    assert changed.genes[5].exons[1] == tuple(edge + 3 for edge in gene.exons[1])
    for before, after in zip(isoforms(human, "K562"), isoforms(changed, "K562"), strict=True):
        assert after.abundance == pytest.approx(before.abundance, rel=1e-3)
        assert [end - start for start, end in after.introns][1:] == [end - start for start, end in before.introns][1:]
    with pytest.raises(ValueError, match="another sequence"):
        mutate(human, at, (human.codes[at : at + 1] + 1) % 4, human.codes[:1])


@pytest.mark.parametrize(
    ("organisms", "said"),
    [
        ({"a": GenomeConfig(experiments="x", homologous_to="b")}, "not an organism of its own"),
        (
            {
                "a": GenomeConfig(experiments="x", chromosomes={"chr1": 9000}),
                "b": GenomeConfig(experiments="x", chromosomes={"chr9": 9000}, homologous_to="a"),
            },
            "no chromosome chr9",
        ),
    ],
)
def test_an_organism_needs_its_relative(organisms: dict[str, GenomeConfig], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        WorldConfig(organisms=organisms)


def test_shares_of_elements_cannot_exceed_one() -> None:
    with pytest.raises(ValueError, match="more than one"):
        WorldConfig(enhancer_share=0.7, insulator_share=0.7)


def test_a_chromosome_too_short_for_a_gene_is_still_made() -> None:
    short = {
        "human": GenomeConfig(experiments="h.tsv", chromosomes={"chr1": 8192}),
        "mouse": GenomeConfig(experiments="m.tsv", chromosomes={"chr1": 9000}, homologous_to="human"),
    }
    for chromosomes in build_genomes(WorldConfig(organisms=short)).values():
        assert isoforms(chromosomes[0], "K562") == [] or chromosomes[0].genes
        assert len(cut_rate(chromosomes[0], "K562", "DNASE")) in (8192, 9000)
