"""Junctions and usage equal what a second, slow way of counting finds, on made reads, real reads, and tables."""

from __future__ import annotations

import csv
import gzip
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
import scipy.io
import scipy.sparse
from splicing_world import SIZES, cigar, write_reference

from megabase.errors import InputError
from megabase.genome.reference import Reference
from megabase.signal.splicing.config import SplicingConfig
from megabase.signal.splicing.junctions import PLACE, scaled_mean, side_by_side, star_junctions, stranded
from megabase.signal.splicing.reads import count_reads
from megabase.signal.splicing.recount3 import JunctionTable
from megabase.signal.splicing.usage import boundaries, mean_usage, site_usage

JUNCTIONS = pd.DataFrame(
    [
        ("chr1", 100, 200, "+"),
        ("chr1", 100, 400, "+"),
        ("chr1", 150, 400, "+"),
        ("chr1", 250, 400, "+"),
        ("chr1", 300, 400, "-"),
        ("chr2", 100, 200, "-"),
        ("chr2", 100, 300, "-"),
        ("chr2", 50, 200, "-"),
    ],
    columns=PLACE,
)


def random_reads(path: Path, count: int = 1500) -> list[tuple[str, dict[int, int], bool]]:
    """Writes reads of all kinds; of each, its chromosome, the quality at each aligned base, and whether it counts."""
    rng = np.random.default_rng(3)
    header = {"HD": {"VN": "1.6"}, "SQ": [{"SN": n, "LN": s} for n, s in SIZES.items()]}
    reads = []
    with pysam.AlignmentFile(str(path), "wb", header=header) as bam:
        for number in range(count):
            chrom = str(rng.choice(["chr1", "chr2"]))
            introns = JUNCTIONS[JUNCTIONS["chrom"] == chrom]
            bases = np.arange(int(introns.iloc[rng.integers(len(introns))]["start"]) - rng.integers(-30, 45), 480)
            for _ in range(rng.integers(0, 3)):
                start, end = introns.iloc[rng.integers(len(introns))][["start", "end"]]
                if bases[0] < start and bases[-1] > end and {start - 1, start, end - 1, end} <= set(bases):
                    bases = bases[(bases < start) | (bases >= end)]
            bases = bases[:40]
            read = pysam.AlignedSegment(bam.header)
            read.query_name, read.reference_id, read.reference_start = f"r{number}", list(SIZES).index(chrom), bases[0]
            read.flag = int(rng.choice([0, 16, 0x400, 0x100, 0x200], p=[0.45, 0.45, 0.04, 0.03, 0.03]))
            read.mapping_quality = int(rng.choice([255, 30, 29, 3]))
            clip = int(rng.integers(0, 3))
            read.cigarstring = (f"{clip}S" if clip else "") + cigar(bases)
            read.query_sequence = "A" * (clip + len(bases))
            quality = rng.choice([10, 19, 20, 40], len(bases), p=[0.04, 0.04, 0.2, 0.72])
            read.query_qualities = pysam.qualitystring_to_array("!" * clip + "".join(chr(33 + q) for q in quality))
            bam.write(read)
            counts = read.flag in (0, 16) and read.mapping_quality >= 30
            reads.append((chrom, dict(zip(bases.tolist(), quality.tolist(), strict=True)), counts))
    return reads


def brute_force(reads: list[tuple[str, dict[int, int], bool]]) -> dict[tuple[str, int, str, str], tuple[int, int]]:
    """Used and skipped reads of every site, read by read and site by site."""
    found: dict[tuple[str, int, str, str], tuple[int, int]] = {}
    rows = list(JUNCTIONS.itertuples(index=False))
    for row in rows:
        for left in (True, False):
            edge = row.start if left else row.end
            own = [r for r in rows if (r.chrom, r.strand) == (row.chrom, row.strand)]
            partners = {(r.end if left else r.start) for r in own if (r.start if left else r.end) == edge}
            used = skipped = 0
            for chrom, quality, counts in reads:
                if chrom != row.chrom or not counts:
                    continue
                bases = sorted(quality)
                good = [(a, b) for a, b in itertools.pairwise(bases) if min(quality[a], quality[b]) >= 20]
                introns = [(a + 1, b) for a, b in good if b > a + 1]
                listed = {(r.start, r.end) for r in own}
                mine = [(s, e) for s, e in introns if (s, e) in listed]
                if any((s if left else e) == edge for s, e in mine):
                    used += 1
                elif (edge - 1, edge) in good or any(s < edge < e and (e if left else s) in partners for s, e in mine):
                    skipped += 1
            donor = left == (row.strand == "+")
            position = row.start - 1 if left else row.end
            found[row.chrom, position, row.strand, "donor" if donor else "acceptor"] = (used, skipped)
    return found


def test_usage_equals_counting_read_by_read(tmp_path: Path) -> None:
    reads = random_reads(tmp_path / "a.bam")
    names = {chrom: chrom for chrom in SIZES}
    introns, across = count_reads(
        tmp_path / "a.bam", names, boundaries(JUNCTIONS), min_mapping_quality=30, min_base_quality=20
    )
    counts = [float(introns[place]) for place in zip(*(JUNCTIONS[name] for name in PLACE[:3]), strict=True)]
    table = site_usage(JUNCTIONS.assign(reads=counts), across)
    expected = {site: pair for site, pair in brute_force(reads).items() if sum(pair)}
    found = {
        (row.chrom, row.position, row.strand, row.kind): (row.used, row.skipped)
        for row in table.itertuples(index=False)
    }
    assert found == expected and len(found) > 10
    assert max(used for used, _ in found.values()) > 20 and max(skipped for _, skipped in found.values()) > 20
    assert np.allclose(table["value"], table["used"] / (table["used"] + table["skipped"]))


def test_usage_of_junction_tables_counts_junctions_against_junctions() -> None:
    table = site_usage(JUNCTIONS.assign(reads=[30.0, 10.0, 5.0, 1.0, 7.0, 8.0, 4.0, 2.0]))
    usage = table.set_index(["chrom", "position", "kind"])["value"]
    # 30 + 10 reads leave the donor at 99, and nothing jumps over it.
    assert usage["chr1", 99, "donor"] == 1.0
    # Of the acceptor at 200, its donor's other junction jumps over it.
    assert usage["chr1", 200, "acceptor"] == pytest.approx(30 / 40)
    # Over the donor at 249 jump the junctions into 400 from further left: 10 + 5.
    assert usage["chr1", 249, "donor"] == pytest.approx(1 / 16)
    # Minus strand: the acceptor is left. Its partner's junction from 50 jumps over the one at 100.
    assert usage["chr2", 99, "acceptor"] == pytest.approx(12 / 14)
    assert usage["chr1", 299, "acceptor"] == 1.0, "junctions of the other strand say nothing"


def test_mean_usage_is_over_the_samples_that_show_a_site() -> None:
    one = pd.DataFrame([("chr1", 5, "+", "donor", 0.5), ("chr1", 9, "+", "acceptor", 1.0)])
    two = pd.DataFrame([("chr1", 5, "+", "donor", 0.0)])
    columns = ["chrom", "position", "strand", "kind", "value"]
    mean = mean_usage([one.set_axis(columns, axis=1), two.set_axis(columns, axis=1)])
    assert list(mean["value"]) == [0.25, 1.0]


def test_strand_follows_from_the_motif(tmp_path: Path) -> None:
    write_reference(tmp_path)
    introns = {("chr1", 2300, 3100): 4, ("chr1", 16_400, 17_300): 2, ("chr1", 100, 207): 9}
    table = stranded(introns, Reference.open(tmp_path))
    assert table.to_numpy().tolist() == [["chr1", 2300, 3100, "+", 4.0], ["chr1", 16_400, 17_300, "-", 2.0]]


def test_star_s_table_counts_from_one(tmp_path: Path) -> None:
    path = tmp_path / "SJ.out.tab"
    path.write_text(
        "chr1\t11\t20\t1\t1\t1\t5\t2\t30\nchr1\t31\t40\t0\t0\t0\t5\t2\t30\nchr1\t51\t60\t2\t2\t0\t0\t2\t30\n"
    )
    assert star_junctions(path).to_numpy().tolist() == [["chr1", 10, 20, "+", 5.0]]


def test_samples_are_scaled_then_averaged() -> None:
    one = pd.DataFrame([("chr1", 1, 9, "+", 2.0), ("chr1", 1, 20, "+", 6.0)], columns=[*PLACE, "reads"])
    two = pd.DataFrame([("chr1", 1, 20, "+", 5.0)], columns=[*PLACE, "reads"])
    places, reads = side_by_side([one, two])
    assert places["end"].tolist() == [9, 20] and reads.tolist() == [[2, 0], [6, 5]]
    assert scaled_mean(reads, 1e6).tolist() == [125_000.0, 875_000.0]
    assert scaled_mean(np.array([[1.0, 0.0]]), 10).tolist() == [10.0], "a sample without a read is no zero"


def write_tables(folder: Path, counts: np.ndarray, places: list[tuple]) -> list[Path]:
    """MM, RR and ID as recount3 names and packs them; `places` are (chrom, start, end, strand), 0-based half-open."""
    paths = [folder / f"gtex.junctions.LIVER.ALL.{kind}.gz" for kind in ("MM", "RR", "ID")]
    plain = folder / "plain.mtx"
    scipy.io.mmwrite(str(plain), scipy.sparse.csr_matrix(counts), field="integer")
    paths[0].write_bytes(gzip.compress(plain.read_bytes()))
    header = "chromosome start end length strand annotated left_motif right_motif left_annotated right_annotated"
    lines = ["\t".join(header.split())]
    for chrom, start, end, strand in places:
        lines.append(f"{chrom}\t{start + 1}\t{end}\t{end - start}\t{strand}\t1\tGT\tAG\t1\t1")
    paths[1].write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    names = "\n".join(["rail_id", *(str(i) for i in range(counts.shape[1]))]) + "\n"
    paths[2].write_bytes(gzip.compress(names.encode()))
    return paths


def test_filters_over_samples_equal_a_loop(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    places = list(JUNCTIONS.itertuples(index=False, name=None))
    places += [("chr1", 700, 800, "?"), ("chrUn", 5, 80, "+"), ("chr1", 1, 90, "+"), ("chr1", 1, 95, "+")]
    counts = rng.poisson(rng.choice([0.1, 0.6, 1.5, 8], len(places))[:, None], (len(places), 40))
    # Above 1 in one of ten samples, but nothing shares its sites in the median sample.
    counts[-2], counts[-1] = 0, 0
    counts[-2, :9] = 5
    table = JunctionTable(*write_tables(tmp_path, counts, places), SIZES, {})
    kept = table.kept(SplicingConfig())
    expected = {}
    for row, place in enumerate(places):
        if place[0] not in SIZES or place[3] == "?":
            continue
        same = [
            [n for n, p in enumerate(places) if (p[0], p[3], p[k]) == (place[0], place[3], place[k])] for k in (1, 2)
        ]
        medians = [np.median(counts[group].sum(axis=0)) for group in same]
        expected[place] = bool(np.percentile(counts[row], 90) > 1 and max(medians) >= 1)
    found = dict(zip(table.places.itertuples(index=False, name=None), kept.tolist(), strict=True))
    assert found == expected and 2 <= sum(kept) < len(kept) and not expected[places[-2]]
    rows = [places.index(place) for place, chosen in found.items() if chosen]
    chosen = counts[rows].astype(float)
    few = JunctionTable(*write_tables(tmp_path, counts, places), SIZES, {}, ["3", "17"])
    everything = np.ones(len(few.places), bool)
    two = counts[[places.index(place) for place in found]][:, [3, 17]]
    assert few.samples == 2 and np.allclose(few.scaled_mean(everything, 1), np.mean(two / two.sum(axis=0), axis=1))
    assert np.allclose(table.scaled_mean(kept, 1e6), np.mean(chosen / chosen.sum(axis=0) * 1e6, axis=1))


def test_bad_tables_end_in_one_line(tmp_path: Path) -> None:
    places = [("chr1", 100, 200, "+"), ("chr2", 100, 12_001, "+")]
    paths = write_tables(tmp_path, np.ones((2, 3), int), places)
    with pytest.raises(InputError, match=r"RR\.gz: wrong assembly: chr2:100-12001 is beyond 12000"):
        JunctionTable(*paths, SIZES, {})
    with pytest.raises(InputError, match="no junction of the assembly; it names chr1, chr2"):
        JunctionTable(*paths, {"1": 5000}, {})
    with pytest.raises(InputError, match=r"ID\.gz: no sample 8; ask the portal again"):
        JunctionTable(*paths, SIZES, {}, ["1", "8"])
    assert JunctionTable(*paths, {"1": 5000}, {"chr1": "1"}).places["chrom"].tolist() == ["1"]
    paths[2].write_bytes(gzip.compress(b"rail_id\n1\n"))
    with pytest.raises(InputError, match=r"MM\.gz: counts \(2, 3\) of 2 junctions in 1 samples"):
        JunctionTable(*paths, SIZES, {})
    paths[0].write_bytes(paths[0].read_bytes()[:-12])
    with pytest.raises(InputError, match=r"MM\.gz: not a recount3 table"):
        JunctionTable(*paths, SIZES, {})


@pytest.mark.real
@pytest.mark.parametrize("replicate", [1, 2])
def test_real_junctions_equal_the_published_counts(shared: Path, replicate: int) -> None:
    folder = shared / "real/human_chr22"
    expected = {}
    with open(folder / "GM12878_RNA_junctions.tsv", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["rep"]) == replicate:
                expected["chr22", int(row["intron_start0"]), int(row["intron_end"])] = int(row["reads"])
    bam = folder / f"GM12878_RNA_rep{replicate}.bam"
    # The table counts every primary read, whatever its quality.
    introns, _ = count_reads(bam, {"chr22": "chr22"}, {}, min_mapping_quality=0, min_base_quality=0)
    assert dict(introns) == expected


@pytest.mark.real
def test_real_usage_equals_aligned_pairs(shared: Path) -> None:
    bam = shared / "real/human_chr22/GM12878_RNA_rep1.bam"
    introns, _ = count_reads(bam, {"chr22": "chr22"}, {}, min_mapping_quality=30, min_base_quality=20)
    # Strands are of no matter here: all on one.
    table = pd.DataFrame([(*place, "+", float(n)) for place, n in introns.items()], columns=[*PLACE, "reads"])
    _, across = count_reads(bam, {"chr22": "chr22"}, boundaries(table), min_mapping_quality=30, min_base_quality=20)
    wanted = {int(edge) for edge in boundaries(table)["chr22"]}
    slow: Counter[int] = Counter()
    with pysam.AlignmentFile(str(bam)) as file:
        for read in file.fetch(until_eof=True):
            if read.flag & 0xF04 or read.mapping_quality < 30:
                continue
            at = {place: base for base, place in read.get_aligned_pairs(matches_only=True)}
            for edge in at.keys() & wanted:
                before = at.get(edge - 1)
                if before is not None and min(read.query_qualities[before], read.query_qualities[at[edge]]) >= 20:
                    slow[edge] += 1
    assert dict(zip(boundaries(table)["chr22"].tolist(), across["chr22"].tolist(), strict=True)) == {
        edge: slow[edge] for edge in wanted
    }
    usage = site_usage(table, across)
    assert len(usage) > 150 and usage["value"].between(0, 1).all() and usage["value"].mean() > 0.5
