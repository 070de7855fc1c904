"""The outputs of SpliceAI and Pangolin, and tables computed elsewhere, become one kind of table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from megabase.errors import InputError
from megabase.evaluation.benchmarks.programs import pangolin_command, read_pangolin, read_spliceai, spliceai_command
from megabase.evaluation.benchmarks.scores import SCORE_COLUMNS, placed, read_scores

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def vcf(path: Path, *rows: tuple[str, str, str]) -> Path:
    lines = [f"chr1\t{10 + i}\t{name}\tA\t{alt}\t.\t.\t{info}" for i, (name, alt, info) in enumerate(rows)]
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return path


def test_spliceai_is_the_largest_difference_over_genes(tmp_path: Path) -> None:
    path = vcf(
        tmp_path / "spliceai.vcf",
        ("a", "C", "SpliceAI=C|ONE|0.10|0.00|0.25|0.01|2|-3|40|7"),
        ("b", "C", "AF=0.1;SpliceAI=C|ONE|0.10|0.00|0.25|0.01|2|-3|40|7,C|TWO|0.00|0.91|0.00|0.00|2|-3|40|7"),
        (".", "G", "SpliceAI=G|ONE|0.00|0.00|0.00|0.00|2|-3|40|7"),
        ("skipped", "C", "AF=0.2"),
        ("dots", "C", "SpliceAI=C|ONE|.|.|.|.|.|.|.|."),
        ("other", "C", "SpliceAI=T|ONE|0.99|0.00|0.00|0.00|2|-3|40|7,C|ONE|0.20|0.00|0.00|0.00|2|-3|40|7"),
    )
    table = read_spliceai(path)
    assert tuple(table.columns) == SCORE_COLUMNS
    assert dict(zip(table["variant_id"], table["score"], strict=True)) == {
        "a": 0.25,
        "b": 0.91,
        "chr1:12:A>G": 0,
        "other": 0.2,
    }
    assert set(table["predictor"]) == {"SpliceAI"}


def test_pangolin_is_the_largest_gain_or_loss_over_genes(tmp_path: Path) -> None:
    path = vcf(
        tmp_path / "pangolin.vcf",
        ("a", "C", "Pangolin=ENSG01.1_9|-86:0.25|38:-0.53|Warnings:"),
        (
            "b",
            "C",
            "Pangolin=ENSG01.1|3:0.25|38:-0.03|Warnings:NoAnnotatedSitesToMaskForThisGene,ENSG02.1|1:0.7|2:-0.1|Warnings:",
        ),
        ("skipped", "C", "AF=0.2"),
    )
    table = read_pangolin(path)
    assert dict(zip(table["variant_id"], table["score"], strict=True)) == {"a": 0.53, "b": 0.7}


def test_what_is_not_an_annotation_is_said_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"spliceai.vcf line 3: not a SpliceAI annotation: C\|ONE"):
        read_spliceai(vcf(tmp_path / "spliceai.vcf", ("a", "C", "SpliceAI=C|ONE")))
    with pytest.raises(InputError, match=r"spliceai.vcf line 3: not a score: high"):
        read_spliceai(vcf(tmp_path / "spliceai.vcf", ("a", "C", "SpliceAI=C|ONE|high|0|0|0|1|1|1|1")))
    with pytest.raises(InputError, match=r"pangolin.vcf line 3: not a Pangolin annotation"):
        read_pangolin(vcf(tmp_path / "pangolin.vcf", ("a", "C", "Pangolin=nothing")))
    (tmp_path / "short.vcf").write_text("chr1\t1\ta\n")
    with pytest.raises(InputError, match="line 1: 3 columns, not 8"):
        read_pangolin(tmp_path / "short.vcf")


def test_tables_computed_elsewhere(tmp_path: Path) -> None:
    own = tmp_path / "own.tsv"
    own.write_text("variant_id\tscore\na\t0.5\na\t-0.9\nb\t\n")
    table = read_scores(own, "mine")
    assert set(table["predictor"]) == {"mine"}
    variants = pd.DataFrame({"variant_id": ["b", "a", "c"]}, index=[5, 6, 7])
    assert placed(variants, table).fillna(0).to_dict() == {5: 0, 6: -0.9, 7: 0}, "largest in magnitude, with its sign"
    own.write_text("variant_id\tscore\na\t0.5\nb\thigh\n")
    with pytest.raises(InputError, match="row 2: score: 'high'"):
        read_scores(own, "mine")
    own.write_text("id\tscore\na\t0.5\n")
    with pytest.raises(InputError, match="no column variant_id"):
        read_scores(own, "mine")
    annotated = vcf(tmp_path / "x.vcf", ("a", "C", "Pangolin=G|1:0.2|2:-0.1|Warnings:"))
    assert read_scores(annotated, "Pangolin")["score"].tolist() == [0.2]


def test_programs_look_as_far_as_the_paper_does() -> None:
    first = spliceai_command(Path("in.vcf"), Path("out.vcf"), Path("genome.fa"))
    assert first[0] == "spliceai" and first[first.index("-D") + 1] == "2000"
    second = pangolin_command(Path("in.vcf"), Path("out.vcf"), Path("genome.fa"), Path("genes.db"))
    assert second[0] == "pangolin" and second[second.index("-d") + 1] == "2000" and second[-1] == "out"
