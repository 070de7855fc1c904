"""CAGI5: the challenge's variants among the measured ones, in both assemblies."""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import COMPLEMENT, World, checked

from megabase.errors import InputError
from megabase.evaluation.variant_sets import alleles, cagi5
from megabase.evaluation.variant_sets.alleles import Genome
from megabase.evaluation.variant_sets.table import Given

NEEDED = list(cagi5._NEEDED)


def measured(
    release: str, position: object, ref: str, alt: str, value: float, element: str = "PKLR-24h"
) -> list[object]:
    return ["1", position, ref, alt, 9, 80, 90, value, 0.5, element, release]


def world_files(tmp_path: Path) -> tuple[World, dict[str, Path]]:
    """Two loci: PKLR 100 bp further on in GRCh38, MSMB turned round."""
    world = World(tmp_path)
    old, new, train = [], [], []
    for number, position in enumerate((200, 201)):
        ref, alt = world.ref("chr1", position), world.alt("chr1", position)
        old.append(measured("GRCh37", position - 100, ref, alt, number + 0.5))
        new.append(measured("GRCh38", position, ref, alt, number + 0.5))
        train.append(["chr1", position - 101, position - 100, ref, alt, number + 0.4, 0.1, "PKLR"])
    ref, alt = world.ref("chr1", 300), world.alt("chr1", 300)
    old.append(measured("GRCh37", 40, COMPLEMENT[ref], COMPLEMENT[alt], -1.0, "MSMB"))
    new.append(measured("GRCh38", 300, ref, alt, -1.0, "MSMB"))
    old.append(measured("GRCh37", "NA", "NA", "NA", -1.0, "MSMB"))
    train.append(["chr1", 39, 40, COMPLEMENT[ref], COMPLEMENT[alt], -1.1, 0.1, "MSMB"])
    train.append(["chr1", 50, 51, "A", "C", -1.1, 0.1, "MSMB"])
    columns = ["chrom", "start", "end", "ref", "alt", "effect_size", "confidence", "target"]
    files = {
        "elements": world.file("elements.tsv.gz", [NEEDED, *new, *old]),
        "train": world.file("train.txt.gz", [columns, *train]),
    }
    return world, files


def test_both_assemblies(tmp_path: Path) -> None:
    world, files = world_files(tmp_path)
    made = checked(cagi5.build(Given(files, genome=Genome(world.fasta))), tmp_path / "new.parquet")
    assert made.table["position"].tolist() == [200, 201, 300]
    assert made.table["effect"].tolist() == [0.5, 1.5, -1.0] and made.table["group"].tolist() == [
        "PKLR",
        "PKLR",
        "MSMB",
    ]
    assert made.table["ref"].tolist() == [world.ref("chr1", position) for position in (200, 201, 300)]
    assert made.counts["complemented"] == 1 and made.counts["other_strand"] == ["MSMB"]
    assert made.counts["dropped"] == {cagi5.NOT_MEASURED: 1} and set(made.table["split"]) == {"train"}
    old = checked(cagi5.build(Given(files), "hg19"), tmp_path / "old.parquet")
    assert old.table["position"].tolist() == [100, 101, 40] and old.counts["lifted"] == 0
    assert old.table["variant_id"].tolist() == made.table["variant_id"].tolist()
    # A genome without these letters.
    world.fasta.write_text("".join(f">{name}\n{'N' * len(letters)}\n" for name, letters in world.letters.items()))
    with pytest.raises(InputError, match=f"no variant of `cagi5` is left: 3 {alleles.NOT_THERE}"):
        cagi5.build(Given(files, genome=Genome(world.fasta)))


def test_lists_that_do_not_belong_together(tmp_path: Path) -> None:
    world, files = world_files(tmp_path)
    pair = [measured("GRCh37", 1, "A", "C", 1.0), measured("GRCh38", 101, "A", "C", 1.5)]
    for rows, said in [
        (pair, "line 3: PKLR-24h 1 is not the variant of 2"),
        (pair[:1], "has 1 variants in GRCh37 and 0"),
    ]:
        with pytest.raises(InputError, match=said):
            cagi5.build(Given({**files, "elements": world.file("e.tsv", [NEEDED, *rows])}))


def test_the_published_variants(shared: Path, tmp_path: Path) -> None:
    real = shared / "real" / "variants"
    files = {"elements": real / "MPRA_saturation_elements.tsv.gz", "train": real / "CAGI5_training.hg19.txt.gz"}
    made = checked(cagi5.build(Given(files)), tmp_path / "cagi5.parquet")
    assert (made.counts["read"], made.counts["kept"]) == (4_650, 4_639) and made.table["group"].nunique() == 15
    assert made.counts["other_strand"] == ["MSMB"] and made.counts["groups"]["MSMB"]["rows"] == 432
    assert made.counts["correlation_with_challenge"] > 0.94
