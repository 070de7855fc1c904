"""References: sequence, annotation and masks, from small files and from real ones."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from megabase.errors import InputError
from megabase.genome.annotation import unversioned
from megabase.genome.bedtools import find_bedtools
from megabase.genome.config import Organism
from megabase.genome.reference import Reference, build_reference
from megabase.genome.regions import Region, parse_region
from megabase.genome.sequence import encode, reverse_complement

GTF = (
    "# made up\n"
    '1\tx\texon\t11\t20\t.\t+\t.\tgene_id "a"; transcript_id "a1"; gene_biotype "coding";\n'
    '1\tx\texon\t31\t40\t.\t+\t.\tgene_id "a"; transcript_id "a1"; gene_name "Alpha";\n'
    '1\tx\texon\t51\t60\t.\t-\t.\tgene_id "b"; transcript_id "b1"; gene_name "Beta"; gene_type "coding";\n'
)


def organism(folder: Path, **changed: object) -> Organism:
    (folder / "genome.fa").write_text(">1 first\nACGTN\nnnACG\n" + "ACGTA\n" * 18 + ">2\nACGT\n")
    (folder / "genes.gtf").write_text(GTF)
    (folder / "excluded.bed").write_text("1\t20\t30\n1\t25\t35\n")
    given: dict = {
        "index": 0,
        "assembly": "made1",
        "fasta": str(folder / "genome.fa"),
        "annotation": str(folder / "genes.gtf"),
        "excluded": str(folder / "excluded.bed"),
        "chromosomes": ["chr1"],
        "aliases": {"1": "chr1"},
        "sources": "none.tsv",
        "bundles": {"DNASE": 1},
        "folds": [{"train": ["chr1"], "valid": [], "test": []}],
    }
    return Organism(**given | changed)


def test_a_reference_holds_what_its_files_say(tmp_path: Path) -> None:
    build_reference(organism(tmp_path), tmp_path / "reference")
    reference = Reference.open(tmp_path / "reference")
    assert reference.assembly == "made1" and reference.sizes == {"chr1": 100}
    assert reference.codes("chr1", -2, 8).tolist() == [4, 4, 0, 1, 2, 3, 4, 4, 4, 0]
    assert reference.codes("chr1", 98, 102).tolist() == [3, 0, 4, 4]
    genes = reference.genes()
    assert genes[["gene_id", "start", "end", "strand"]].to_numpy().tolist() == [["a", 10, 40, "+"], ["b", 50, 60, "-"]]
    assert genes["gene_type"].tolist() == ["coding", "coding"]
    assert len(reference.exons()) == 3
    masks = reference.masks()[["chrom", "start", "end", "reason"]].to_numpy().tolist()
    assert masks == [["chr1", 4, 7, "gap"], ["chr1", 20, 35, "excluded"]]


def test_a_missing_chromosome_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"genome\.fa: no chromosome `chr9`; it has 1, 2"):
        build_reference(organism(tmp_path, chromosomes=["chr1", "chr9"]), tmp_path / "reference")
    assert not (tmp_path / "reference").exists()


def test_an_annotation_of_other_names_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the file names 1: add organisms"):
        build_reference(organism(tmp_path, chromosomes=["2"], aliases={}), tmp_path / "reference")


def test_a_truncated_sequence_is_one_line(tmp_path: Path) -> None:
    given = organism(tmp_path)
    whole = gzip.compress(Path(given.fasta).read_bytes() * 50)
    (tmp_path / "cut.fa.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.fa\.gz: cannot be read"):
        build_reference(organism(tmp_path, fasta=str(tmp_path / "cut.fa.gz")), tmp_path / "reference")


FASTA, ANNOTATION, EXCLUDED = "genome.fa", "genes.gtf", "excluded.bed"
EXON = "1\tx\texon\t{}\t{}\t.\t+\t.\t{}\n"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (FASTA, ">1\nACGT\n>chr1\nAC\n", "chr1 is there twice"),
        (FASTA, ">1\n>2\nACGT\n", "chr1 is empty"),
        (FASTA, "<html>\n", "line 1: not a FASTA"),
        (FASTA, ">\nACGT\n", "line 1: not a FASTA"),
        (ANNOTATION, EXON.format(11, 20, "Parent=a"), "line 1: no gene_id; give a GTF"),
        (ANNOTATION, EXON.format(11, 101, 'gene_id "a";'), "line 1: exon ends at 101, chr1 has 100 bases"),
        (EXCLUDED, "# x\nchrom\tstart\tend\n", "line 2: not a BED row"),
        (EXCLUDED, "1\t30\t20\n", "line 1: 1:30-20 is not within 0-100"),
        (EXCLUDED, "1\t30\t101\n", "line 1: 1:30-101 is not within 0-100; use the exclusion list of"),
    ],
)
def test_files_of_another_kind_or_assembly(tmp_path: Path, name: str, text: str, says: str) -> None:
    given = organism(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name}.*{says}"):
        build_reference(given, tmp_path / "reference")
    assert not (tmp_path / "reference").exists()


def test_compression_is_seen_from_the_bytes(tmp_path: Path) -> None:
    given = organism(tmp_path)
    build_reference(given, tmp_path / "plain")
    for name in (FASTA, ANNOTATION, EXCLUDED):
        text = (tmp_path / name).read_bytes()
        # Two members, as bgzip writes many.
        (tmp_path / name).write_bytes(gzip.compress(text[:50]) + gzip.compress(text[50:]))
    build_reference(given, tmp_path / "packed")
    for name in ("genome.fa", "genes.parquet", "exons.parquet", "masks.parquet"):
        assert (tmp_path / "packed" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_an_exclusion_list_of_other_names_is_mentioned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = organism(tmp_path)
    (tmp_path / EXCLUDED).write_text("track name=x\none\t1\t2\n")
    build_reference(given, tmp_path / "reference")
    assert "nothing on the chromosomes used; it names ['one']" in caplog.text
    assert set(Reference.open(tmp_path / "reference").masks()["reason"]) == {"gap"}


@pytest.mark.filterwarnings("ignore:Index file:RuntimeWarning")
def test_an_index_that_looks_old_is_left_alone(tmp_path: Path) -> None:
    build_reference(organism(tmp_path), tmp_path / "reference")
    index = tmp_path / "reference" / "genome.fa.fai"
    os.utime(index, (1, 1))
    assert Reference.open(tmp_path / "reference").codes("chr1", 0, 4).tolist() == [0, 1, 2, 3]
    assert index.stat().st_mtime == 1


def test_genes_of_a_file_that_has_them_and_genes_on_other_chromosomes(tmp_path: Path) -> None:
    given = organism(tmp_path)
    gene = '1\tx\tgene\t5\t50\t.\t-\t.\tgene_id "a"; gene_biotype "coding";\n'
    (tmp_path / ANNOTATION).write_text(
        gene + EXON.format(11, 20, 'gene_id "a";') + EXON.format(1, 2, "").replace("1", "9", 1)
    )
    build_reference(given, tmp_path / "reference")
    genes = Reference.open(tmp_path / "reference").genes().to_numpy().tolist()
    assert genes == [["chr1", 4, 50, "-", "a", "a", "coding"]]


def test_bedtools_is_found_or_its_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (find_bedtools() / "bedtools").exists()
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(InputError, match=r"bedtools: not found .*make setup.*apt-get install bedtools"):
        find_bedtools()


@pytest.mark.parametrize(
    ("text", "says"),
    [("chr1:,-5", "not a region"), ("chr9", "choose from chr1"), ("chr1:5-500", "0-100"), ("a b", "not a region")],
)
def test_bad_regions(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_region(text, {"chr1": 100}, "here")


def test_regions_and_strands() -> None:
    assert parse_region("chr1:1,0-20", {"chr1": 100}, "here") == Region("chr1", 10, 20)
    assert Region("chr1", 0, 10).overlap(Region("chr1", 5, 20)) == 5
    codes = encode("ACGTNacgt")
    assert codes.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3]
    assert reverse_complement(codes).tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3]
    assert np.array_equal(reverse_complement(reverse_complement(codes)), codes)


def real(tmp_path: Path, folder: Path, chromosomes: list[str], aliases: dict[str, str]) -> Reference:
    given = organism(
        tmp_path,
        fasta=str(folder / "genome.fa.gz"),
        annotation=str(folder / "genes.gtf.gz"),
        excluded=None,
        chromosomes=chromosomes,
        aliases=aliases,
    )
    build_reference(given, tmp_path / folder.name)
    return Reference.open(tmp_path / folder.name)


@pytest.mark.real
def test_the_whole_yeast_genome(tmp_path: Path, shared: Path) -> None:
    numerals = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV", "XVI"]
    names = [f"chr{numeral}" for numeral in [*numerals, "M"]]
    reference = real(tmp_path, shared / "real" / "yeast", names, {})
    assert list(reference.sizes) == sorted(names) and sum(reference.sizes.values()) == 12_157_105
    assert len(reference.masks()) == 0
    genes = reference.genes()
    # The file has exon rows alone; most genes of yeast have one exon and begin with ATG.
    assert len(genes) == genes["gene_id"].nunique() == 6_990 and len(reference.exons()) == 7_335
    coding = genes[(genes["gene_type"] == "protein_coding") & (genes["chrom"] == "chrII")]
    starts = []
    for gene in coding.itertuples():
        codes = reference.codes(gene.chrom, gene.start, gene.end)
        starts.append((codes if gene.strand == "+" else reverse_complement(codes))[:3].tolist() == [0, 3, 2])
    # Some rows are transcripts with untranslated ends; chance would give one in 64.
    assert np.mean(starts) > 0.8


@pytest.mark.real
def test_chromosome_22(tmp_path: Path, shared: Path) -> None:
    reference = real(tmp_path, shared / "real" / "human_chr22", ["chr22"], {"22": "chr22"})
    assert reference.sizes == {"chr22": 51_304_566}
    # 1-based inclusive pieces with sequence: 16,050,001-16,697,850, 16,847,881-17,399,940, 20,000,001-21,000,000
    # but for 20.51-20.61 Mb.
    gaps = reference.masks()[["start", "end"]].to_numpy().tolist()
    known = list(zip([end for _, end in gaps], [start for start, _ in gaps[1:]], strict=False))
    assert known[:2] == [(16_050_000, 16_697_850), (16_847_880, 17_399_940)]
    assert known[2][0] == 20_000_000 and known[-1][1] == 21_000_000
    assert (reference.codes("chr22", 16_697_840, 16_697_860) == 4).tolist() == [False] * 10 + [True] * 10
    genes = reference.genes()
    assert len(genes) == 1_263 and (genes["gene_type"] == "protein_coding").sum() == 450
    assert (genes["gene_name"] != genes["gene_id"]).all()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("ENSG00000186092.7", "ENSG00000186092"),
        ("ENSG00000002586.20_PAR_Y", "ENSG00000002586"),
        ("ENSG00000186092", "ENSG00000186092"),
        ("ENSG00000186092.grp_1.upstream", "ENSG00000186092"),
        ("gene12.3", "gene12"),
        ("chr1.gene12", "chr1.gene12"),
        ("", ""),
    ],
)
def test_an_identifier_without_its_version(given: str, wanted: str) -> None:
    assert unversioned(given) == wanted
