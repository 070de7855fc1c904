"""Broken VCF, FASTA, BED and GTF files: one line for a person or a result, and nothing written beside the output."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from small_model import EXONS, SIZES, sequence, write_reference
from test_variant_scores import VARIANTS, row

from megabase.errors import InputError
from megabase.genome.annotation import read_gtf
from megabase.genome.config import Organism
from megabase.genome.reference import Reference, build_reference
from megabase.scoring.vcf import Skipped, Variant, alleles_of

KINDS = ("vcf", "gtf", "vcf", "fasta", "gtf", "bed")
GTF = "".join(
    f'{chrom}\tmade\t{feature}\t{start + 1}\t{end}\t.\t{strand}\t.\tgene_id "{gene}"; transcript_id "{transcript}"; '
    f'gene_type "protein_coding"; gene_name "{gene}"\n'
    for chrom, start, end, strand, gene, transcript in EXONS
    for feature in ("gene", "exon")
)
WHOLE = {
    "vcf": "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n" + "".join(f"{row(v)}\n" for v in VARIANTS),
    "gtf": "#!genome made1\n" + GTF,
    "fasta": "".join(f">{chrom} made\n{sequence(chrom)[:600]}\n" for chrom in SIZES),
    "bed": "track name=x\n" + "".join(f"chr1\t{start}\t{start + 50}\tx\n" for start in range(0, 500, 100)),
}
PIECES = [
    *(b"", b"\t", b"\n", b"\r\n", b"\0", b"\xff\xfe", b" ", b",", b"..", b"-1", b"1e9", b"99999999999999999999"),
    *(b"9" * 5000, "²".encode(), "٣".encode(), b"NaN", b"../../outside", b"/etc/passwd", b"$(touch outside)", b"`id`"),
    *(
        b"<DEL>",
        b"*",
        b"]chr2:5]A",
        b"N" * 300,
        b">",
        b"@",
        b"#",
        b'"',
        b"gene_id",
        b"chr1",
        b"chrZ",
        b"__import__('os')",
    ),
]


def broken(kind: str, rng: np.random.Generator) -> bytes:
    """A file of the kind with one to four things wrong."""
    data = WHOLE[kind].encode()
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, len(data) + 1))
        match rng.integers(0, 7):
            case 0:
                data = data[:at] + PIECES[rng.integers(len(PIECES))] + data[at:]
            case 1:
                data = data[:at] + rng.bytes(rng.integers(1, 20)) + data[at:]
            case 2:
                data = data[: max(at, 1)]
            case 3:
                lines = data.split(b"\n")
                line = int(rng.integers(len(lines)))
                fields = lines[line].split(b"\t")
                fields[rng.integers(len(fields))] = PIECES[rng.integers(len(PIECES))]
                data = b"\n".join([*lines[:line], b"\t".join(fields), *lines[line + 1 :]])
            case 4:
                lines = data.split(b"\n")
                rng.shuffle(lines)
                data = b"\n".join(lines)
            case 5:
                data = data.replace(b"\t", b" ", int(rng.integers(1, 9)))
            case 6:
                lines = data.split(b"\n")
                line = int(rng.integers(len(lines)))
                data = b"\n".join(lines[:line] + lines[line : line + 1] * 3 + lines[line + 1 :])
    packed = int(rng.integers(0, 6))
    if packed == 0:
        data = gzip.compress(data)
    elif packed == 1:
        data = gzip.compress(data)[: rng.integers(1, 60)]
    elif packed == 2:
        data = bytearray(gzip.compress(data))
        data[int(rng.integers(2, len(data)))] ^= 255
    return bytes(data)


def read(kind: str, folder: Path, reference: Reference) -> None:
    """Reads the broken file as a user's."""
    path = folder / f"broken.{kind}"
    if kind == "vcf":
        for found in alleles_of(path, reference, longest=100):
            assert isinstance(found, Variant | Skipped)
            if isinstance(found, Variant):
                assert found.chrom in SIZES and set(found.ref + found.alt) <= set("ACGT")
    elif kind == "gtf":
        genes, exons = read_gtf(path, SIZES, {"1": "chr1"})
        for table in (genes, exons):
            assert (table["start"] < table["end"]).all() and (table["start"] >= 0).all()
    else:
        given = {"fasta": folder / "whole.fasta", "annotation": folder / "whole.gtf", kind: path}
        organism = Organism(
            index=0,
            assembly="made1",
            fasta=str(given["fasta"]),
            annotation=str(given["annotation"]),
            excluded=str(given["bed"]) if "bed" in given else None,
            chromosomes=["chr1", "chr2"],
            bundles={"DNASE": 1},
            folds=[{"train": ["chr1"], "valid": [], "test": []}],
        )
        build_reference(organism, folder / "out")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return Reference.open(write_reference(tmp_path_factory.mktemp("fuzz") / "reference"))


@pytest.mark.parametrize("cases", [300, pytest.param(10_000, marks=pytest.mark.long)])
def test_broken_files(cases: int, reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "whole.fasta").write_text(WHOLE["fasta"])
    short = "\n".join(line for line in GTF.splitlines() if int(line.split("\t")[4]) <= 600)
    (tmp_path / "whole.gtf").write_text(short + '\nchr1\tm\texon\t5\t90\t.\t+\t.\tgene_id "G"; transcript_id "T";\n')
    refused = 0
    for seed in range(cases):
        kind = KINDS[seed % len(KINDS)]
        (tmp_path / f"broken.{kind}").write_bytes(broken(kind, np.random.default_rng(seed)))
        try:
            read(kind, tmp_path, reference)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 2_000, seed
        except Exception as error:
            raise AssertionError(f"case {seed}, {kind}") from error
        names = {path.name for path in tmp_path.iterdir()}
        assert names <= {"whole.fasta", "whole.gtf", "out", *(f"broken.{k}" for k in KINDS)}, seed
    assert cases // 10 < refused < cases
