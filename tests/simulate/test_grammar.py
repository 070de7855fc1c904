"""The grammar: strength follows the match, context decides, and a changed sequence has changed rates."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from megabase.simulate import rates
from megabase.simulate.activity import activity, strengths
from megabase.simulate.config import GenomeConfig, WorldConfig
from megabase.simulate.genome import Chromosome, Elements, Sites
from megabase.simulate.grammar import BIOSAMPLES, CURIES, MOTIF_INDEX, MOTIFS
from megabase.simulate.homology import build_genomes


def build(length: int, **settings: Any) -> Chromosome:
    one = GenomeConfig(experiments="none.tsv", chromosomes={"chr1": length})
    return build_genomes(WorldConfig(organisms={"human": one}, **settings))["human"][0]


@pytest.fixture(scope="module")
def chromosome() -> Chromosome:
    return build(200_000)


def consensus(name: str) -> np.ndarray:
    return np.array(["ACGT".index(base) for base in MOTIFS[name].consensus], dtype=np.uint8)


def planted(motifs: list[str]) -> Chromosome:
    """One element of perfect motifs, 30 bp apart, in a chromosome of A."""
    codes = np.zeros(4000, dtype=np.uint8)
    starts = 2000 + 30 * np.arange(len(motifs))
    for motif, start in zip(motifs, starts, strict=True):
        codes[start : start + len(MOTIFS[motif])] = consensus(motif)
    indices = np.array([MOTIF_INDEX[motif] for motif in motifs])
    ones = np.ones(len(motifs), dtype=np.int8)
    element = Elements(("enhancer",), np.array([2050]), np.ones(1, dtype=np.int8))
    none = np.full(len(motifs), -1)
    return Chromosome("chr1", codes, Sites(indices, starts, ones, 0 * none, none, none), element, ())


def test_every_motif_is_well_formed_and_samples_bind() -> None:
    rng = np.random.default_rng(0)
    for motif in MOTIFS.values():
        assert len(motif.consensus) == len(motif.conservation)
        np.testing.assert_allclose(motif.probabilities.sum(axis=1), 1)
        assert motif.strength(consensus(motif.name)[None])[0] == pytest.approx(1)
        samples = np.stack([motif.sample(rng) for _ in range(400)])
        assert motif.strength(samples).min() > 0
        frequency = (samples == consensus(motif.name)).mean(axis=0)
        np.testing.assert_allclose(frequency, motif.probabilities.max(axis=1), atol=0.1)
        bounded = np.stack([motif.sample_between(rng, 0.4, 0.7) for _ in range(20)])
        assert (np.abs(motif.strength(bounded) - 0.55) < 0.2).all()
    assert set().union(*BIOSAMPLES.values()) <= MOTIFS.keys()
    assert BIOSAMPLES.keys() == CURIES.keys()


def test_strengths_are_those_of_the_motifs_on_either_strand(chromosome: Chromosome) -> None:
    found, sites, names = strengths(chromosome), chromosome.sites, list(MOTIFS)
    for at in range(0, len(found), 7):
        motif = MOTIFS[names[sites.motif[at]]]
        codes = chromosome.codes[sites.start[at] : sites.start[at] + len(motif)]
        codes = codes if sites.strand[at] > 0 else 3 - codes[::-1]
        assert found[at] == pytest.approx(motif.strength(codes[None])[0])


def test_a_worse_match_binds_less_and_an_impossible_one_not_at_all() -> None:
    codes = np.stack([consensus("GATA1")] * 3)
    codes[1, 0] = (codes[1, 0] + 1) % 4
    codes[2, 4] = (codes[2, 4] + 1) % 4
    strength = MOTIFS["GATA1"].strength(codes)
    assert strength[0] == pytest.approx(1)
    assert 0.6 < strength[1] < 0.95
    assert strength[2] == 0


def test_a_lone_motif_opens_little_and_a_cluster_much_and_only_where_its_factor_is() -> None:
    alone, three = planted(["GATA1"]), planted(["GATA1"] * 3)
    assert activity(alone, "K562").openness[0] < 0.3
    assert activity(three, "K562").openness[0] > 0.9
    assert activity(three, "HepG2").openness[0] < 0.01
    # The best base of a fully open site is about one, as the depths of the config assume.
    assert 0.6 < rates.cut_rate(three, "K562", "DNASE").max() < 2


def test_a_mutated_motif_changes_the_rate_where_it_is(chromosome: Chromosome) -> None:
    openness = activity(chromosome, "K562").openness
    ctcf = np.flatnonzero(chromosome.sites.motif == MOTIF_INDEX["CTCF"])
    best = ctcf[np.argmax(openness[chromosome.sites.element[ctcf]])]
    start = int(chromosome.sites.start[best])
    codes = chromosome.codes.copy()
    codes[start : start + len(MOTIFS["CTCF"])] = 0
    changed = rates.cut_rate(dataclasses.replace(chromosome, codes=codes), "K562", "DNASE")
    before = rates.cut_rate(chromosome, "K562", "DNASE")
    near = slice(start - 20, start + 40)
    assert changed[near].max() < 0.2 * before[near].max()
    np.testing.assert_array_equal(
        np.delete(changed, np.s_[start - 600 : start + 700]), np.delete(before, np.s_[start - 600 : start + 700])
    )


def test_caps_mark_starts_and_coverage_stays_in_genes(chromosome: Chromosome) -> None:
    expression = activity(chromosome, "K562").expression
    assert len(chromosome.genes) > 25
    gene = chromosome.genes[int(np.argmax(expression))]
    caps = rates.cap_rate(chromosome, "K562", gene.strand)
    assert int(np.argmax(caps)) == gene.first_base
    coverage = rates.expected_coverage(chromosome, "K562", ".", 0.0)
    genic = np.zeros(len(chromosome), dtype=bool)
    for one in chromosome.genes:
        genic[one.start : one.end] = True
    assert coverage[~genic].max() < 1e-9
    assert coverage.max() == pytest.approx(expression.max(), rel=1e-6)


def test_enhancers_help_promoters_and_start_to_both_sides(chromosome: Chromosome) -> None:
    state, elements = activity(chromosome, "K562"), chromosome.elements
    enhancers = np.array([kind == "enhancer" for kind in elements.kind])
    best = int(np.argmax(np.where(enhancers, state.openness, 0)))
    near = slice(elements.anchor[best] - 150, elements.anchor[best] + 150)
    plus, minus = (rates.procap_rate(chromosome, "K562", strand)[near] for strand in "+-")
    assert np.argmax(plus) > 150 > np.argmax(minus)
    assert max(plus.max(), minus.max()) > 100 * rates.cap_rate(chromosome, "K562", "+")[near].max()
    # Without any enhancer every promoter fires less, but keeps more than half.
    codes = chromosome.codes.copy()
    lengths = np.array([len(motif) for motif in MOTIFS.values()])[chromosome.sites.motif]
    inside = (chromosome.sites.element >= 0) & enhancers[chromosome.sites.element]
    for start, length in zip(chromosome.sites.start[inside], lengths[inside], strict=True):
        codes[start : start + length] = 0
    alone = activity(dataclasses.replace(chromosome, codes=codes), "K562")
    ratio = alone.expression[state.expression > 0.05] / state.expression[state.expression > 0.05]
    assert ratio.min() > 0.59 and ratio.max() <= 1 and ratio.mean() < 0.9


@pytest.mark.parametrize("box", ["TATA", "INR"])
def test_a_promoter_without_its_box_fires_less_in_open_chromatin(chromosome: Chromosome, box: str) -> None:
    before = activity(chromosome, "K562")
    gene = int(np.argmax(before.expression))
    promoter = chromosome.genes[gene].promoter
    sites = chromosome.sites
    (site,) = np.flatnonzero((sites.element == promoter) & (sites.motif == MOTIF_INDEX[box]))
    codes = chromosome.codes.copy()
    codes[sites.start[site] + np.arange(len(MOTIFS[box]))] = 1
    after = activity(dataclasses.replace(chromosome, codes=codes), "K562")
    assert after.expression[gene] < 0.2 * before.expression[gene]
    np.testing.assert_array_equal(after.openness, before.openness)


def test_elements_do_not_overlap_genes_or_each_other(chromosome: Chromosome) -> None:
    lengths = np.array([len(motif) for motif in MOTIFS.values()])[chromosome.sites.motif]
    order = np.argsort(chromosome.sites.start)
    ends = (chromosome.sites.start + lengths)[order]
    assert (chromosome.sites.start[order][1:] >= ends[:-1]).all()


def test_genes_are_denser_where_gc_is_high() -> None:
    whole = build(2_000_000, gc=(0.3, 0.6), isochore=100_000, gene_spacing=9_000)
    gc = np.isin(whole.codes, (1, 2)).reshape(-1, 100_000).mean(axis=1)
    genes = np.bincount([gene.start // 100_000 for gene in whole.genes], minlength=len(gc))
    assert gc.max() - gc.min() > 0.1
    assert genes[gc > np.median(gc)].mean() > 1.2 * genes[gc <= np.median(gc)].mean()
