"""Drawn data as real files in real formats. Every file appears whole or not at all, and equal data give equal bytes."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyBigWig
import pysam
from jaxtyping import Float, Int, UInt8

from megabase.artifacts import atomic_path
from megabase.simulate.genome import Chromosome

DNASE_READ = 36
"""Length of a DNase read, in bp."""
LINE = 60
"""Bases on a line of FASTA."""
_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)


def letters(codes: UInt8[np.ndarray, " S"]) -> str:
    """Sequence codes as text."""
    return _LETTERS[codes].tobytes().decode()


def write_fasta(path: Path, chromosomes: Iterable[Chromosome]) -> None:
    """The reference sequence."""
    with atomic_path(path) as partial, open(partial, "w") as file:
        for chromosome in chromosomes:
            text = letters(chromosome.codes)
            file.write(f">{chromosome.name}\n")
            file.writelines(f"{text[start : start + LINE]}\n" for start in range(0, len(text), LINE))


def write_gtf(path: Path, chromosomes: Iterable[Chromosome]) -> None:
    """Genes, transcripts and exons as GTF (1-based, both ends included)."""
    with atomic_path(path) as partial, open(partial, "w") as file:
        for chromosome in chromosomes:
            for gene in chromosome.genes:
                names = f'gene_id "{gene.gene_id}"; gene_name "{gene.name}"; gene_type "{gene.gene_type}";'
                molecule = f'{names} transcript_id "{gene.gene_id}.t1";'
                rows = [("gene", gene.start, gene.end, names), ("transcript", gene.start, gene.end, molecule)]
                exons = gene.exons if gene.strand == "+" else gene.exons[::-1]
                for number, (start, end) in enumerate(exons, 1):
                    rows.append(("exon", start, end, f"{molecule} exon_number {number};"))
                for feature, start, end, attributes in rows:
                    place = f"{chromosome.name}\tsimulated\t{feature}\t{start + 1}\t{end}"
                    file.write(f"{place}\t.\t{gene.strand}\t.\t{attributes}\n")


def write_bigwig(
    path: Path, signal: Mapping[str, Float[np.ndarray, " bins"]], sizes: Mapping[str, int], bin: int
) -> None:
    """Values per bin of `bin` bp as runs of equal value; runs of zero are left out, as pile-up tools do."""
    with atomic_path(path) as partial:
        file = pyBigWig.open(str(partial), "w")
        file.addHeader(list(sizes.items()))
        for name, values in signal.items():
            starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
            ends = np.minimum(np.append(starts[1:], len(values)) * bin, sizes[name])
            kept = values[starts] != 0
            if kept.any():
                names = np.full(int(kept.sum()), name)
                file.addEntries(names, starts[kept] * bin, ends=ends[kept], values=values[starts][kept])
        file.close()


def write_dnase_bam(
    path: Path,
    chromosomes: list[Chromosome],
    cuts: Mapping[str, Int[np.ndarray, " n"]],
    rng: np.random.Generator,
    doubtful: float = 0.03,
) -> None:
    """Sorted single-end alignments, and their .bai, that end at the given cuts (positions, repeated as often as cut).

    A read of the plus strand starts at its cut, one of the minus strand has its 5' end on the base before: adding
    (0, +1) to the 5' ends (`SignalConfig.dnase_shift`) gives the cuts back. A share `doubtful` of reads is added at
    random places with mapping quality 3, for the quality filter to remove.
    """
    header = {
        "HD": {"VN": "1.6", "SO": "coordinate"},
        "SQ": [{"SN": chromosome.name, "LN": len(chromosome)} for chromosome in chromosomes],
    }
    qualities = pysam.qualitystring_to_array("I" * DNASE_READ)
    index = path.with_name(f"{path.name}.bai")
    with atomic_path(path) as partial, atomic_path(index) as partial_index:
        with pysam.AlignmentFile(str(partial), "wb", header=header) as file:
            read = pysam.AlignedSegment(file.header)
            for reference, chromosome in enumerate(chromosomes):
                true = cuts[chromosome.name]
                noise = rng.integers(0, len(chromosome), int(doubtful * len(true)))
                place = np.concatenate([true, noise])
                minus = rng.random(len(place)) < 0.5
                minus = np.where(place < DNASE_READ, False, np.where(place > len(chromosome) - DNASE_READ, True, minus))
                start = np.where(minus, place - DNASE_READ, place)
                order = np.argsort(start, kind="stable")
                text = letters(chromosome.codes)
                good = order < len(true)
                for number, (at, reverse, sure) in enumerate(
                    zip(start[order].tolist(), minus[order].tolist(), good.tolist(), strict=True)
                ):
                    read.query_name = f"{chromosome.name}.{number}"
                    read.flag = 16 if reverse else 0
                    read.reference_id, read.reference_start = reference, at
                    read.mapping_quality = 60 if sure else 3
                    read.query_sequence = text[at : at + DNASE_READ]
                    read.query_qualities = qualities
                    read.cigartuples = [(0, DNASE_READ)]
                    file.write(read)
        pysam.index(str(partial), str(partial_index))


def write_fragments(path: Path, cuts: Mapping[str, Int[np.ndarray, " n"]], rng: np.random.Generator) -> None:
    """Fragments (BEDPE of MACS: chromosome, start, end; gzipped) whose first and last bases are the given cuts.

    The two cuts of a fragment are neighbours at random within the same 512 bp; of an odd number the last is lost.
    """
    lines: list[str] = []
    for name, positions in cuts.items():
        shuffled = positions[np.lexsort([rng.random(len(positions)), positions // 512])]
        pairs = np.sort(shuffled[: len(shuffled) // 2 * 2].reshape(-1, 2), axis=1)
        pairs = pairs[np.lexsort([pairs[:, 1], pairs[:, 0]])]
        lines += [f"{name}\t{first}\t{last + 1}\n" for first, last in pairs.tolist()]
    _write_gzip(path, lines)


def write_ctss(path: Path, counts: Mapping[str, Mapping[str, Int[np.ndarray, " S"]]]) -> None:
    """Capped 5' ends by chromosome and strand, as BED of 1-bp rows with the count as score, gzipped."""
    lines: list[str] = []
    for name, strands in counts.items():
        rows = [
            (at, strand, int(per_base[at])) for strand, per_base in strands.items() for at in np.flatnonzero(per_base)
        ]
        for at, strand, count in sorted(rows):
            lines.append(f"{name}\t{at}\t{at + 1}\t{name}:{at}..{at + 1},{strand}\t{count}\t{strand}\n")
    _write_gzip(path, lines)


def write_truth(path: Path, rates: Mapping[str, Float[np.ndarray, " bins"]]) -> None:
    """The true rates of one track: a compressed npz with one float32 array per chromosome."""
    arrays = {name: values.astype(np.float32) for name, values in rates.items()}
    with atomic_path(path) as partial:
        np.savez_compressed(partial, allow_pickle=False, **arrays)


def _write_gzip(path: Path, lines: list[str]) -> None:
    # No name and no time in the header: equal rows give equal bytes.
    with (
        atomic_path(path) as partial,
        open(partial, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as file,
    ):
        file.write("".join(lines).encode())
