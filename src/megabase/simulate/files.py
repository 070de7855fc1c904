"""Drawn data as real files in real formats. Every file appears whole or not at all, and equal data give equal bytes."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cooler
import h5py
import numpy as np
import pandas as pd
import pyBigWig
import scipy.sparse
from jaxtyping import Float, Int, UInt8

from megabase.artifacts import atomic_path
from megabase.simulate.genome import Chromosome

LINE = 60
"""Bases on a line of FASTA."""
_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)
_IGNORED = 2
"""Diagonals of a contact map that balancing leaves out, as cooler does."""
_ROUNDS = 2000
_MOMENT = "2019-06-12T00:00:00"
"""When every contact map was made: equal maps give equal bytes."""


def letters(codes: UInt8[np.ndarray, " S"]) -> str:
    """Sequence codes as text."""
    return _LETTERS[codes].tobytes().decode()


def write_fasta(path: Path, chromosomes: Iterable[Chromosome]) -> None:
    """The reference sequence, gzipped."""
    lines: list[str] = []
    for chromosome in chromosomes:
        text = letters(chromosome.codes)
        lines.append(f">{chromosome.name}\n")
        lines += [f"{text[start : start + LINE]}\n" for start in range(0, len(text), LINE)]
    write_gzip(path, lines)


def write_gtf(path: Path, chromosomes: Iterable[Chromosome]) -> None:
    """Genes, transcripts and exons as GTF (1-based, both ends included), gzipped."""
    lines: list[str] = []
    for chromosome in chromosomes:
        for gene in chromosome.genes:
            names = f'gene_id "{gene.gene_id}"; gene_name "{gene.name}"; gene_type "{gene.gene_type}";'
            rows = [("gene", gene.start, gene.end, names)]
            for count, parts in enumerate(gene.transcripts, 1):
                molecule = f'{names} transcript_id "{gene.gene_id}.t{count}";'
                rows.append(("transcript", parts[0][0], parts[-1][1], molecule))
                exons = parts if gene.strand == "+" else parts[::-1]
                for number, (start, end) in enumerate(exons, 1):
                    rows.append(("exon", start, end, f"{molecule} exon_number {number};"))
            for feature, start, end, attributes in rows:
                place = f"{chromosome.name}\tsimulated\t{feature}\t{start + 1}\t{end}"
                lines.append(f"{place}\t.\t{gene.strand}\t.\t{attributes}\n")
    write_gzip(path, lines)


def write_polya(path: Path, chromosomes: Iterable[Chromosome]) -> None:
    """PolyA sites of the genes, as a table: the position (0-based) is the last base of a transcript."""
    rows = [
        (chromosome.name, last, gene.strand, gene.gene_id, f"{gene.gene_id}.pas{number}")
        for chromosome in chromosomes
        for gene in chromosome.genes
        for number, last in enumerate(gene.polya, 1)
    ]
    table = pd.DataFrame(rows, columns=["chrom", "position", "strand", "gene_id", "pas_id"])
    with atomic_path(path) as partial:
        table.to_csv(partial, sep="\t", index=False, lineterminator="\n")


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


def write_ctss(path: Path, counts: Mapping[str, Mapping[str, Int[np.ndarray, " S"]]]) -> None:
    """Capped 5' ends by chromosome and strand, as BED of 1-bp rows with the count as score, gzipped."""
    lines: list[str] = []
    for name, strands in counts.items():
        rows = [
            (at, strand, count)
            for strand, per_base in strands.items()
            for at, count in zip(np.flatnonzero(per_base).tolist(), per_base[per_base != 0].tolist(), strict=True)
        ]
        for at, strand, count in sorted(rows):
            lines.append(f"{name}\t{at}\t{at + 1}\t{name}:{at}..{at + 1},{strand}\t{count}\t{strand}\n")
    write_gzip(path, lines)


def write_mcool(
    path: Path,
    bands: Mapping[str, Int[np.ndarray, "bins offsets"]],
    sizes: Mapping[str, int],
    bin: int,
    factors: tuple[int, ...],
    assembly: str,
) -> None:
    """Counts of contacts of bins i and i + d by chromosome, as a balanced map at each multiple of `bin` bp."""
    with tempfile.TemporaryDirectory() as folder, atomic_path(path) as partial:
        draft = Path(folder) / "draft.mcool"
        for factor in factors:
            width = bin * factor
            bins = cooler.binnify(pd.Series(sizes), width)
            first = bins.drop_duplicates("chrom").assign(at=lambda table: table.index).set_index("chrom")["at"]
            parts = [_pixels(bands[name], factor, int(first[name])) for name in sizes]
            row, column, count = (np.concatenate(part) for part in zip(*parts, strict=True))
            pixels = pd.DataFrame({"bin1_id": row, "bin2_id": column, "count": count})
            uri = f"{draft}::resolutions/{width}"
            cooler.create_cooler(uri, bins, pixels, assembly=assembly, ordered=True, mode="a")
            # From ones, cooler takes thousands of rounds where contacts reach much less far than the chromosome.
            start = _weights(row, column, count, len(bins))
            cooler.balance_cooler(cooler.Cooler(uri), x0=start, ignore_diags=_IGNORED, mad_max=0, min_nnz=0, store=True)
        # Copied once the time of writing is gone: what is merely overwritten stays in the file.
        with h5py.File(draft, "r+") as before, h5py.File(partial, "w") as after:
            for group in before["resolutions"].values():
                group.attrs["creation-date"] = _MOMENT
            before.copy("resolutions", after)
            after.attrs.update({"format": "HDF5::MCOOL", "format-version": 2, "bin-type": "fixed"})


def write_truth(path: Path, rates: Mapping[str, Float[np.ndarray, "bins ..."]], **other: Any) -> None:
    """The true rates of one track: a compressed npz with one float32 array per chromosome."""
    arrays = {name: values.astype(np.float32) for name, values in rates.items()}
    with atomic_path(path) as partial:
        np.savez_compressed(partial, allow_pickle=False, **arrays, **other)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """A table as Parquet."""
    with atomic_path(path) as partial:
        table.to_parquet(partial, index=False)


def write_gzip(path: Path, lines: Iterable[str]) -> None:
    """Text, gzipped."""
    # No name and no time in the header: equal rows give equal bytes.
    with (
        atomic_path(path) as partial,
        open(partial, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as file,
    ):
        file.write("".join(lines).encode())


def _pixels(
    band: Int[np.ndarray, "bins offsets"], factor: int, first: int
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Row, column and count of the pixels of a chromosome in bins `factor` times as wide, of which `first` is its
    first; sorted."""
    row, offset = np.nonzero(band)
    left, right = row // factor, (row + offset) // factor
    bins = -(-len(band) // factor)
    counts = np.bincount(left * bins + right, weights=band[row, offset], minlength=bins * bins).astype(np.int64)
    (pixels,) = np.nonzero(counts)
    return first + pixels // bins, first + pixels % bins, counts[pixels]


def _weights(
    row: Int[np.ndarray, " n"], column: Int[np.ndarray, " n"], count: Int[np.ndarray, " n"], bins: int
) -> Float[np.ndarray, " bins"]:
    """Weights that make every row of a map sum to one; 0 where it is empty.

    Half-steps, unlike whole ones, do not swing between neighbouring stretches of a chromosome.
    """
    kept = column - row >= _IGNORED
    upper = scipy.sparse.coo_array((count[kept].astype(np.float64), (row[kept], column[kept])), shape=(bins, bins))
    whole = (upper + upper.T).tocsr()
    weights = (whole.sum(axis=1) > 0) / np.sqrt(max(1.0, whole.sum() / bins))
    for _ in range(_ROUNDS):
        sums = weights * (whole @ weights)
        if np.abs(sums[sums > 0] - 1).max(initial=0.0) < 1e-8:
            break
        weights[sums > 0] /= np.sqrt(sums[sums > 0])
    return weights
