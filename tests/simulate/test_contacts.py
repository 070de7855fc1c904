"""Contacts: decay, boundaries, and loops that need two occupied sites which face each other."""

from __future__ import annotations

import numpy as np
import pytest

from megabase.simulate.activity import activity
from megabase.simulate.config import GenomeConfig, WorldConfig
from megabase.simulate.contacts import BIN, OFFSETS, compartment_of, expected_map, log_change, log_ratio
from megabase.simulate.genome import Chromosome, Elements, Sites
from megabase.simulate.grammar import MOTIF_INDEX, MOTIFS
from megabase.simulate.homology import build_genomes

LEFT, RIGHT = 20_500, 28_500


def planted(strands: tuple[int, ...], places: tuple[int, ...], helped: bool = False) -> Chromosome:
    """Perfect CTCF motifs in a chromosome of A; `helped`: poor ones, each beside two GATA1 motifs."""
    codes = np.zeros(50_000, dtype=np.uint8)
    rows = []
    for element, (strand, place) in enumerate(zip(strands, places, strict=True)):
        names = ["CTCF", "GATA1", "GATA1"] if helped else ["CTCF"]
        for number, name in enumerate(names):
            motif = np.array(["ACGT".index(base) for base in MOTIFS[name].consensus], dtype=np.uint8)
            if helped and name == "CTCF":
                motif[[0, 1, 2, 3, 16, 17]] = 0
            at = place + 40 * number - len(motif) // 2
            codes[at : at + len(motif)] = motif if strand > 0 else 3 - motif[::-1]
            rows.append((MOTIF_INDEX[name], at, strand, element, -1, -1))
    table = np.array(rows).T
    sites = Sites(table[0], table[1], table[2].astype(np.int8), *table[3:])
    kinds = ("insulator",) * len(strands)
    return Chromosome("chr1", codes, sites, Elements(kinds, np.array(places), np.ones(len(places), np.int8)), ())


def corner(chromosome: Chromosome, biosample: str = "K562") -> float:
    return float(log_change(chromosome, biosample)[LEFT // BIN, (RIGHT - LEFT) // BIN])


def test_only_sites_that_face_each_other_loop() -> None:
    found = {strands: corner(planted(strands, (LEFT, RIGHT))) for strands in ((1, -1), (-1, 1), (1, 1), (-1, -1))}
    assert found[(1, -1)] > 1
    assert max(value for strands, value in found.items() if strands != (1, -1)) < 0
    assert corner(planted((1, -1, -1), (LEFT, RIGHT, RIGHT - 4000))) < found[(1, -1)] - 0.5


def test_a_site_is_a_boundary() -> None:
    change = log_change(planted((1,), (LEFT,)), "K562")
    across, beside, far = change[18, 5], change[24, 5], change[30, 5]
    assert across < beside - 0.3
    assert abs(beside - far) < 0.1


def test_occupancy_that_needs_open_chromatin_depends_on_the_biosample() -> None:
    helped = planted((1, -1), (LEFT, RIGHT), helped=True)
    assert corner(helped, "K562") > corner(helped, "HepG2") + 0.3


@pytest.fixture(scope="module")
def chromosome() -> Chromosome:
    one = GenomeConfig(experiments="none.tsv", chromosomes={"chr1": 200_500})
    return build_genomes(WorldConfig(organisms={"human": one}))["human"][0]


def test_the_map_is_decay_times_ratio_and_ends_with_the_chromosome(chromosome: Chromosome) -> None:
    expected, ratio = expected_map(chromosome, "K562"), log_ratio(chromosome, "K562")
    assert expected.shape == ratio.shape == (201, OFFSETS)
    for offset in (0, 1, 10, OFFSETS - 1):
        inside = slice(0, 201 - offset)
        assert np.isnan(ratio[201 - offset :, offset]).all()
        assert (expected[201 - offset :, offset] == 0).all()
        over = expected[inside, offset] / expected[inside, offset].mean()
        np.testing.assert_allclose(np.log(over), ratio[inside, offset], atol=1e-9)
    profile = [expected[: 201 - offset, offset].mean() for offset in range(1, 20)]
    assert profile[0] > 3 * profile[5] > 6 * profile[18]


def test_loops_show_in_bins_of_two_kilobases(chromosome: Chromosome) -> None:
    ratio = log_ratio(chromosome, "K562")[:200, :16]
    deviation = np.nanstd(ratio, axis=0)
    assert (deviation[4:14] > 0.25).all()
    same = np.corrcoef(ratio[:180].ravel(), log_ratio(chromosome, "GM12878")[:180, :16].ravel())[0, 1]
    assert 0.6 < same < 0.995


def test_open_bins_contact_open_bins_and_closed_ones_closed_ones(chromosome: Chromosome) -> None:
    change, offset = log_change(chromosome, "K562"), 8
    middle = (np.arange(len(change)) + 0.5) * BIN
    opened = compartment_of(chromosome.elements.anchor, activity(chromosome, "K562").openness, middle)
    alike, change = opened[:-offset] * opened[offset:], change[:-offset, offset]
    assert np.corrcoef(alike, change)[0, 1] > 0.4
    assert change[alike > 0.5].mean() > change[alike < -0.5].mean() + 0.3
