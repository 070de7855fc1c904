"""Every reading of a small file gives the counts one can work out by hand; every bad file ends in one clear line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyBigWig
import pysam
import pytest

from megabase.errors import InputError
from megabase.genome.regions import Region
from megabase.signal.alignments import Alignments
from megabase.signal.bigwig import BigWig
from megabase.signal.config import SignalConfig
from megabase.signal.coverage import Place
from megabase.signal.intervals import Intervals

SIZES = {"chr1": 1000, "chr2": 500}
CONFIG = SignalConfig()


def place(path: Path, covered: tuple[Region, ...] | None = None, **aliases: str) -> Place:
    return Place(str(path), SIZES, aliases, covered)


def write_bigwig(path: Path, sizes: dict[str, int] = SIZES, values: tuple[float, ...] = (1.0, 2.5)) -> Path:
    file = pyBigWig.open(str(path), "w")
    file.addHeader(list(sizes.items()))
    file.addEntries([next(iter(sizes))] * len(values), [10 * (i + 1) for i in range(len(values))],
                    ends=[10 * (i + 1) + 5 for i in range(len(values))], values=list(values))  # fmt: skip
    file.close()
    return path


def write_bam(path: Path, reads: list[tuple], *, indexed: bool = True) -> Path:
    """Reads are (start, cigar, flag, mapping quality) on chr1."""
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": n, "LN": s} for n, s in SIZES.items()]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as bam:
        for start, cigar, flag, quality in sorted(reads):
            read = pysam.AlignedSegment(bam.header)
            read.query_name, read.flag, read.reference_id, read.reference_start = "r", flag, 0, start
            read.mapping_quality, read.cigarstring = quality, cigar
            read.query_sequence = "A" * sum(n for op, n in read.cigartuples if op in (0, 1, 4))
            bam.write(read)
    if indexed:
        pysam.index(str(path))
    return path


def counted(path: Path, *, config: SignalConfig = CONFIG, **how) -> dict[int, float]:
    given = {"reading": "coverage", "strand": ".", "library": "", "shift": (0, 0)} | how
    values = Alignments(path, place(path), config, **given).values("chr1")
    return {int(i): values[i] for i in np.flatnonzero(values)}


def test_bigwig_values_equal_pybigwig(tmp_path: Path) -> None:
    path = write_bigwig(tmp_path / "a.bw")
    values = BigWig(path, place(path), negated=False).values("chr1")
    assert np.array_equal(values, np.nan_to_num(pyBigWig.open(str(path)).values("chr1", 0, 1000, numpy=True)))
    assert values.dtype == np.float64 and values.sum() == 5 * 1.0 + 5 * 2.5


def test_negative_strands(tmp_path: Path) -> None:
    path = write_bigwig(tmp_path / "minus.bw", values=(-1.0, -3.0))
    assert BigWig(path, place(path), negated=True).values("chr1").sum() == 20
    with pytest.raises(
        InputError, match=r"minus\.bw: negative or infinite value -1 at chr1:10; correct the file, or set"
    ):
        BigWig(path, place(path), negated=False).values("chr1")
    positive = write_bigwig(tmp_path / "plus.bw")
    with pytest.raises(InputError, match="positive value 1 at chr1:10; remove `negative`"):
        BigWig(positive, place(positive), negated=True).values("chr1")


def test_chromosomes_must_be_the_assembly_s(tmp_path: Path) -> None:
    path = write_bigwig(tmp_path / "a.bw", {"1": 1000, "chr2": 500})
    with pytest.raises(InputError, match="no chromosome `chr1`; the file has 1, chr2; name it in organisms"):
        BigWig(path, place(path), negated=False)
    assert BigWig(path, Place(str(path), SIZES, {"1": "chr1"}, None), negated=False).values("chr1").sum() > 0
    other = write_bigwig(tmp_path / "b.bw", {"chr1": 999, "chr2": 500})
    with pytest.raises(InputError, match="wrong assembly: chr1 has 999 bp, the reference 1000"):
        BigWig(other, place(other), negated=False)
    part = write_bigwig(tmp_path / "c.bw", {"chr1": 1000})
    assert not BigWig(part, place(part, (Region("chr1", 0, 1000),)), negated=False).values("chr2").any()


@pytest.mark.parametrize("kept", [0.5, 0.01])
def test_a_truncated_bigwig_is_one_line(tmp_path: Path, kept: float) -> None:
    path = write_bigwig(tmp_path / "a.bw", values=tuple(np.linspace(1, 9, 60)))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match=r"a\.bw: truncated or not a bigWig") as caught:
        BigWig(path, place(path), negated=False).values("chr1")
    assert "\n" not in str(caught.value)


def test_bam_coverage_follows_blocks_strands_and_filters(tmp_path: Path) -> None:
    reads = [(10, "5M", 0, 60), (12, "2M4N2M", 16, 60), (30, "3M", 0, 3), (40, "3M", 0x400, 60), (50, "3M", 0x100, 60)]
    path = write_bam(tmp_path / "a.bam", reads)
    assert counted(path) == {10: 1, 11: 1, 12: 2, 13: 2, 14: 1, 18: 1, 19: 1}
    assert set(counted(path, strand="+")) == {10, 11, 12, 13, 14}
    assert set(counted(path, strand="+", library="reverse")) == {12, 13, 18, 19}
    assert counted(path, strand="+", library="unstranded") == counted(path)


def test_read_two_takes_the_strand_of_its_fragment(tmp_path: Path) -> None:
    path = write_bam(tmp_path / "a.bam", [(10, "2M", 0x1 | 0x40, 60), (20, "2M", 0x1 | 0x80 | 0x10, 60)])
    assert set(counted(path, strand="+")) == {10, 11, 20, 21}
    assert set(counted(path, strand="+", reading="five_prime")) == {10}


def test_cut_sites_are_shifted_ends(tmp_path: Path) -> None:
    path = write_bam(tmp_path / "a.bam", [(10, "5M", 0, 60), (10, "5M", 16, 60)])
    assert counted(path, reading="cut_sites", shift=(4, -4)) == {14: 1, 10: 1}
    assert counted(path, reading="cut_sites", shift=(0, 1)) == {10: 1, 15: 1}


def test_an_index_is_asked_for_or_done_without(tmp_path: Path) -> None:
    path = write_bam(tmp_path / "a.bam", [(10, "5M", 0, 60)], indexed=False)
    with pytest.raises(InputError, match=r"a\.bam: BAM without index; run `samtools index`"):
        counted(path)
    for instead in ("build", "stream"):
        assert set(counted(path, config=SignalConfig(bam_index=instead))) == {10, 11, 12, 13, 14}
    assert [file.name for file in tmp_path.iterdir()] == ["a.bam"], "nothing is left beside the file"


def test_a_truncated_bam_is_one_line(tmp_path: Path) -> None:
    path = write_bam(tmp_path / "a.bam", [(i, "50M", 0, 60) for i in range(900)], indexed=False)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"a\.bam: truncated or not a BAM"):
        counted(path, config=SignalConfig(bam_index="stream"))


def test_tables_of_intervals(tmp_path: Path) -> None:
    caps = tmp_path / "caps.bed.gz"
    caps.write_bytes(gzip.compress(b"chr1\t5\t6\tx\t3\t+\nchr1\t9\t10\tx\t2\t-\nchrUn\t1\t2\tx\t9\t+\n"))
    values = Intervals(caps, place(caps), reading="five_prime", strand="+").values("chr1")
    assert (values[5], values.sum()) == (3, 3)
    fragments = tmp_path / "fragments.bed"
    fragments.write_text("chr1\t5\t50\nchr1\t5\t60\n")
    values = Intervals(fragments, place(fragments), reading="cut_sites", strand=".").values("chr1")
    assert {int(i): values[i] for i in np.flatnonzero(values)} == {5: 2, 49: 1, 59: 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("chr1\t5\t6\tx\t3\t+\nchr1\t9\n", r"row 2: not an interval"),
        ("chr1\t5\t6\tx\t-3\t+\n", r"row 1: negative or infinite count -3"),
        ("chr1\t999\t1001\tx\t1\t+\n", r"row 1: wrong assembly or bad row: chr1:999-1001 is not within 0-1000"),
        ("1\t5\t6\tx\t3\t+\n", r"no chromosome of the assembly; the file has 1"),
    ],
)
def test_bad_tables_name_their_row(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.bed"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        Intervals(path, place(path), reading="five_prime", strand="+")
