"""Alleles on the genome: kept, swapped, complemented, moved to another assembly, left out; each counted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from worlds import COMPLEMENT, World

from megabase.errors import InputError
from megabase.evaluation.variant_sets import alleles
from megabase.evaluation.variant_sets.alleles import Genome, Lift, Placing, reverse_complement
from megabase.evaluation.variant_sets.table import Counts


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def placing(world: World, **options: object) -> tuple[Placing, Counts]:
    counts = Counts()
    return Placing(Genome(world.fasta), counts, **options), counts  # type: ignore[arg-type]


def test_the_genome_decides_which_allele_is_ref(world: World) -> None:
    ref, alt = world.ref("chr1", 100), world.alt("chr1", 100)
    strict, counts = placing(world)
    kept = strict.place("1", 100, ref.lower(), alt)
    assert kept is not None and kept.columns() == {"chromosome": "chr1", "position": 100, "ref": ref, "alt": alt}
    assert kept.sign == 1 and strict.place("chr1", 100, alt, ref) is None
    assert counts.dropped == {alleles.NOT_THERE: 1}

    lenient, counts = placing(world, swap=True)
    swapped = lenient.place("chr1", 100, alt, ref)
    assert swapped is not None and (swapped.ref, swapped.alt, swapped.sign) == (ref, alt, -1)
    assert counts.turned["swapped"] == 1 and not counts.dropped


def test_alleles_of_the_other_strand(world: World) -> None:
    ref, alt = world.ref("chr1", 101), world.alt("chr1", 101)
    both, counts = placing(world, swap=True, complement=True)
    found = both.place("chr1", 101, COMPLEMENT[alt], COMPLEMENT[ref])
    assert found is not None and (found.ref, found.alt, found.swapped) == (ref, alt, True)
    assert counts.turned["complemented"] == 1 and counts.turned["swapped"] == 1
    # A and T (or C and G) fit both strands: this one is meant.
    found = both.place("chr1", 101, ref, COMPLEMENT[ref])
    assert found is not None and (found.ref, found.swapped) == (ref, False) and counts.turned["complemented"] == 1


def test_deletions_and_pieces(world: World) -> None:
    strict, counts = placing(world, swap=True)
    ref = world.ref("chr1", 898, 3)
    assert strict.place("chr1", 898, ref, ref[0]) is not None
    # Swapped, the longer allele is looked for in the genome.
    back = strict.place("chr1", 898, ref[0], ref)
    assert back is not None and back.ref == (ref[0] if not back.swapped else ref)
    assert strict.place("chr1", 899, "ACG", "A") is None and counts.dropped == {alleles.BEYOND: 1}


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        (("chr9", 10, "A", "C"), alleles.NO_CHROMOSOME),
        (("chr1", 0, "A", "C"), alleles.BEYOND),
        (("chr1", 901, "A", "C"), alleles.BEYOND),
        (("chr1", 5, "A", "<DEL>"), alleles.NOT_LETTERS),
        (("chr1", 5, "A", "N"), alleles.NOT_LETTERS),
        (("chr1", 5, "A", ""), alleles.NOT_LETTERS),
        (("chr1", 5, "A", "A"), alleles.EQUAL),
    ],
)
def test_what_has_no_place(world: World, variant: tuple[str, int, str, str], reason: str) -> None:
    strict, counts = placing(world, swap=True, complement=True)
    assert strict.place(*variant) is None
    assert counts.dropped == {reason: 1}


def test_without_a_genome_nothing_is_checked_and_that_is_counted() -> None:
    counts = Counts()
    assert Placing(None, counts, swap=True).place("7", 5, "A", "C") is not None
    assert counts.turned == {"unchecked": 1}


def test_a_genome_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such genome"):
        Genome(tmp_path / "absent.fa")
    (tmp_path / "not.fa").write_text("hello\nworld\n")
    with pytest.raises(InputError, match=r"not\.fa"):
        Genome(tmp_path / "not.fa").codes("chr1", 0, 1)


def chain(world: World) -> Path:
    """chr1 100-400 of the old assembly is 150-450 of the genome, chr3 0-300 is its reverse at 200-500 of 600, chr2 went
    to chr1."""
    lines = ["chain 10 chr1 800 + 100 400 chr1 900 + 150 450 1", "300", ""]
    lines += ["chain 10 chr3 500 + 0 300 chr3 600 - 100 400 2", "300", ""]
    return world.file("old.chain", [*lines, "chain 10 chr2 50 + 0 50 chr1 900 + 800 850 3", "50", ""])


def test_places_of_another_assembly(world: World) -> None:
    pytest.importorskip("liftover", reason="needs the package liftover")
    moved, counts = placing(world, lift=Lift(chain(world)))
    found = moved.place("chr1", 101, world.ref("chr1", 151), world.alt("chr1", 151))
    assert found is not None and found.position == 151
    # The other strand's 1-based position p is 500 + 1 - p here, and its letters are the complements.
    ref, alt = world.ref("chr3", 491), world.alt("chr3", 491)
    found = moved.place("chr3", 10, COMPLEMENT[ref], COMPLEMENT[alt])
    assert found is not None and (found.position, found.ref, found.alt) == (491, ref, alt)
    two = world.ref("chr3", 480, 2)
    found = moved.place(
        "chr3", 20, reverse_complement(two), reverse_complement(two)[::-1] if two[0] != two[1] else "AC"
    )
    assert found is not None and (found.position, found.ref) == (480, two)
    assert counts.turned["lifted"] == 3 and not counts.dropped
    assert moved.place("chr1", 50, "A", "C") is None
    assert moved.place("chr2", 5, "A", "C") is None
    assert moved.place("chr1", 400, "AC", "A") is None
    assert moved.place("chr3", 30, "AC", "A") is None
    assert counts.dropped == {alleles.UNMAPPED: 2, alleles.MOVED: 1, alleles.BROKEN: 1}
    assert moved.place("chr1", 102, world.alt("chr1", 152), world.ref("chr1", 152)) is None
    assert counts.dropped[alleles.NOT_THERE] == 1


def test_without_the_package(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "liftover", None)
    with pytest.raises(InputError, match="needs the package `liftover`; install it"):
        Lift(chain(world))


def test_a_chain_file_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("liftover", reason="needs the package liftover")
    with pytest.raises(InputError, match="no such chain"):
        Lift(tmp_path / "absent.chain.gz")
