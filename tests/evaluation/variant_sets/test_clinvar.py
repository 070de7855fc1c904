"""ClinVar: stars, consequences, distances to splice sites, AlphaMissense, drawn controls."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from worlds import World, checked

from megabase.errors import InputError
from megabase.evaluation.variant_sets import alleles, clinvar
from megabase.evaluation.variant_sets.alleles import Genome, Placed
from megabase.evaluation.variant_sets.table import Given

EXONS = pd.DataFrame(
    [("chr1", 100, 150), ("chr1", 250, 300), ("chr1", 400, 450)], columns=["chrom", "start", "end"]
).assign(transcript_id="t1", gene_id="ENSG1.2", strand="+")
GENES = pd.DataFrame({"gene_name": ["ABC"], "gene_id": ["ENSG1.2"]})
STAR = "criteria_provided,_single_submitter"


def row(
    world: World, position: int, consequence: str, significance: str = "Benign", status: str = STAR, symbol: str = "ABC"
) -> list[object]:
    ref, alt = world.ref("chr1", position), world.alt("chr1", position)
    info = f"CLNSIG={significance};CLNREVSTAT={status};MC=SO:1|{consequence};GENEINFO={symbol}:7|DEF:8;FLAG"
    return ["1", position, f"id{position}", ref, alt, ".", ".", info]


def built(world: World, rows: list[list[object]], **files: Path) -> clinvar.VariantSet:
    vcf = world.file("clinvar.vcf.gz", ["##fileformat=VCFv4.1", *rows])
    given = Given({"vcf": vcf, **files}, genome=Genome(world.fasta), genes=GENES, exons=EXONS, seed=5)
    return clinvar.build(given)


def test_distances() -> None:
    sites = clinvar.SpliceSites(EXONS)
    found = {at: sites.distance(Placed("chr1", at, "A", "C")) for at in (150, 151, 250, 251, 248, 275)}
    # 0-based 150 is the first base of the intron, 1-based 151.
    assert found[150]["exonic"] == 1 and found[151]["intronic"] == 1
    assert found[250]["intronic"] == 1 and found[251]["exonic"] == 1
    assert found[248]["intronic"] == 3 and found[275]["exonic"] == 25
    assert sites.distance(Placed("chr9", 1, "A", "C")) == {"exonic": None, "intronic": None}


def test_categories(tmp_path: Path) -> None:
    world = World(tmp_path)
    intron, synonymous, missense = "intron_variant", "synonymous_variant", "missense_variant"
    rows = [
        row(world, 155, intron, "Pathogenic"),  # 5 bp into the intron
        row(world, 156, intron),  # exactly 6 bp
        row(world, 157, intron, "Likely_pathogenic"),  # 7 bp: deep
        row(world, 149, synonymous, "Benign/Likely_benign"),  # 2 bp: splice region
        row(world, 148, synonymous),  # exactly 3 bp
        row(world, 147, synonymous),  # 4 bp
        row(world, 140, missense, "Pathogenic"),
        row(world, 141, missense, "Pathogenic"),
        row(world, 152, "splice_donor_variant", "Pathogenic"),
        row(world, 160, intron, status="no_assertion_criteria_provided"),
        row(world, 161, intron, "Uncertain_significance"),
    ]
    rows.append([*row(world, 170, intron)[:4], "ACGT", ".", ".", row(world, 170, intron)[7]])
    change = [world.ref("chr1", 140), world.alt("chr1", 140)]
    other = [world.ref("chr1", 141), world.alt("chr1", 141)]
    header = "#CHROM\tPOS\tREF\tALT\tgenome\tam_class"
    scores = [["chr1", 140, *change, "hg38", "likely_benign"], ["chr1", 141, *other, "hg38", "ambiguous"]]
    missense_table = world.file("am.tsv.gz", ["# Copyright", header, *scores])
    made = checked(
        built(world, rows, alphamissense=world.file("am2.tsv.gz", [header, *scores])), tmp_path / "c.parquet"
    )
    groups = dict(zip(made.table["position"], made.table["group"], strict=True))
    region, noncoding = clinvar.REGION, clinvar.NONCODING
    assert groups == {155: region, 157: noncoding, 149: region, 147: noncoding, 140: clinvar.MISSENSE}
    assert made.table["label"].tolist() == [True, True, False, False, True]
    assert set(made.table["gene_id"]) == {"ENSG1"} and made.counts["read"] == 12
    assert made.counts["dropped"] == {
        "at exactly 6 bp from a splice site": 1,
        "at exactly 3 bp from a splice site": 1,
        "neither benign nor pathogenic, or without a star": 2,
        "that are no single-base change": 1,
        "of another consequence": 1,
        clinvar.NOT_BENIGN: 1,
    }
    # The published file begins with lines of its own before the names of its columns.
    again = built(world, rows, alphamissense=missense_table)
    assert again.table.equals(made.table)
    without = built(world, rows)
    assert without.counts["dropped"][clinvar.NO_TABLE] == 2


def test_controls_are_drawn_per_gene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clinvar, "CONTROLS_PER_POSITIVE", 3)
    world = World(tmp_path)
    rows = [row(world, 160 + at, "intron_variant") for at in range(20)]
    rows += [row(world, 190, "intron_variant", "Pathogenic"), row(world, 200, "intron_variant", symbol="NONE")]
    made = checked(built(world, rows), tmp_path / "c.parquet")
    assert made.counts["positives"] == 1 and made.counts["negatives"] == 3
    assert made.counts["dropped"] == {clinvar.NOT_DRAWN: 18}
    # The order of the rows is of no account.
    assert set(built(world, rows[::-1]).table["position"]) == set(made.table["position"])


def test_faults(tmp_path: Path) -> None:
    world = World(tmp_path)
    good = row(world, 155, "intron_variant")
    wrong = [*row(world, 158, "intron_variant")]
    wrong[3:5] = wrong[4:2:-1]
    elsewhere = ["GL000", *row(world, 159, "intron_variant")[1:]]
    made = built(world, [good, wrong, elsewhere])
    assert made.counts["dropped"] == {alleles.NOT_THERE: 1, alleles.NO_CHROMOSOME: 1}
    with pytest.raises(InputError, match=r"clinvar\.vcf\.gz line 3: not a VCF row"):
        built(world, [good, good[:3]])
    with pytest.raises(InputError, match="no exons"):
        clinvar.build(Given({"vcf": tmp_path / "x.vcf"}))
