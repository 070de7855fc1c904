"""The reference of an organism as every later stage reads it: sequence, genes, exons and masks in one folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from megabase.artifacts import atomic_directory, file_sha256, provenance, write_json
from megabase.errors import InputError
from megabase.genome import STAGE_VERSION
from megabase.genome.annotation import read_gtf
from megabase.genome.bedtools import find_bedtools
from megabase.genome.config import Organism
from megabase.genome.intervals import read_intervals
from megabase.genome.polya import read_polya
from megabase.genome.sequence import UNKNOWN, encode
from megabase.genome.text import read_lines

logger = logging.getLogger(__name__)
_LINE = 60
SPLICE_EXONS, INTERVALS = "splice_exons.parquet", "intervals.parquet"
"""Only in references of organisms that have them."""


class Reference:
    """A built reference, opened for reading."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        record = json.loads((self.folder / "reference.json").read_text())
        self.assembly: str = record["assembly"]
        self.sizes: dict[str, int] = record["sizes"]
        """Chromosome lengths in bp, sorted by name (`genome.fa` keeps the config's order)."""
        self._fasta: Any = None

    @staticmethod
    def open(folder: str | Path) -> Reference:
        """The reference in `folder`. Raises InputError where there is none."""
        if not (Path(folder) / "reference.json").exists():
            raise InputError("no reference here", where=folder, remedy="build it: snakemake store")
        return Reference(folder)

    def codes(self, chrom: str, start: int, end: int) -> UInt8[np.ndarray, "S"]:
        """Codes of [start, end); beyond the chromosome's ends, unknown."""
        import pyfaidx

        if self._fasta is None:
            # A copied folder may have an index that looks older than its sequence: it is right all the same.
            self._fasta = pyfaidx.Faidx(str(self.folder / "genome.fa"), rebuild=False)
        codes = np.full(end - start, UNKNOWN, np.uint8)
        first, last = max(start, 0), min(end, self.sizes[chrom])
        if first < last:
            codes[first - start : last - start] = encode(str(self._fasta.fetch(chrom, first + 1, last)))
        return codes

    def genes(self) -> pd.DataFrame:
        """chrom, start, end, strand, gene_id, gene_name, gene_type."""
        return pd.read_parquet(self.folder / "genes.parquet")

    def exons(self) -> pd.DataFrame:
        """chrom, start, end, strand, gene_id, transcript_id."""
        return pd.read_parquet(self.folder / "exons.parquet")

    def splice_exons(self) -> pd.DataFrame:
        """The exons whose junctions are known before reads are aligned, likewise; those of the annotation where no
        other release is named for it."""
        own = self.folder / SPLICE_EXONS
        return pd.read_parquet(own) if own.exists() else self.exons()

    def intervals(self) -> pd.DataFrame | None:
        """Places of windows: chrom, start, end, section; None where none were given."""
        own = self.folder / INTERVALS
        return pd.read_parquet(own) if own.exists() else None

    def polya(self) -> pd.DataFrame:
        """Polyadenylation sites: chrom, position (0-based), strand, gene_id, pas_id; none where none were given."""
        return pd.read_parquet(self.folder / "polya.parquet")

    def masks(self) -> pd.DataFrame:
        """chrom, start, end, reason (`gap` or `excluded`), merged per reason."""
        return pd.read_parquet(self.folder / "masks.parquet")


def build_reference(organism: Organism, out: Path) -> None:
    """Writes the reference folder of an organism.

    Raises InputError for a chromosome that the FASTA does not have or has twice, for an annotation, polyadenylation
    sites or an exclusion list of another assembly, and for unreadable files.
    """
    import pyfaidx

    with atomic_directory(out) as partial:
        sizes, gaps = _write_sequence(organism, partial / "genome.fa")
        pyfaidx.Faidx(str(partial / "genome.fa"))
        genes, exons = read_gtf(organism.annotation, sizes, organism.aliases)
        genes.to_parquet(partial / "genes.parquet", index=False)
        exons.to_parquet(partial / "exons.parquet", index=False)
        polya = read_polya(organism.polya, sizes, organism.aliases, genes)
        polya.to_parquet(partial / "polya.parquet", index=False)
        if organism.splice_annotation:
            _, spliced = read_gtf(organism.splice_annotation, sizes, organism.aliases)
            spliced.to_parquet(partial / SPLICE_EXONS, index=False)
        if organism.intervals:
            read_intervals(organism.intervals, sizes, organism.aliases).to_parquet(partial / INTERVALS, index=False)
        masks = pd.concat([_merged(gaps, "gap"), _merged(_excluded(organism, sizes), "excluded")], ignore_index=True)
        masks.to_parquet(partial / "masks.parquet", index=False)
        inputs = {"fasta": file_sha256(organism.fasta), "annotation": file_sha256(organism.annotation)}
        inputs |= {
            name: file_sha256(path)
            for name in ("excluded", "polya", "splice_annotation", "intervals")
            if (path := getattr(organism, name))
        }
        record = {"assembly": organism.assembly, "sizes": sizes, "stage_version": STAGE_VERSION, "sha256": inputs}
        write_json(partial / "reference.json", record | {"provenance": provenance(("pyfaidx", "pybedtools"))})
    logger.info("%s: %s bp, %s genes, %s masked pieces", out.name, sum(sizes.values()), len(genes), len(masks))


def _write_sequence(organism: Organism, path: Path) -> tuple[dict[str, int], pd.DataFrame]:
    """Writes the wanted chromosomes in the config's order; their sizes, and the runs of unknown bases."""
    found, names = {}, []
    for name, sequence in _records(Path(organism.fasta)):
        names.append(name)
        chrom = organism.aliases.get(name, name)
        if chrom not in organism.chromosomes:
            continue
        if chrom in found or not sequence:
            problem = "is there twice" if chrom in found else "is empty"
            raise InputError(f"{chrom} {problem}", where=organism.fasta, remedy="correct it or organisms.*.aliases")
        found[chrom] = sequence
        logger.info("%s: %s bp", chrom, len(sequence))
    gaps = []
    with open(path, "wb") as file:
        for chrom in organism.chromosomes:
            if chrom not in found:
                raise InputError(
                    f"no chromosome `{chrom}`",
                    where=organism.fasta,
                    remedy=f"it has {', '.join(names[:6])}: correct organisms.*.chromosomes or add organisms.*.aliases",
                )
            sequence = found[chrom]
            file.write(f">{chrom}\n".encode())
            for start in range(0, len(sequence), _LINE):
                file.write(sequence[start : start + _LINE] + b"\n")
            unknown = np.diff((encode(sequence) == UNKNOWN).astype(np.int8), prepend=0, append=0)
            starts, ends = np.flatnonzero(unknown == 1), np.flatnonzero(unknown == -1)
            gaps.append(pd.DataFrame({"chrom": chrom, "start": starts, "end": ends}))
    return {chrom: len(found[chrom]) for chrom in organism.chromosomes}, pd.concat(gaps, ignore_index=True)


def _records(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names (up to the first blank) and letters of a FASTA."""
    name, lines = "", list[bytes]()
    for number, line in enumerate(read_lines(path, "sequence", "correct organisms.*.fasta or source_root"), 1):
        if line.startswith(b">"):
            if name:
                yield name, b"".join(lines)
            name, lines = line[1:].partition(b" ")[0].strip().partition(b"\t")[0].decode(errors="replace"), []
        else:
            lines.append(line.strip())
            if lines[-1] and not (lines[-1].isascii() and lines[-1].translate(None, b"*-").isalpha()):
                remedy = "give letters only, or fetch the file again"
                raise InputError("not a FASTA: no letters", where=f"{path} line {number}", remedy=remedy)
        if not name and line.strip():
            raise InputError(
                "not a FASTA: no name", where=f"{path} line {number}", remedy="start each sequence with >name"
            )
    if name:
        yield name, b"".join(lines)


def _excluded(organism: Organism, sizes: dict[str, int]) -> pd.DataFrame:
    """The exclusion list on the wanted chromosomes; the log says so where none is."""
    pieces: list[tuple[str, int, int]] = []
    names: set[str] = set()
    lines = read_lines(organism.excluded, "exclusion list", "correct organisms.*.excluded") if organism.excluded else ()
    for number, line in enumerate(lines, 1):
        fields = line.decode(errors="replace").split("\t")
        if fields[0].startswith(("#", "track", "browser")) or not line.strip():
            continue
        where = f"{organism.excluded} line {number}"
        try:
            name, start, end = fields[0], int(fields[1]), int(fields[2])
        except (IndexError, ValueError):
            raise InputError("not a BED row", where=where, remedy="give chrom, start, end, separated by tabs") from None
        names.add(name)
        chrom = organism.aliases.get(name, name)
        if chrom not in sizes:
            continue
        if not 0 <= start < end <= sizes[chrom]:
            raise InputError(
                f"{name}:{start}-{end} is not within 0-{sizes[chrom]}",
                where=where,
                remedy="use the exclusion list of the FASTA's assembly",
            )
        pieces.append((chrom, start, end))
    if names and not pieces:
        logger.warning("%s: nothing on the chromosomes used; it names %s", organism.excluded, sorted(names)[:6])
    return pd.DataFrame(pieces, columns=["chrom", "start", "end"])


def _merged(pieces: pd.DataFrame, reason: str) -> pd.DataFrame:
    if pieces.empty:
        return pd.DataFrame({"chrom": pd.Series(dtype=str), "start": [], "end": [], "reason": []}).astype(
            {"start": np.int64, "end": np.int64, "reason": str}
        )
    import pybedtools

    find_bedtools()
    merged = pybedtools.BedTool.from_dataframe(pieces[["chrom", "start", "end"]]).sort().merge()
    rows = [(piece.chrom, piece.start, piece.end, reason) for piece in merged]
    return pd.DataFrame(rows, columns=["chrom", "start", "end", "reason"])
