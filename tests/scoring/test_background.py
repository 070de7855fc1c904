"""Which variants of a population become the background of scores."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from small_model import SIZES, sequence

from megabase.config import load
from megabase.errors import InputError
from megabase.genome.sequence import encode
from megabase.scoring.background import choose_background
from megabase.scoring.config import BackgroundConfig
from megabase.simulate.population import write_population

ROWS = [
    "chr21\t10\tcommon21\tA\tG\t.\tPASS\tAF=0.4",
    "chr22\t5\tplain\tA\tG\t.\tPASS\tAF=0.2",
    "chr22\t6\trare\tA\tG\t.\tPASS\tAF=0.001;AF_raw=0.3;AF_nfe_XX=0.3",
    "chr22\t7\tgroup\tA\tG\t.\tPASS\tAC=1;AF=0.001;AF_afr=0.02",
    "chr22\t8\tnearly_all\tA\tG\t.\t.\tAF=0.995",
    "chr22\t9\tindel\tA\tGA\t.\tPASS\tAF=0.4",
    "chr22\t10\tbad\tA\tG\t.\tAC0\tAF=0.4",
    "chr22\t11\tseveral\tA\tG,*,T,C\t.\tPASS\tAF=0.3,0.3,0.001,0.05;FLAG",
    "chr22\t12\t.\ta\tt\t.\tPASS\tEUR_AF=0.1\tGT\t0/1",
    "chr22\t13\tnone\tA\tG\t.\tPASS\t.",
]


def write(path: Path, rows: list[str]) -> Path:
    text = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(f"{row}\n" for row in rows)
    with gzip.open(path, "wt") if path.suffix == ".gz" else open(path, "w") as file:
        file.write(text)
    return path


def chosen(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]


def test_common_single_bases_are_taken_in_order(tmp_path: Path) -> None:
    vcf = write(tmp_path / "population.vcf.gz", ROWS)
    count = choose_background(vcf, tmp_path / "out.vcf", BackgroundConfig(chromosomes=["chr22"]))
    found = chosen(tmp_path / "out.vcf")
    assert [(row[2], row[3], row[4]) for row in found] == [
        ("plain", "A", "G"),
        ("group", "A", "G"),
        ("several:G", "A", "G"),
        ("several:C", "A", "C"),
        (".", "A", "T"),
    ]
    assert count == 5 and {len(row) for row in found} == {8}
    assert [row[7] for row in found] == ["MAF=0.2", "MAF=0.02", "MAF=0.3", "MAF=0.05", "MAF=0.1"]
    assert "##background=frequency>0.01 chromosomes=chr22 most=None" in (tmp_path / "out.vcf").read_text()


def test_the_choice_does_not_depend_on_the_order(tmp_path: Path) -> None:
    rows = [f"chr1\t{place}\tv{place}\tA\tC\t.\tPASS\tAF=0.3" for place in range(1, 400)]
    shuffled = random.Random(0).sample(rows, len(rows))
    config = BackgroundConfig(most=50)
    for name, own in (("one", rows), ("other", shuffled), ("fewer", rows[:300])):
        choose_background(write(tmp_path / f"{name}.vcf", own), tmp_path / f"{name}.out", config)
    one, other, fewer = (chosen(tmp_path / f"{name}.out") for name in ("one", "other", "fewer"))
    assert len(one) == 50 and sorted(one) == sorted(other)
    assert [int(row[1]) for row in one] == sorted(int(row[1]) for row in one), "in the order of the file"
    kept = {row[2] for row in one} & {row.split("\t")[2] for row in rows[:300]}
    assert kept <= {row[2] for row in fewer}, "one that is dropped changes no other"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["chr22\t5\tx\tA\tG\t.\tPASS"], "not a VCF row with frequencies"),
        (["chr22\t5\tx\tA\tG\t.\tPASS\tAF=often"], "`AF=often` is no frequency"),
        (["chr22\t5\tx\tA\tG\t.\tPASS\tAF=0.0001"], "no single-base variant with frequency>0.01"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, rows: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        choose_background(write(tmp_path / "population.vcf", rows), tmp_path / "out.vcf", BackgroundConfig())
    assert not (tmp_path / "out.vcf").exists()


class Genome:
    """Two chromosomes of the small model, as codes."""

    sizes = SIZES

    def codes(self, chrom: str, start: int, end: int):

        return encode(sequence(chrom)[start:end])


def test_a_simulated_population_is_mostly_rare_and_fits_its_genome(tmp_path: Path, repo_root: Path) -> None:
    world = load([repo_root / "config" / "demo.yaml"]).world
    assert world is not None
    for name in ("one.vcf", "again.vcf"):
        write_population(Genome(), "human", world, tmp_path / name)
    assert (tmp_path / "one.vcf").read_bytes() == (tmp_path / "again.vcf").read_bytes()
    rows = chosen(tmp_path / "one.vcf")
    assert len(rows) == 24 and [row[0] for row in rows] == ["chr1"] * 18 + ["chr2"] * 6
    assert all(sequence(row[0])[int(row[1]) - 1] == row[3] != row[4] for row in rows)
    assert all(0.001 <= float(row[7].removeprefix("AF=")) <= 0.999 for row in rows)
    assert 0 < choose_background(tmp_path / "one.vcf", tmp_path / "out.vcf", BackgroundConfig()) < 24
