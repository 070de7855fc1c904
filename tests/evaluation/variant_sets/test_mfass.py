"""MFASS: labels, exons, strands, places of another assembly."""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import COMPLEMENT, World, checked

from megabase.errors import InputError
from megabase.evaluation.variant_sets import alleles, mfass
from megabase.evaluation.variant_sets.alleles import Genome
from megabase.evaluation.variant_sets.table import Given


def line(
    world: World, position: int, delta: object, strand: str = "-", shift: int = 0, ref: str = "", alt: str = ""
) -> list[object]:
    ref, alt = ref or world.ref("chr1", position + shift), alt or world.alt("chr1", position + shift)
    return [f"chr1_{position}_{ref}_{alt}", 0, "chr1", strand, 220, 201, 220, 201, 0.9, delta]


def test_labels_exons_and_strands(tmp_path: Path) -> None:
    world = World(tmp_path)
    other = line(world, 212, -0.1, ref=COMPLEMENT[world.ref("chr1", 212)], alt=COMPLEMENT[world.alt("chr1", 212)])
    lines = [line(world, 210, -0.5), line(world, 211, -0.49), other, line(world, 213, "NA")]
    lines.append(line(world, 214, 0.1, ref=world.alt("chr1", 214), alt=world.ref("chr1", 214)))
    given = Given({"table": world.file("mfass.txt.gz", lines)}, genome=Genome(world.fasta))
    made = checked(mfass.build(given), tmp_path / "mfass.parquet")
    assert made.table["label"].tolist() == [True, False, False]
    assert set(made.table["group"]) == {"chr1:200-220:-"}
    assert made.table["ref"].tolist() == [world.ref("chr1", position) for position in (210, 211, 212)]
    assert made.counts["complemented"] == 1 and made.counts["read"] == 5
    assert made.counts["dropped"] == {"without a measured change": 1, alleles.NOT_THERE: 1}


def test_the_other_assembly(tmp_path: Path) -> None:
    pytest.importorskip("liftover", reason="needs the package liftover")
    world = World(tmp_path)
    chain = world.file("old.chain", ["chain 10 chr1 800 + 100 400 chr1 900 + 150 450 1", "300", ""])
    outside = ["chr1_210_A_C", 0, "chr1", "+", 420, 390, 420, 390, 0.9, 0.1]
    table = world.file("mfass.txt", [line(world, 210, -0.7, shift=50), outside])
    made = checked(
        mfass.build(Given({"table": table, "chain": chain}, genome=Genome(world.fasta))), tmp_path / "m.parquet"
    )
    assert made.table["position"].tolist() == [260] and made.table["group"].tolist() == ["chr1:250-270:-"]
    assert made.counts["lifted"] == 1 and made.counts["dropped"] == {mfass.EXON: 1}


def test_bad_rows_are_named(tmp_path: Path) -> None:
    world = World(tmp_path)
    good = line(world, 210, -0.5)
    for place, value, said in [
        (0, "chr2_1_A_C", "line 2: variant `chr2_1_A_C`"),
        (3, "x", "strand `x`"),
        (9, "?", "delta_index is `\\?`"),
    ]:
        bad = [*good]
        bad[place] = value
        with pytest.raises(InputError, match=said):
            mfass.build(Given({"table": world.file("bad.txt", [good, bad])}))
    with pytest.raises(InputError, match="line 2: 3 fields, 10 columns"):
        mfass.build(Given({"table": world.file("bad.txt", [good, good[:3]])}))


def test_the_published_variants(shared: Path, tmp_path: Path) -> None:
    table = shared / "real" / "variants" / "MFASS.hg19.txt.gz"
    made = checked(mfass.build(Given({"table": table})), tmp_path / "mfass.parquet")
    assert (made.counts["read"], made.counts["kept"], made.counts["positives"]) == (27_183, 27_183, 1_048)
    test = made.table[made.table["split"] == "test"]
    assert (len(test), int(test["label"].sum())) == (9_177, 382)
    assert made.counts["splits"]["test"] == {"rows": 9_177, "positives": 382, "negatives": 9_177 - 382}
    # The bases beside exons, where splice sites are, vary least.
    exon = made.table["group"].str.extract(r":(\d+)-(\d+):").astype(int)
    after = (made.table["position"] - exon[1]).where(made.table["group"].str.endswith("+"))
    assert after.eq(1).sum() + after.eq(2).sum() < 0.6 * (after.eq(7).sum() + after.eq(8).sum())
