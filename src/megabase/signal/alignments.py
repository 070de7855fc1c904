"""BAM: read coverage by strand, 5' ends, and cut sites."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from megabase.errors import InputError
from megabase.signal.config import SignalConfig
from megabase.signal.coverage import Place

if TYPE_CHECKING:
    import pysam

# Unmapped, secondary, failed quality checks, duplicate, supplementary: never counted.
_NOT_COUNTED = 0x4 | 0x100 | 0x200 | 0x400 | 0x800


class Alignments:
    """A BAM, opened for one reading and one strand."""

    def __init__(
        self,
        path: Path,
        place: Place,
        config: SignalConfig,
        *,
        reading: str,
        strand: str,
        library: str,
        shift: tuple[int, int],
    ) -> None:
        """`strand` selects reads by the transcript's strand (`.`: all); `library` is read 1's orientation against it.

        `shift` is added to the 5' ends of plus- and minus-strand reads, in bp, for `cut_sites`.
        Raises InputError for a truncated file, chromosomes of another assembly, and, where
        `config.bam_index` is `required`, a missing index.
        """
        import pysam

        self._place, self._config = place, config
        self._reading, self._strand, self._shift = reading, strand, shift
        self._flipped = library == "reverse"
        if library == "unstranded":
            self._strand = "."
        self._path = path
        self._index: str | None = None
        pysam.set_verbosity(0)
        with self._opened() as bam:
            self._names = place.names(dict(zip(bam.references, bam.lengths, strict=True)))
            self._indexed = bam.has_index()
        if not self._indexed and config.bam_index == "build":
            self._index_beside = tempfile.TemporaryDirectory(prefix="megabase-bai-")
            self._index = f"{self._index_beside.name}/index.bai"
            try:
                pysam.index(str(path), self._index)
            except pysam.SamtoolsError as error:
                raise self._unreadable(error) from None
            self._indexed = True
        if not self._indexed and config.bam_index == "required":
            raise InputError(
                "BAM without index",
                where=place.where,
                remedy="run `samtools index` on it, or set signal.bam_index: build",
            )
        self._whole: dict[str, Float64[np.ndarray, " S"]] | None = None

    def values(self, chrom: str) -> Float64[np.ndarray, " S"]:
        """float64 counts at every base of a chromosome."""
        if chrom not in self._names:
            return self._place.blank(chrom)
        if not self._indexed:
            # Without an index the file is read once, in its own order, whatever is asked for first.
            if self._whole is None:
                with self._opened() as bam:
                    self._whole = self._counted(bam.fetch(until_eof=True))
            return self._whole.get(chrom, self._place.blank(chrom))
        with self._opened() as bam:
            return self._counted(bam.fetch(self._names[chrom])).get(chrom, self._place.blank(chrom))

    def _opened(self) -> pysam.AlignmentFile:
        import pysam

        try:
            return pysam.AlignmentFile(str(self._path), "rb", index_filename=self._index)
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> InputError:
        what = f"truncated or not a BAM: {' '.join(str(error).split())}"
        return InputError(what, where=self._place.where, remedy="fetch the file again")

    def _counted(self, reads: Iterator[pysam.AlignedSegment]) -> dict[str, Float64[np.ndarray, " S"]]:
        """Counts per chromosome. Coverage is the running sum of +1 at block starts and -1 at block ends."""
        ours = {name: chrom for chrom, name in self._names.items()}
        places: dict[str, tuple[list[int], list[int]]] = {}
        try:
            for read in reads:
                if self._skips(read) or (chrom := ours.get(read.reference_name or "")) is None:
                    continue
                ups, downs = places.setdefault(chrom, ([], []))
                if self._reading == "coverage":
                    for start, end in read.get_blocks():
                        ups.append(start)
                        downs.append(end)
                else:
                    ups.append(self._end_of(read))
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from None
        return {chrom: self._piled(chrom, ups, downs) for chrom, (ups, downs) in places.items()}

    def _piled(self, chrom: str, ups: list[int], downs: list[int]) -> Float64[np.ndarray, " S"]:
        size = self._place.sizes[chrom]
        at = np.asarray(ups)
        counts = np.bincount(at[(at >= 0) & (at < size)], minlength=size + 1).astype(np.float64)
        if downs:
            counts -= np.bincount(np.minimum(downs, size), minlength=size + 1)
            counts = np.cumsum(counts)
        return counts[:size]

    def _skips(self, read: pysam.AlignedSegment) -> bool:
        if read.flag & _NOT_COUNTED or read.mapping_quality < self._config.min_mapping_quality:
            return True
        if self._reading == "five_prime" and read.is_read2:
            return True
        if self._strand == ".":
            return False
        # Read 2 lies on the other strand of the fragment; a reversed library has read 1 there.
        minus = read.is_reverse ^ read.is_read2 ^ self._flipped
        return minus != (self._strand == "-")

    def _end_of(self, read: pysam.AlignedSegment) -> int:
        plus, minus = self._shift if self._reading == "cut_sites" else (0, 0)
        if read.is_reverse:
            return (read.reference_end or 0) - 1 + minus
        return read.reference_start + plus
