"""The world as its readers see it: files in real formats, the same each time, that follow the true rates."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cooler
import numpy as np
import pandas as pd
import pyBigWig
import pysam
import pytest

from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.portals.naming import track_name
from megabase.portals.sources import identifier
from megabase.simulate.alignments import together, write_bam
from megabase.simulate.assays import ASSAYS, random_numbers
from megabase.simulate.config import GenomeConfig, WorldConfig
from megabase.simulate.experiments import Experiment, read_experiments
from megabase.simulate.genome import Chromosome
from megabase.simulate.homology import build_genomes
from megabase.simulate.reads import cut_reads
from megabase.simulate.splicing import junction_rates
from megabase.simulate.world import write_world

SIZES = {"chr1": 40_000, "chr2": 40_007}
"""The second length is no multiple of any bin."""


@pytest.fixture(scope="module")
def tables(repo_root: Path) -> dict[str, Path]:
    return {name: repo_root / f"config/demo/{name}.experiments.tsv" for name in ("human", "mouse")}


@pytest.fixture(scope="module")
def config(tables: Mapping[str, Path]) -> WorldConfig:
    return tiny(tables)


def tiny(tables: Mapping[str, Path], **other: Any) -> WorldConfig:
    human = GenomeConfig(experiments=str(tables["human"]), chromosomes=SIZES)
    mouse = GenomeConfig(experiments=str(tables["mouse"]), chromosomes=SIZES, homologous_to="human")
    return WorldConfig(organisms={"human": human, "mouse": mouse}, variants=1, **other)


@pytest.fixture(scope="module")
def world(config: WorldConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    write_world(config, root)
    return root


@pytest.fixture(scope="module")
def chromosomes(config: WorldConfig) -> list[Chromosome]:
    return build_genomes(config)["human"]


@pytest.fixture(scope="module")
def experiments(tables: Mapping[str, Path]) -> list[Experiment]:
    return read_experiments(tables["human"], "human")


@pytest.fixture(scope="module")
def entries(world: Path) -> dict[str, dict[str, Any]]:
    files = json.loads((world / "portals/catalog.json").read_text())["files"]
    return {entry["path"]: entry for entry in files}


def path_of(world: Path, entries: Mapping[str, Mapping[str, Any]], experiment: Experiment) -> Path:
    (found,) = (path for path in entries if experiment.accession in path)
    return world / "portals/files" / found


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def drawn(path: Path, bundle: str, strand: str, chromosome: str) -> np.ndarray:
    """What a source file holds at the bin of its bundle, by the plainest reading of its format."""
    size = SIZES[chromosome]
    counts = np.zeros(size)
    if path.suffix in (".bigWig", ".bw"):
        with pyBigWig.open(str(path)) as file:
            assert file.chroms() == SIZES
            values = np.nan_to_num(file.values(chromosome, 0, size, numpy=True))
        return values[::16] if bundle.startswith("CHIP") else values
    if path.suffix == ".bam":
        plus, minus = {"DNASE": (0, 1), "ATAC": (4, -4)}[bundle]
        with pysam.AlignmentFile(str(path), "rb") as file:
            for read in file.fetch(chromosome):
                if read.mapping_quality >= 30:
                    # 5' end of a minus read: the last base, reference_end - 1.
                    cut = read.reference_end - 1 + minus if read.is_reverse else read.reference_start + plus
                    counts[cut] += 1
        return counts
    with gzip.open(path, "rt") as file:
        for line in file:
            name, start, end, _, score, found = line.rstrip("\n").split("\t")
            assert int(end) == int(start) + 1
            if (name, found) == (chromosome, strand):
                counts[int(start)] += int(score)
    return counts


def truth(world: Path, experiment: Experiment, strand: str, chromosome: str) -> np.ndarray:
    name = track_name(experiment.bundle, experiment.biosample, experiment.assay, experiment.target)
    path = world / "human/truth" / experiment.bundle / f"{identifier(name, strand)}.npz"
    with np.load(path) as arrays:
        assert arrays[chromosome].dtype == np.float32
        return arrays[chromosome]


def oracle(world: Path, path: Path, experiment: Experiment, strand: str) -> float:
    """Pearson correlation of the true rate with what was drawn: 1 bp, or 128 bp for ChIP."""
    expected, observed = [], []
    for chromosome in SIZES:
        pair = truth(world, experiment, strand, chromosome), drawn(path, experiment.bundle, strand, chromosome)
        assert pair[0].shape == pair[1].shape
        width = 8 if experiment.bundle.startswith("CHIP") else 1
        summed = [values[: len(values) // width * width].reshape(-1, width).sum(axis=1) for values in pair]
        expected.append(summed[0])
        observed.append(summed[1])
    return float(np.corrcoef(np.concatenate(expected), np.concatenate(observed))[0, 1])


def test_what_is_drawn_follows_the_true_rate_but_not_exactly(
    world: Path, entries: Mapping[str, Any], experiments: list[Experiment]
) -> None:
    found = {}
    for one in experiments:
        if one.bundle in ("SPLICE_JUNCTIONS", "CONTACT_MAPS") or one.decoy:
            continue
        for strand in ASSAYS[one.bundle].tracks[one.strand]:
            found[one.accession, strand] = oracle(world, path_of(world, entries, one), one, strand)
    assert len(found) == 34
    outside = {name: r for name, r in found.items() if not 0.6 < r < 0.999}
    assert not outside


def test_a_decoy_is_drawn_from_other_rates(
    world: Path, entries: Mapping[str, Any], experiments: list[Experiment]
) -> None:
    decoys = [one for one in experiments if one.decoy and one.bundle == "DNASE"]
    assert len(decoys) == 2
    for one in decoys:
        assert oracle(world, path_of(world, entries, one), one, ".") < 0.7


def test_all_tracks_of_the_demo_have_files_and_truth(world: Path, tables: Mapping[str, Path]) -> None:
    expected = {
        "human": {"DNASE": 3, "ATAC": 3, "CAGE": 6, "RNA_SEQ": 7, "PROCAP": 2}
        | {"CHIP_TF": 4, "CHIP_HISTONE": 4, "CONTACT_MAPS": 2},
        "mouse": {"DNASE": 3, "ATAC": 1, "CAGE": 4, "RNA_SEQ": 4, "CHIP_TF": 2, "CHIP_HISTONE": 2, "CONTACT_MAPS": 1},
    }
    for organism, bundles in expected.items():
        folder = world / organism / "truth"
        found = {path.name: len(list(path.glob("*.npz"))) for path in folder.iterdir() if path.is_dir()}
        assert found == bundles
        assert set(found) <= set(BUNDLES)
    conditions = {"human": 4, "mouse": 2}
    for organism, count in conditions.items():
        junctions = pd.read_parquet(world / organism / "truth/SPLICE_JUNCTIONS.parquet")
        assert junctions["curie"].nunique() == count


def test_the_catalogue_names_every_file_and_no_other(world: Path, entries: Mapping[str, Any]) -> None:
    served = {str(path.relative_to(world / "portals/files")) for path in (world / "portals/files").rglob("*.*")}
    assert {path for path in served if not path.endswith(".bai")} == set(entries)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    world: Path, config: WorldConfig, tables: Mapping[str, Path], tmp_path: Path
) -> None:
    before = digests(world)
    again = tmp_path / "again"
    shutil.copytree(world, again)
    (again / "portals/files/references/human/genes.gtf.gz").write_text("rubbish")
    write_world(config, again)
    assert digests(again) == before
    human = {"human": tiny(tables).organisms["human"]}
    write_world(WorldConfig(organisms=human, variants=1, seed=2), tmp_path / "other")
    other = digests(tmp_path / "other")
    assert other.keys() < before.keys()
    same = {name for name in other if before[name] == other[name]}
    assert all(name.endswith(("catalog.json", ".ID.gz", ".MD.gz")) for name in same)


@pytest.mark.parametrize(("read", "shift"), [(36, (0, 1)), (50, (4, -4))])
def test_reads_give_back_the_drawn_cuts(
    tmp_path: Path, chromosomes: list[Chromosome], read: int, shift: tuple[int, int]
) -> None:
    rng = np.random.default_rng(7)
    cuts = {name: np.sort(rng.integers(5, size - 5, 5000)) for name, size in SIZES.items()}
    for name, size in SIZES.items():
        cuts[name][:3], cuts[name][-3:] = 4, size - 5
    reads = {name: cut_reads(size, cuts[name], read, shift, rng) for name, size in SIZES.items()}
    write_bam(tmp_path / "one.bam", chromosomes, reads)
    bundle = "DNASE" if shift == (0, 1) else "ATAC"
    for chromosome in chromosomes:
        counts = drawn(tmp_path / "one.bam", bundle, ".", chromosome.name)
        np.testing.assert_array_equal(counts, np.bincount(cuts[chromosome.name], minlength=len(chromosome)))
    with pysam.AlignmentFile(str(tmp_path / "one.bam")) as file:
        sequence = "".join("ACGT"[code] for code in chromosomes[0].codes)
        listed = list(file.fetch("chr1"))
        assert all(one.query_sequence == sequence[one.reference_start : one.reference_end] for one in listed)
        assert {one.is_reverse for one in listed} == {True, False}
        assert {one.query_length for one in listed} == {read}
        assert 100 < sum(one.mapping_quality < 30 for one in listed) < 200
        inside = [one for one in listed if 10_000 <= one.reference_start < 20_000]
        assert len(list(file.fetch("chr1", 10_000, 20_000))) >= len(inside) > 0


def test_rna_reads_are_spliced_as_the_isoforms_are(
    world: Path,
    config: WorldConfig,
    entries: Mapping[str, Any],
    experiments: list[Experiment],
    chromosomes: list[Chromosome],
) -> None:
    one = next(one for one in experiments if one.bundle == "SPLICE_JUNCTIONS" and one.biosample == "K562")
    expected = pd.concat(
        [junction_rates(chromosome, "K562").assign(chrom=chromosome.name) for chromosome in chromosomes]
    )
    rates = expected.set_index(["chrom", "start", "end"])["value"]
    counts: dict[tuple[str, int, int], int] = {}
    with pysam.AlignmentFile(str(path_of(world, entries, one))) as file:
        genome = {name: "".join("ACGT"[code] for code in c.codes) for name, c in zip(SIZES, chromosomes, strict=True)}
        reads = list(file)
        for read in reads:
            blocks = read.get_blocks()
            assert sum(end - start for start, end in blocks) == read.query_length == 75
            assert read.query_sequence == "".join(genome[read.reference_name][start:end] for start, end in blocks)
            if read.is_duplicate or read.mapping_quality < 30:
                continue
            for (_, left), (right, _) in itertools.pairwise(blocks):
                key = (read.reference_name, left, right)
                counts[key] = counts.get(key, 0) + 1
                motif = genome[key[0]][left : left + 2]
                assert motif == ("GT" if read.get_tag("XS") == "+" else "CT")
        pairs = [read for read in reads if read.is_read1]
        assert len(pairs) * 2 == len(reads)
        assert all(read.is_proper_pair and read.is_reverse != read.mate_is_reverse for read in reads)
        starts = {(read.query_name, read.is_read1): read.reference_start for read in reads}
        assert all(starts[read.query_name, False] == read.next_reference_start for read in pairs)
    assert set(counts) <= set(rates.index)
    observed = pd.Series(counts).reindex(rates.index).fillna(0)
    assert np.corrcoef(observed, rates)[0, 1] > 0.8
    assert 0.6 < observed.sum() / (config.junction_reads * rates.sum()) < 1.4
    assert 0.01 < np.mean([read.is_duplicate for read in reads]) < 0.06
    doubtful = [read for read in reads if read.mapping_quality < 30]
    assert 0.01 < len(doubtful) / len(reads) < 0.06
    assert min(read.get_tag("NH") for read in doubtful) > 1


def test_contact_maps_are_raw_counts_with_weights(
    world: Path, entries: Mapping[str, Any], experiments: list[Experiment]
) -> None:
    for one in experiments:
        if one.bundle != "CONTACT_MAPS":
            continue
        path = path_of(world, entries, one)
        assert cooler.fileops.list_coolers(str(path)) == ["/resolutions/1000", "/resolutions/2000"]
        fine, coarse = (cooler.Cooler(f"{path}::resolutions/{size}") for size in (1000, 2000))
        assert fine.info["sum"] == coarse.info["sum"]
        assert dict(fine.chromsizes) == SIZES
        for map in (fine, coarse):
            with map.open("r") as file:
                assert file["bins/weight"].attrs["converged"]
            matrix = np.triu(map.matrix(balance=True).fetch("chr1"), 2)
            np.testing.assert_allclose((matrix + matrix.T).sum(axis=0), 1, rtol=1e-3)
        raw = fine.matrix(balance=False).fetch("chr2")
        np.testing.assert_array_equal(coarse.matrix(balance=False).fetch("chr2")[0, 1], raw[:2, 2:4].sum())
        if not one.decoy:
            band = truth(world, one, ".", "chr1")
            balanced = fine.matrix(balance=True).fetch("chr1")
            means = [np.nanmean(np.diagonal(balanced, offset)) for offset in range(2, 8)]
            ratios = [np.diagonal(balanced, offset) / mean for offset, mean in enumerate(means, 2)]
            expected = [band[: len(ratio), offset] for offset, ratio in enumerate(ratios, 2)]
            observed = np.log(np.concatenate(ratios) + 0.05)
            assert np.corrcoef(np.concatenate(expected), observed)[0, 1] > 0.35


def test_recount3_tables_agree(world: Path) -> None:
    folder = world / "portals/files/recount3/human/LIVER"
    ranges = pd.read_csv(folder / "gtex.junctions.LIVER.ALL.RR.gz", sep="\t")
    ids = pd.read_csv(folder / "gtex.junctions.LIVER.ALL.ID.gz", sep="\t")["rail_id"]
    with gzip.open(folder / "gtex.junctions.LIVER.ALL.MM.gz", "rt") as file:
        head, shape, *rows = file.read().splitlines()
    assert head == "%%MatrixMarket matrix coordinate integer general"
    assert shape == f"{len(ranges)} {len(ids)} {len(rows)}"
    entries = np.array([row.split() for row in rows], dtype=int)
    assert entries.min() >= 1
    quality = pd.read_csv(folder / "gtex.recount_qc.LIVER.MD.gz", sep="\t")
    samples = pd.read_csv(folder / "gtex.gtex.LIVER.MD.gz", sep="\t")
    assert list(ids) == list(quality["rail_id"]) == list(samples["rail_id"])
    assert list(samples["SMAFRZE"]) == ["RNASEQ"] * 3 + ["EXCLUDE"]
    for sample, area in zip(quality["external_id"], quality["bc_auc.all_reads_all_bases"], strict=True):
        with pyBigWig.open(str(folder / f"gtex.base_sums.LIVER_{sample}.ALL.bw")) as file:
            assert file.header()["sumData"] == pytest.approx(area, rel=1e-6)
    genome = read_fasta(world / "portals/files/references/human/genome.fa.gz")
    known = ranges[ranges["annotated"] == 1]
    for row in known.itertuples():
        intron = genome[row.chromosome][row.start - 1 : row.end]
        assert (intron[:2], intron[-2:]) == (("GT", "AG") if row.strand == "+" else ("CT", "AC"))
    assert 0 < len(ranges) - len(known) < len(known)


def read_fasta(path: Path) -> dict[str, str]:
    parts = gzip.decompress(path.read_bytes()).decode().split(">")[1:]
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1].replace("\n", "") for part in parts}


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_references_agree(world: Path, organism: str) -> None:
    folder = world / "portals/files/references" / organism
    sequence = read_fasta(folder / "genome.fa.gz")
    assert {name: len(text) for name, text in sequence.items()} == SIZES
    exons: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    features = set()
    for line in gzip.decompress((folder / "genes.gtf.gz").read_bytes()).decode().splitlines():
        chromosome, _, feature, start, end, _, strand, _, text = line.split("\t")
        attributes = dict(item.split(" ", 1) for item in text.rstrip(";").split("; "))
        assert {"gene_id", "gene_name", "gene_type"} <= attributes.keys()
        features.add(feature)
        if feature == "exon":
            key = (chromosome, strand, attributes["transcript_id"].strip('"'))
            exons.setdefault(key, []).append((int(start) - 1, int(end)))
    assert features == {"gene", "transcript", "exon"}
    introns = 0
    for (chromosome, strand, _), parts in exons.items():
        parts.sort()
        for (_, left), (right, _) in itertools.pairwise(parts):
            intron = sequence[chromosome][left:right]
            assert (intron[:2], intron[-2:]) == (("GT", "AG") if strand == "+" else ("CT", "AC"))
            introns += 1
    assert introns >= len(exons) > 5
    polya = pd.read_csv(folder / "polya.tsv", sep="\t")
    assert list(polya.columns) == ["chrom", "position", "strand", "gene_id", "pas_id"]
    ends = {(c, s, parts[-1][1] - 1 if s == "+" else parts[0][0]) for (c, s, _), parts in exons.items()}
    assert set(zip(polya["chrom"], polya["strand"], polya["position"], strict=True)) <= ends


def test_truth_of_splicing_names_the_exonic_bases(world: Path) -> None:
    folder = world / "human/truth"
    sites = pd.read_parquet(folder / "SPLICE_SITES.parquet")
    usage = pd.read_parquet(folder / "SPLICE_SITE_USAGE.parquet")
    junctions = pd.read_parquet(folder / "SPLICE_JUNCTIONS.parquet")
    assert list(sites.columns) == ["chrom", "position", "strand", "kind", "score"]
    assert list(usage.columns) == ["chrom", "position", "strand", "kind", "curie", "value"]
    assert list(junctions.columns) == ["chrom", "start", "end", "strand", "curie", "value"]
    genome = read_fasta(world / "portals/files/references/human/genome.fa.gz")
    for row in sites.itertuples():
        # The two bases of the intron beside the site, on the plus strand.
        right = (row.kind == "donor") == (row.strand == "+")
        motif = genome[row.chrom][row.position + 1 : row.position + 3] if right else None
        motif = motif or genome[row.chrom][row.position - 2 : row.position]
        assert motif == {"donor+": "GT", "acceptor+": "AG", "donor-": "AC", "acceptor-": "CT"}[row.kind + row.strand]
    assert usage["value"].between(0, 1).all()
    assert sites["score"].sum() == pytest.approx(2 * junctions["value"].sum())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\tHepG2\t", "\tHeLa\t", "no biosample `HeLa` here; choose from K562, HepG2"),
        ("\tATAC-seq\t", "\tMNase-seq\t", "no assay `MNase-seq` here; choose from ATAC-seq"),
        ("\tH3K4me3\t", "\tH3K9me3\t", "no target `H3K9me3` here; choose from H3K27ac, H3K4me3"),
        ("\tPROCAP\t", "\tGROSEQ\t", "no bundle `GROSEQ` here; choose from RNA_SEQ, DNASE"),
        ("\tmcool\t", "\thic\t", "no format `hic` here; choose from mcool"),
        ("fantom5\t", "fantom6\t", "no portal `fantom6` here; choose from encode"),
        ("ENCFF121ZHF", "ENCFF114EYG", "accession ENCFF114EYG twice"),
        ("\tdecoy", "\ttrap", "wrong columns"),
    ],
)
def test_what_the_world_does_not_have_is_said_before_anything_is_written(
    tables: Mapping[str, Path], tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = tables["human"].read_text()
    assert old in text
    changed = tmp_path / "human.tsv"
    changed.write_text(text.replace(old, new))
    with pytest.raises(InputError) as error:
        write_world(tiny({**tables, "human": changed}), tmp_path / "world")
    assert said in str(error.value)
    assert str(changed) in error.value.where
    assert not (tmp_path / "world").exists()


def test_a_chromosome_too_short_for_a_gene_is_still_written(tables: Mapping[str, Path], tmp_path: Path) -> None:
    genome = GenomeConfig(experiments=str(tables["human"]), chromosomes={"chr2": 9000, "chr1": 8192})
    write_world(WorldConfig(organisms={"human": genome}, variants=0), tmp_path)
    assert (tmp_path / "portals/catalog.json").exists()
    assert set(pd.read_parquet(tmp_path / "human/truth/SPLICE_SITES.parquet")["chrom"]) <= {"chr2"}


def test_random_numbers_depend_on_seed_and_accession(config: WorldConfig, experiments: list[Experiment]) -> None:
    first, second, *_ = experiments
    assert random_numbers(config, first).random() == random_numbers(config, first).random()
    assert random_numbers(config, first).random() != random_numbers(config, second).random()


def test_groups_of_reads_are_joined(chromosomes: list[Chromosome]) -> None:
    rng = np.random.default_rng(1)
    parts = [cut_reads(9_000, rng.integers(0, 9_000, count), 36, (0, 1), rng) for count in (30, 50)]
    assert len(together(parts).start) == sum(len(part.start) for part in parts)
