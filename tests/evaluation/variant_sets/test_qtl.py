"""GTEx QTL: tissues, pairs, alleles that the VCF has swapped, genes and effects of the SuSiE table, indels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from worlds import World, checked

from megabase.errors import InputError
from megabase.evaluation.variant_sets import alleles, qtl
from megabase.evaluation.variant_sets.alleles import Genome
from megabase.evaluation.variant_sets.table import Given


def row(world: World, position: int, *, swapped: bool = False, info: str = "", chrom: str = "chr1") -> list[object]:
    ref, alt = world.ref(chrom, position), world.alt(chrom, position)
    written = (alt, ref) if swapped else (ref, alt)
    return [chrom, position, f"{chrom}_{position}_{ref}_{alt}_b38", *written, ".", ".", info]


def vcf(world: World, name: str, rows: list[list[object]]) -> Path:
    return world.file(f"qtl/{name}", ["##fileformat=VCFv4.2", *rows])


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    positives = [row(world, 10), row(world, 20, swapped=True), row(world, 30, swapped=True, chrom="chr3")]
    vcf(world, "eqtl_Liver_pos.vcf.gz", positives)
    vcf(world, "eqtl_Liver_neg.vcf.gz", [row(world, 40), row(world, 50), row(world, 60, swapped=True)])
    return world


SUSIE = ["chromosome", "variant_hg38", "method", "tissue", "gene", "pip", "beta_posterior"]


def susie(world: World) -> Path:
    names = [str(row(world, position)[2]) for position in (10, 20)]
    rows = [
        ["chr1", names[0], "SUSIE", "Liver", "ENSG1.3", 0.95, 0.5],
        ["chr1", names[0], "FINEMAP", "Liver", "ENSG1.3", 0.95, 9.0],
        ["chr1", names[0], "SUSIE", "Lung", "ENSG1.3", 0.95, 8.0],
        ["chr1", names[1], "SUSIE", "Liver", "ENSG2.1", 0.9, -0.25],
        ["chr1", names[1], "SUSIE", "Liver", "ENSG3.1", 0.99, 0.75],
        ["chr1", names[1], "SUSIE", "Liver", "ENSG4.1", 0.89, 7.0],
    ]
    return world.file("susie.tsv.bgz", [SUSIE, *rows])


def test_alleles_are_the_genomes(world: World, tmp_path: Path) -> None:
    given = Given({"folder": tmp_path / "qtl", "susie": susie(world)}, genome=Genome(world.fasta))
    made = checked(qtl.build(given, "eqtl"), tmp_path / "eqtl.parquet")
    assert made.counts["swapped"] == 3 and made.counts["ref_unchecked"] == 0 and made.counts["read"] == 6
    assert made.counts["files"]["eqtl_Liver_pos.vcf.gz"] == {"read": 3, "swapped": 2}
    for _, own in made.table.iterrows():
        assert own["ref"] == world.ref(own["chromosome"], own["position"])
    assert made.table["gene_id"].tolist()[:3] == ["ENSG1", "ENSG2", "ENSG3"]
    assert made.table["effect"].tolist()[:3] == [0.5, -0.25, 0.75] and made.table["effect"][3:].isna().all()
    assert made.counts["effects"] == {"up": 2, "down": 1}
    assert made.table["label"].tolist() == [True] * 4 + [False] * 3
    assert made.table["split"].tolist()[3] == "test" and set(made.table["group"]) == {"Liver"}

    # As the VCF lists them, alleles and the sign of the effect are turned together.
    listed = checked(qtl.build(given, "eqtl", as_listed=True), tmp_path / "listed.parquet")
    assert listed.table["effect"].tolist()[:3] == [0.5, 0.25, -0.75]
    assert listed.table["ref"][1] == world.alt("chr1", 20) and listed.table["alt"][1] == world.ref("chr1", 20)


def test_a_wrong_ref_and_an_unknown_chromosome_are_counted(world: World, tmp_path: Path) -> None:
    wrong = row(world, 70)
    ref, alt = world.alt("chr1", 70), world.ref("chr1", 70)
    wrong[2:5] = [f"chr1_70_{ref}_{alt}_b38", ref, alt]
    elsewhere = ["chr8", 5, "chr8_5_A_C_b38", "A", "C", ".", ".", ""]
    given = Given(
        {
            "Lung_pos": vcf(world, "a.vcf", [row(world, 10), wrong, elsewhere, row(world, 10)]),
            "Lung_neg": vcf(world, "b.vcf", [row(world, 20)]),
        },
        genome=Genome(world.fasta),
    )
    made = checked(qtl.build(given, "eqtl"), tmp_path / "eqtl.parquet")
    reasons = {alleles.NOT_THERE: 1, alleles.NO_CHROMOSOME: 1, "that another row has already": 1}
    assert made.counts["dropped"] == reasons and made.counts["groups"]["Lung"]["positives"] == 1


def test_pairs_are_pooled_over_tissues(world: World, tmp_path: Path) -> None:
    for tissue in ("liver", "lung"):
        name = str(row(world, 10)[2])
        own = [row(world, 10, info=f"MT=ENSG7.grp_1.x;PD=4;PI={name}")]
        vcf(world, f"paqtl_{tissue}_pos.vcf.gz", own)
        place = 20 if tissue == "liver" else 30
        vcf(world, f"paqtl_{tissue}_neg.vcf.gz", [row(world, place, info=f"MT=ENSG8.grp_1.y;PD=5;PI={name}")])
    made = checked(qtl.build(Given({"folder": tmp_path / "qtl"}), "paqtl"), tmp_path / "paqtl.parquet")
    assert made.table["label"].tolist() == [True, False, False]
    assert set(made.table["group"]) == {str(row(world, 10)[2])}
    assert made.table["gene_id"].tolist() == ["ENSG7", "ENSG8", "ENSG8"]
    assert made.counts["ref_unchecked"] == 3
    merged = vcf(world, "paqtl_merge_pos.vcf.gz", [row(world, 90, info="MT=ENSG7.x;PI=p")])
    vcf(world, "paqtl_merge_neg.vcf.gz", [row(world, 91, info="MT=ENSG7.x;PI=p")])
    assert len(qtl.build(Given({"folder": merged.parent}), "paqtl").table) == 2


def test_bad_rows_are_named(world: World, tmp_path: Path) -> None:
    good = row(world, 10)
    negatives = vcf(world, "n.vcf", [good])
    for bad, said in [
        ([*good[:1], "x", *good[2:]], r"p\.vcf line 3: not a VCF row"),
        ([good[0], 11, *good[2:]], "line 3: `chr1_10_.*` is not chr1:11"),
        ([*good[:3], "GG", *good[4:]], "line 3: .* GG"),
        ([good[0], 10, "rs5", *good[3:]], "line 3: variant `rs5`"),
    ]:
        with pytest.raises(InputError, match=said):
            files = {"Lung_pos": vcf(world, "p.vcf", [good, bad]), "Lung_neg": negatives}
            qtl.build(Given(files), "eqtl")
    with pytest.raises(InputError, match="Lung has positives but no controls"):
        qtl.build(Given({"Lung_pos": negatives}), "eqtl")
    with pytest.raises(InputError, match="give folder=FOLDER"):
        qtl.build(Given({"folder": tmp_path / "qtl"}), "sqtl")


def test_as_many_of_both_at_every_distance(world: World, tmp_path: Path) -> None:
    near, far = list(range(100, 110)), list(range(700, 730))
    given = Given(
        {
            "Lung_pos": vcf(world, "p.vcf", [row(world, at) for at in (*near, *far[:4])]),
            "Lung_neg": vcf(world, "n.vcf", [row(world, at) for at in (*range(110, 114), *far[4:])]),
        },
        genes=pd.DataFrame({"chrom": ["chr1"], "start": [99], "end": [500], "strand": ["+"], "gene_id": ["g"]}),
        seed=3,
    )
    made = checked(qtl.build_balanced(given), tmp_path / "b.parquet")
    distance = np.log10(1 + qtl.start_distance(made.table, given.genes))  # type: ignore[arg-type]
    bins = np.digitize(distance, np.linspace(0, np.log10(1 + 630), 11)[1:-1])
    for own in np.unique(bins):
        labels = made.table["label"][bins == own]
        assert labels.sum() == (~labels).sum()
    assert made.counts["kept"] + made.counts["dropped"]["that no other row balances"] == 44
    assert made.table.equals(qtl.build_balanced(given).table)
    assert made.counts["positives"] == made.counts["negatives"] == made.counts["splits"]["train"]["positives"] == 7


def test_indels(world: World, tmp_path: Path) -> None:
    ref = world.ref("chr1", 10, 3)
    columns = ["molecular_trait_id", "gene_id", "cs_id", "variant", "pip", "beta"]
    insertion, snv = f"chr1_10_{ref[0]}_{ref[0]}GG", f"chr1_10_{ref[0]}_{world.alt('chr1', 10)}"
    rows = [
        ["g", "ENSG1", "L1", f"chr1_10_{ref}_{ref[0]}", 0.95, -0.5],
        ["g", "ENSG1", "L2", f"chr1_10_{ref}_{ref[0]}", 0.95, -0.5],
        ["g", "ENSG2", "L1", insertion, 0.9, 0.5],
        ["g", "ENSG2", "L1", insertion.replace("_10_", "_11_"), 0.89, 0.5],
        ["g", "ENSG2", "L1", snv, 0.99, 0.5],
        ["g", "ENSG9", "L1", insertion, 0.99, 0.5],
    ]
    path = world.file("sets/QTD1.credible_sets.tsv.gz", [columns, *rows])
    genes = pd.DataFrame({"gene_id": ["ENSG1.1", "ENSG2.9"]})
    given = Given({"folder": path.parent}, genome=Genome(world.fasta), genes=genes)
    made = checked(qtl.build_indels(given), tmp_path / "indel.parquet")
    assert made.table["effect"].tolist() == [-0.5, 0.5] and set(made.table["group"]) == {"QTD1"}
    assert made.counts["read"] == 6 and sum(made.counts["dropped"].values()) == 4
    assert made.counts["not_left_aligned"] == (ref[2] == ref[0]) + (ref[0] == "G")


REAL = {
    "eqtl": {"Brain_Cortex": (651, 182, 127), "Liver": (352, 91, 66), "Whole_Blood": (1896, 433, 382)},
    "sqtl": {"brain_cortex": (264, 0, 0), "liver": (204, 0, 0), "blood": (540, 0, 0)},
    "paqtl": {"brain_cortex": (80, 0, 0), "liver": (64, 0, 0), "blood": (142, 0, 0)},
}
"""Positives (and as many controls) of a tissue, and how many of either have REF and ALT swapped."""


@pytest.mark.parametrize("kind", REAL)
def test_the_published_sets(kind: qtl.Kind, shared: Path, tmp_path: Path) -> None:
    given = Given({"folder": shared / "real" / "variants" / "qtl"})
    made = checked(qtl.build(given, kind), tmp_path / "set.parquet")
    for tissue, (number, swapped, swapped_controls) in REAL[kind].items():
        assert made.counts["files"][f"{kind}_{tissue}_pos.vcf.gz"] == {"read": number, "swapped": swapped}
        assert made.counts["files"][f"{kind}_{tissue}_neg.vcf.gz"] == {"read": number, "swapped": swapped_controls}
        if kind != "paqtl":
            assert made.counts["groups"][tissue] == {"positives": number, "negatives": number, "rows": 2 * number}
    if kind == "eqtl":
        # Of all 49 tissues, 11,628 and 9,890 of 48,961 (evaluation reference 4.2).
        total, swapped, controls = (sum(own[at] for own in REAL[kind].values()) for at in range(3))
        assert abs(swapped / total - 11_628 / 48_961) < 0.01 and abs(controls / total - 9_890 / 48_961) < 0.01
    if kind == "paqtl":
        # Every control has its positive, and the other way round.
        labels = made.table.groupby("group")["label"]
        assert (labels.nunique() == 2).all() and (labels.sum() == 1).all()
