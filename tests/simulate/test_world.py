"""The world as its readers see it: files in real formats, the same each time, that follow the true rates."""

from __future__ import annotations

import csv
import gzip
import hashlib
import itertools
import shutil
from pathlib import Path

import numpy as np
import pyBigWig
import pysam
import pytest

from megabase.errors import InputError
from megabase.simulate.assays import generator
from megabase.simulate.config import WorldConfig
from megabase.simulate.files import write_dnase_bam, write_fragments
from megabase.simulate.genome import Chromosome
from megabase.simulate.world import build_genome, write_world

SIZES = {"chr1": 150_000, "chr2": 100_007}
"""The second length is no multiple of any bin."""
CONFIG = WorldConfig(chromosomes=SIZES)


@pytest.fixture(scope="module")
def table(repo_root: Path) -> Path:
    return repo_root / "config/demo/sources.tsv"


@pytest.fixture(scope="module")
def rows(table: Path) -> list[dict[str, str]]:
    lines = [line for line in table.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t"))


@pytest.fixture(scope="module")
def world(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    write_world(CONFIG, table, root)
    return root


@pytest.fixture(scope="module")
def chromosomes() -> list[Chromosome]:
    return build_genome(CONFIG)


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def drawn(world: Path, row: dict[str, str], chromosome: str) -> np.ndarray:
    """What a source file holds at the bin of its bundle, by the plainest reading of its format."""
    path, size = world / row["file"], SIZES[chromosome]
    counts = np.zeros(size)
    if row["format"] == "bigWig":
        with pyBigWig.open(str(path)) as file:
            assert file.chroms() == SIZES
            values = np.nan_to_num(file.values(chromosome, 0, size, numpy=True))
        if row["control"]:
            with pyBigWig.open(str(world / row["control"])) as file:
                values = values / file.values(chromosome, 0, size, numpy=True)
        return values if row["reading"] == "coverage" else values[::16]
    if row["format"] == "BAM":
        with pysam.AlignmentFile(str(path), "rb") as file:
            for read in file.fetch(chromosome):
                if read.mapping_quality >= 30:
                    # 5' end of a minus read: the last base, reference_end - 1; DNase shift +1.
                    counts[read.reference_end - 1 + 1 if read.is_reverse else read.reference_start] += 1
        return counts
    with gzip.open(path, "rt") as file:
        for line in file:
            name, start, end, *rest = line.rstrip("\n").split("\t")
            if name != chromosome:
                continue
            if row["format"] == "BEDPE":
                np.add.at(counts, [int(start), int(end) - 1], 1)
            elif rest[2] == row["strand"]:
                assert int(end) == int(start) + 1
                counts[int(start)] += int(rest[1])
    return counts


def truth(world: Path, row: dict[str, str], chromosome: str) -> np.ndarray:
    suffix = {"+": ".plus", "-": ".minus", ".": ""}[row["strand"]]
    path = world / "truth" / row["bundle"] / f"{row['track'].replace(' ', '_').replace('-', '_')}{suffix}.npz"
    with np.load(path) as arrays:
        assert arrays[chromosome].dtype == np.float32
        return arrays[chromosome]


def oracle(world: Path, row: dict[str, str]) -> float:
    """Pearson correlation of the true rate with what was drawn: 1 bp, or 128 bp for ChIP."""
    expected, observed = [], []
    for chromosome in SIZES:
        pair = truth(world, row, chromosome), drawn(world, row, chromosome)
        assert pair[0].shape == pair[1].shape
        width = 8 if row["bundle"].startswith("CHIP") else 1
        summed = [values[: len(values) // width * width].reshape(-1, width).sum(axis=1) for values in pair]
        expected.append(summed[0])
        observed.append(summed[1])
    return float(np.corrcoef(np.concatenate(expected), np.concatenate(observed))[0, 1])


def test_what_is_drawn_follows_the_true_rate_but_not_exactly(world: Path, rows: list[dict[str, str]]) -> None:
    found = {(row["file"], row["strand"]): oracle(world, row) for row in rows}
    assert len(found) == len(rows) == 15
    outside = {name: r for name, r in found.items() if not 0.75 < r < 0.97}
    assert not outside


def test_the_truth_of_one_strand_is_not_that_of_the_other(world: Path, rows: list[dict[str, str]]) -> None:
    plus, minus = (next(row for row in rows if row["bundle"] == "CAGE" and row["strand"] == s) for s in "+-")
    assert np.corrcoef(truth(world, plus, "chr1"), drawn(world, minus, "chr1"))[0, 1] < 0.05


def test_a_biosample_has_its_own_open_chromatin(world: Path, rows: list[dict[str, str]]) -> None:
    k562, _, hepg2 = (truth(world, row, "chr1") for row in rows if row["bundle"] == "DNASE")
    shared = np.corrcoef(k562, hepg2)[0, 1]
    assert 0.2 < shared < 0.8


def test_dnase_reads_give_back_the_drawn_cuts(tmp_path: Path, chromosomes: list[Chromosome]) -> None:
    rng = np.random.default_rng(7)
    cuts = {name: np.sort(rng.integers(0, size, 5000)) for name, size in SIZES.items()}
    for name, size in SIZES.items():
        cuts[name][:3], cuts[name][-3:] = 0, size - 1
    write_dnase_bam(tmp_path / "one.bam", chromosomes, cuts, rng)
    for chromosome in chromosomes:
        row = {"file": "one.bam", "format": "BAM"}
        counts = drawn(tmp_path, row, chromosome.name)
        np.testing.assert_array_equal(counts, np.bincount(cuts[chromosome.name], minlength=len(chromosome)))
    with pysam.AlignmentFile(str(tmp_path / "one.bam")) as file:
        sequence = "".join("ACGT"[code] for code in chromosomes[0].codes)
        reads = list(file.fetch("chr1"))
        assert all(read.query_sequence == sequence[read.reference_start : read.reference_end] for read in reads)
        assert {read.is_reverse for read in reads} == {True, False}
        assert 100 < sum(read.mapping_quality < 30 for read in reads) < 200


def test_fragments_give_back_the_drawn_cuts(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    cuts = {name: np.sort(rng.integers(0, size, 4000)) for name, size in SIZES.items()}
    write_fragments(tmp_path / "one.bedpe.gz", cuts, rng)
    for name, size in SIZES.items():
        counts = drawn(tmp_path, {"file": "one.bedpe.gz", "format": "BEDPE"}, name)
        np.testing.assert_array_equal(counts, np.bincount(cuts[name], minlength=size))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(world: Path, table: Path, tmp_path: Path) -> None:
    before = digests(world)
    again = tmp_path / "again"
    shutil.copytree(world, again)
    (again / "genome.fa").write_text("rubbish")
    write_world(CONFIG, table, again)
    assert digests(again) == before
    write_world(WorldConfig(chromosomes=SIZES, seed=2), table, tmp_path / "other")
    other = digests(tmp_path / "other")
    assert other.keys() == before.keys()
    assert not set(other.values()) & set(before.values())


def test_the_order_of_the_table_changes_no_file(world: Path, table: Path, tmp_path: Path) -> None:
    comment, names, *lines = [line for line in table.read_text().splitlines() if not line.startswith("# Bio")]
    kept = [line for line in lines if line.startswith(("CAGE", "RNA_SEQ"))]
    (tmp_path / "sources.tsv").write_text("\n".join([comment, names, *reversed(kept)]) + "\n")
    write_world(CONFIG, tmp_path / "sources.tsv", tmp_path / "world")
    before, after = digests(world), digests(tmp_path / "world")
    assert after == {name: before[name] for name in after}
    assert len([name for name in after if name.startswith("files/")]) == 4


def test_genes_are_spliced_at_gt_ag_and_named(world: Path) -> None:
    sequence = {name: pysam.FastaFile(str(world / "genome.fa")).fetch(name) for name in SIZES}
    assert {name: len(text) for name, text in sequence.items()} == SIZES
    exons: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    features = set()
    for line in (world / "genes.gtf").read_text().splitlines():
        chromosome, _, feature, start, end, _, strand, _, text = line.split("\t")
        attributes = dict(item.split(" ", 1) for item in text.rstrip(";").split("; "))
        assert {"gene_id", "gene_name", "gene_type"} <= attributes.keys()
        features.add(feature)
        if feature == "exon":
            key = (chromosome, strand, attributes["transcript_id"])
            exons.setdefault(key, []).append((int(start) - 1, int(end)))
    assert features == {"gene", "transcript", "exon"}
    assert len(exons) > 30
    introns = 0
    for (chromosome, strand, _), parts in exons.items():
        parts.sort()
        for (_, left), (right, _) in itertools.pairwise(parts):
            intron = sequence[chromosome][left:right]
            edges = (intron[:2], intron[-2:])
            assert edges == (("GT", "AG") if strand == "+" else ("CT", "AC"))
            introns += 1
    assert introns >= len(exons)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\tHepG2\t", "\tHeLa\t", "no biosample `HeLa` here; choose from K562, HepG2"),
        ("\tATAC-seq\t", "\tMNase-seq\t", "no assay `MNase-seq` here; choose from ATAC-seq"),
        ("\tH3K4me3\t", "\tH3K9me3\t", "no target `H3K9me3` here; choose from H3K27ac, H3K4me3"),
        ("CAGE\tK562", "PROCAP\tK562", "the simulated world has no PROCAP; choose from RNA_SEQ, DNASE"),
        ("\tBEDPE\t", "\tBED\t", "no format `BED` here; choose from BEDPE"),
        ("files/hepg2.rna.bw", "files/k562.ctcf.bw", "files/k562.ctcf.bw is the file of another experiment too"),
        ("\tfiles/k562.rna.minus.bw\t\t", "\tfiles/nothing.bw\t\t", "pair `files/nothing.bw` must be"),
    ],
)
def test_what_the_world_does_not_have_is_said_before_anything_is_written(
    table: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = table.read_text()
    assert old in text
    (tmp_path / "sources.tsv").write_text(text.replace(old, new))
    with pytest.raises(InputError) as error:
        write_world(CONFIG, tmp_path / "sources.tsv", tmp_path / "world")
    assert said in str(error.value)
    assert str(tmp_path / "sources.tsv") in error.value.where
    assert not (tmp_path / "world").exists()


def test_a_chromosome_too_short_for_a_gene_is_still_written(table: Path, tmp_path: Path) -> None:
    write_world(WorldConfig(chromosomes={"chr1": 8192, "chr2": 9000}), table, tmp_path)
    assert (tmp_path / "files/k562.dnase.rep1.bam.bai").exists()


def test_shares_of_elements_cannot_exceed_one() -> None:
    with pytest.raises(ValueError, match="more than one"):
        WorldConfig(enhancer_share=0.7, insulator_share=0.7)


def test_random_numbers_depend_on_seed_and_name() -> None:
    first = generator(CONFIG, "a", "b").random()
    assert first == generator(CONFIG, "a", "b").random() != generator(CONFIG, "a", "c").random()
