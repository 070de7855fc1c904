"""A tiny genome with spliced genes, and reads of its transcripts as a portal's BAM has them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pysam

from megabase.artifacts import write_json

SIZES = {"chr1": 24_000, "chr2": 12_000}
READ, FRAGMENT = 60, 170
LETTERS = np.array(list("ACGT"))
# Exons of each gene, in order of the genome; the second gene skips its middle exon in some reads.
GENES = {
    "plus": ("chr1", "+", ((2000, 2300), (3100, 3350), (5000, 5400))),
    "cassette": ("chr1", "+", ((9000, 9300), (10_200, 10_320), (11_500, 11_900))),
    "minus": ("chr1", "-", ((16_000, 16_400), (17_300, 17_550), (19_000, 19_300))),
    "other": ("chr2", "-", ((3000, 3350), (5200, 5600))),
}


def write_reference(folder: Path, seed: int = 0) -> dict[str, str]:
    """A reference folder: random sequence with GT-AG introns, and its exons."""
    rng = np.random.default_rng(seed)
    sequence = {chrom: rng.choice(LETTERS, size) for chrom, size in SIZES.items()}
    exons = []
    for gene, (chrom, strand, parts) in GENES.items():
        for (_, start), (end, _) in itertools.pairwise(parts):
            edges = ("GT", "AG") if strand == "+" else ("CT", "AC")
            sequence[chrom][start : start + 2], sequence[chrom][end - 2 : end] = list(edges[0]), list(edges[1])
        exons += [(chrom, start, end, strand, gene, f"{gene}.1") for start, end in parts]
    folder.mkdir(parents=True, exist_ok=True)
    text = {chrom: "".join(letters) for chrom, letters in sequence.items()}
    with open(folder / "genome.fa", "w") as file:
        for chrom, letters in text.items():
            lines = "\n".join(letters[at : at + 60] for at in range(0, len(letters), 60))
            file.write(f">{chrom}\n{lines}\n")
    pysam.faidx(str(folder / "genome.fa"))
    columns = ["chrom", "start", "end", "strand", "gene_id", "transcript_id"]
    pd.DataFrame(exons, columns=columns).to_parquet(folder / "exons.parquet")
    write_json(folder / "reference.json", {"assembly": "made1", "sizes": SIZES, "sha256": {"fasta": str(seed)}})
    return text


def write_alignments(path: Path, genome: dict[str, str], seed: int = 0, fragments: int = 600) -> None:
    """Pairs of reads of the transcripts, sorted by place, with secondary records among them."""
    rng = np.random.default_rng(seed)
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": n, "LN": s} for n, s in SIZES.items()]}
    records = []
    for number in range(fragments):
        gene = list(GENES)[number % len(GENES)]
        chrom, _, exons = GENES[gene]
        if gene == "cassette" and rng.random() < 0.4:
            exons = (exons[0], exons[2])
        bases = np.concatenate([np.arange(*exon) for exon in exons])
        first = int(rng.integers(0, len(bases) - FRAGMENT))
        backward = bool(rng.random() < 0.5)
        for mate, at in ((1, first), (2, first + FRAGMENT - READ)):
            here = bases[at : at + READ]
            flag = 0x1 | 0x2 | (0x40 if (mate == 1) != backward else 0x80) | (0x10 if mate == 2 else 0x20)
            records.append((list(SIZES).index(chrom), int(here[0]), f"f{number}", flag, here, chrom))
            if number % 50 == 0:
                records.append((*records[-1][:3], flag | 0x100, *records[-1][4:]))
    with pysam.AlignmentFile(str(path), "wb", header=header) as bam:
        for chrom_id, start, name, flag, here, chrom in sorted(records, key=lambda record: record[:4]):
            read = pysam.AlignedSegment(bam.header)
            read.query_name, read.flag, read.reference_id, read.reference_start = name, flag, chrom_id, start
            read.mapping_quality, read.cigarstring = 255, cigar(here)
            read.query_sequence = "".join(genome[chrom][base] for base in here)
            read.query_qualities = pysam.qualitystring_to_array("I" * len(here))
            bam.write(read)


def cigar(bases: np.ndarray) -> str:
    """Of ascending positions on the genome."""
    breaks = np.flatnonzero(np.diff(bases) > 1) + 1
    pieces = np.split(bases, breaks)
    text = f"{len(pieces[0])}M"
    for before, after in itertools.pairwise(pieces):
        text += f"{after[0] - before[-1] - 1}N{len(after)}M"
    return text
