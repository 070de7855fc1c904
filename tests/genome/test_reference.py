"""References: sequence, annotation and masks, from small files and from real ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from megabase.errors import InputError
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


@pytest.mark.parametrize(
    ("text", "says"), [("chr9", "choose from chr1"), ("chr1:5-500", "0-100"), ("a b", "not a region")]
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


@pytest.mark.real
def test_real_references(tmp_path: Path, shared: Path) -> None:
    for name, chrom, alias, genes in (("yeast", "chrII", {}, 300), ("human_chr22", "chr22", {"22": "chr22"}, 500)):
        folder = shared / "real" / name
        given = organism(tmp_path, chromosomes=[chrom], aliases=alias, excluded=None).__dict__ | {
            "fasta": str(folder / "genome.fa.gz"),
            "annotation": str(folder / "genes.gtf.gz"),
        }
        build_reference(Organism(**{k: v for k, v in given.items() if not k.startswith("_")}), tmp_path / name)
        reference = Reference.open(tmp_path / name)
        assert len(reference.genes()) > genes
        if name == "human_chr22":
            gaps = reference.masks()
            assert (reference.codes(chrom, 20_500_000, 20_620_000) == 4).mean() > 0.8
            assert ((gaps["start"] <= 17_500_000) & (gaps["end"] >= 19_900_000)).any()
