"""Planted variants: their effects are those of the changed sequence, their controls are alike and do nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from megabase.simulate.activity import activity
from megabase.simulate.config import GenomeConfig, WorldConfig
from megabase.simulate.edits import mutate
from megabase.simulate.effects import effect
from megabase.simulate.genome import Chromosome
from megabase.simulate.grammar import CURIES
from megabase.simulate.homology import build_genomes
from megabase.simulate.rates import cut_rate, factor_enrichment
from megabase.simulate.splicing import site_usage
from megabase.simulate.variants import MODALITIES, QUIETED, Variant, measured, plan_variants, write_vcf

BIOSAMPLES = ("K562", "HepG2")
CONFIG = WorldConfig(
    organisms={"human": GenomeConfig(experiments="h.tsv", chromosomes={"chr1": 150_000, "chr2": 150_000})}, variants=6
)


@pytest.fixture(scope="module")
def chromosomes() -> dict[str, Chromosome]:
    return {one.name: one for one in build_genomes(CONFIG)["human"]}


@pytest.fixture(scope="module")
def variants(chromosomes: dict[str, Chromosome]) -> list[Variant]:
    return plan_variants("human", list(chromosomes.values()), BIOSAMPLES, CONFIG)


def codes(text: str) -> np.ndarray:
    return np.array(["ACGT".index(base) for base in text], dtype=np.uint8)


def changed(one: Variant, chromosomes: dict[str, Chromosome]) -> tuple[Chromosome, Chromosome]:
    before = chromosomes[one.chromosome]
    return before, mutate(before, one.position, codes(one.ref), codes(one.alt))


def test_every_modality_has_its_planted_variants_and_as_many_controls(variants: list[Variant]) -> None:
    for modality in MODALITIES:
        planted = [one for one in variants if one.modality == modality and one.role == "planted"]
        controls = {one.match: one for one in variants if one.modality == modality and one.role == "control"}
        assert len(planted) == 6
        for one in planted:
            control = controls.pop(one.variant_id)
            assert abs(one.effect) >= 0.5 > 0.05 > abs(control.effect)
            assert (control.biosample, control.target) == (one.biosample, one.target)
            assert (len(control.ref), len(control.alt)) == (len(one.ref), len(one.alt))
            if len(one.ref) == len(one.alt):
                assert (control.ref, control.alt) == (one.ref, one.alt)
            assert bool(one.gene_id) == bool(control.gene_id) == (modality in MODALITIES[3:6])
            assert bool(one.target) == (modality in ("binding", "histone"))
        assert not controls
    names = [one.variant_id for one in variants]
    assert len(set(names)) == len(names)
    assert {one.effect > 0 for one in variants if one.role == "planted"} == {True, False}
    assert any(len(one.ref) != len(one.alt) for one in variants)
    assert all(max(len(one.ref), len(one.alt)) <= 13 for one in variants)


def test_effects_are_those_of_the_whole_changed_chromosome(
    variants: list[Variant], chromosomes: dict[str, Chromosome]
) -> None:
    checked = set()
    for one in variants:
        before, after = changed(one, chromosomes)
        if one.modality == "accessibility":
            near = slice(one.position - 250, one.position + 251)
            ratio = [cut_rate(side, one.biosample, "DNASE")[near].mean() for side in (after, before)]
            assert np.log2(ratio[0] / ratio[1]) == pytest.approx(one.effect, abs=0.02)
        elif one.modality == "binding":
            near = slice((one.position - 250) // 16, (one.position + 250) // 16 + 1)
            ratio = [factor_enrichment(side, one.biosample, one.target)[near].mean() for side in (after, before)]
            assert np.log2(ratio[0] / ratio[1]) == pytest.approx(one.effect, abs=0.05)
        elif one.modality == "expression":
            number = [gene.gene_id for gene in before.genes].index(one.gene_id)
            ratio = [activity(side, one.biosample).expression[number] + 0.01 for side in (after, before)]
            assert np.log2(ratio[0] / ratio[1]) == pytest.approx(one.effect, abs=0.02)
        elif one.modality == "splicing" and len(one.ref) == len(one.alt):
            old, new = usages(one, before, after)
            most = (new - old).abs().idxmax()
            assert np.log2((new[most] + 0.05) / (old[most] + 0.05)) == pytest.approx(one.effect, abs=0.02)
        else:
            continue
        checked.add((one.modality, one.role))
    assert len(checked) == 11, "planted ones, controls, and quiet ones of three modalities"


def usages(one: Variant, before: Chromosome, after: Chromosome) -> list[pd.Series]:
    """Of the splice sites of its gene, before and after; 0 for those that no transcript uses."""
    tables = [site_usage(side, one.biosample) for side in (before, after)]
    mine = [table[table["gene_id"] == one.gene_id].set_index(["position", "kind"])["value"] for table in tables]
    return [side.reindex(mine[0].index.union(mine[1].index), fill_value=0.0) for side in mine]


def test_splicing_variants_change_the_usage_of_an_expressed_site_clearly_and_both_ways(
    variants: list[Variant], chromosomes: dict[str, Chromosome]
) -> None:
    planted = [one for one in variants if one.modality == "splicing" and one.role == "planted"]
    assert sum(one.effect > 0 for one in planted) == len(planted) / 2
    for one in planted:
        before, after = changed(one, chromosomes)
        number = [gene.gene_id for gene in before.genes].index(one.gene_id)
        assert activity(before, one.biosample).expression[number] > 0.05
        if len(one.ref) == len(one.alt):
            old, new = usages(one, before, after)
            along = (new - old) * np.sign(one.effect)
            assert along.max() > 0.2
            assert -along.min() < along.max() - 0.19, "no competing site changes as much the other way"
            assert along.max() == along.abs().max()


def test_a_broken_donor_has_a_negative_effect_and_the_way_back_a_positive_one(
    chromosomes: dict[str, Chromosome],
) -> None:
    one = chromosomes["chr1"]
    expression = activity(one, "K562").expression
    usage = site_usage(one, "K562")
    checked = 0
    for row in usage[(usage["kind"] == "donor") & (usage["value"] > 0.95)].itertuples():
        number, gene = next((i, gene) for i, gene in enumerate(one.genes) if gene.gene_id == row.gene_id)
        if expression[number] < 0.1:
            continue
        place = row.position + 1 if gene.strand == "+" else row.position - 1
        ref, alt = one.codes[place : place + 1], np.array([0 if gene.strand == "+" else 3], np.uint8)
        condition = ("K562", "")
        there = effect("splicing", one, place, ref, alt, [condition], gene.gene_id)[condition]
        back = effect("splicing", mutate(one, place, ref, alt), place, alt, ref, [condition], gene.gene_id)[condition]
        assert there.fold < -1 and there.size > 0.2
        assert (back.fold, back.size) == (pytest.approx(-there.fold), pytest.approx(there.size))
        checked += 1
    assert checked > 3


def test_a_control_lies_in_the_kind_of_element_of_its_variant(
    variants: list[Variant], chromosomes: dict[str, Chromosome]
) -> None:
    def kinds(one: Variant) -> set[str]:
        elements = chromosomes[one.chromosome].elements
        near = np.abs(elements.anchor - one.position) < 330
        return {kind for kind, inside in zip(elements.kind, near.tolist(), strict=True) if inside}

    planted = {one.variant_id: one for one in variants}
    for one in variants:
        if one.role == "control" and one.modality in ("accessibility", "histone", "expression", "contacts"):
            assert kinds(one) & kinds(planted[one.match])
        if one.role == "control" and one.modality == "expression":
            assert "promoter" in kinds(one)


def test_quiet_variants_change_nothing_where_nothing_goes_on(
    variants: list[Variant], chromosomes: dict[str, Chromosome]
) -> None:
    def level(one: Variant) -> float:
        chromosome = chromosomes[one.chromosome]
        if one.modality == "accessibility":
            return float(cut_rate(chromosome, one.biosample, "DNASE")[one.position - 250 : one.position + 251].mean())
        if one.modality == "binding":
            near = slice((one.position - 250) // 16, (one.position + 250) // 16 + 1)
            return float(factor_enrichment(chromosome, one.biosample, one.target)[near].mean())
        number = [gene.gene_id for gene in chromosome.genes].index(one.gene_id)
        return float(activity(chromosome, one.biosample).expression[number])

    planted, compared = {one.variant_id: one for one in variants if one.role == "planted"}, 0
    for one in variants:
        if one.role == "quiet":
            match = planted[one.match]
            assert one.modality in QUIETED and abs(one.effect) <= 0.03
            assert (one.biosample, one.target, one.modality) == (match.biosample, match.target, match.modality)
            if one.modality != "histone":
                compared += level(one) < level(match)
    quiet = [one for one in variants if one.role == "quiet" and one.modality != "histone"]
    assert compared >= 0.8 * len(quiet) >= 0.8 * 8
    assert {one.modality for one in variants if one.role == "quiet"} == set(QUIETED)


def test_controls_lie_outside_motifs(variants: list[Variant], chromosomes: dict[str, Chromosome]) -> None:
    for one in variants:
        if one.role == "control":
            before, after = changed(one, chromosomes)
            np.testing.assert_allclose(activity(before, "K562").strength, activity(after, "K562").strength)


def test_only_what_is_measured_is_planted(chromosomes: dict[str, Chromosome]) -> None:
    conditions = measured(
        [("CHIP_TF", "HepG2", "HNF4A"), ("DNASE", "K562", ""), ("ATAC", "K562", ""), ("CAGE", "K562", "")]
    )
    assert conditions == {"binding": [("HepG2", "HNF4A")], "accessibility": [("K562", "")]}
    found = plan_variants("human", list(chromosomes.values()), BIOSAMPLES, CONFIG, conditions)
    assert {(one.modality, one.biosample, one.target) for one in found} == {
        ("binding", "HepG2", "HNF4A"),
        ("accessibility", "K562", ""),
    }
    assert len([one for one in found if one.role != "quiet"]) == 24


def test_the_vcf_is_read_by_others_sorted_and_true_to_the_reference(
    variants: list[Variant], chromosomes: dict[str, Chromosome], tmp_path: Path
) -> None:
    sequences = {name: "".join("ACGT"[code] for code in one.codes) for name, one in chromosomes.items()}
    sizes = {name: len(one) for name, one in chromosomes.items()}
    write_vcf(tmp_path / "variants.vcf", variants, sizes, CURIES, "demohuman1")
    again = plan_variants("human", list(chromosomes.values()), BIOSAMPLES, CONFIG)
    write_vcf(tmp_path / "again.vcf", again, sizes, CURIES, "demohuman1")
    assert (tmp_path / "again.vcf").read_bytes() == (tmp_path / "variants.vcf").read_bytes()
    with pysam.VariantFile(str(tmp_path / "variants.vcf")) as file:
        assert {name: contig.length for name, contig in file.header.contigs.items()} == sizes
        records = list(file)
        for record, one in zip(records, variants, strict=True):
            assert sequences[record.chrom][record.start : record.stop] == record.ref == one.ref
            assert record.info["ROLE"] == one.role and record.info["MODALITY"] == one.modality
            assert record.info["EFFECT"] == pytest.approx(one.effect, abs=1e-3)
            assert record.info["CURIE"] == CURIES[one.biosample]
            assert ("MATCH" in record.info) == (one.role != "planted")
            if len(one.ref) != len(one.alt):
                assert one.ref[0] == one.alt[0] and one.ref[-1] != one.alt[-1]
        assert [(one.chrom, one.pos) for one in records] == sorted((one.chrom, one.pos) for one in records)
