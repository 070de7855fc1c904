"""One pass over the alignments of a sample: reads over each junction, and reads that run across a boundary."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from megabase.errors import InputError
from megabase.signal.splicing.usage import Boundaries

# Unmapped, secondary, failed quality checks, duplicate, supplementary: never counted.
_NOT_COUNTED = 0x4 | 0x100 | 0x200 | 0x400 | 0x800
_MATCHES, _SKIPS, _ON_REFERENCE, _ON_READ = {0, 7, 8}, 3, {0, 2, 3, 7, 8}, {0, 1, 4, 7, 8}
Introns = Counter[tuple[str, int, int]]
"""Reads by chromosome, start and end of the intron, without strand."""


def count_reads(
    bam: Path, names: Mapping[str, str], edges: Boundaries, *, min_mapping_quality: int, min_base_quality: int
) -> tuple[Introns, dict[str, Float64[np.ndarray, " boundaries"]]]:
    """Reads over each intron, and reads contiguous across each of `edges`, whatever their strand.

    A read counts at a place where the two bases that meet there, the last before and the first after, are aligned
    and have at least `min_base_quality`. `names` are the file's names of chromosomes, to ours; others are passed over.
    Raises InputError for a file that cannot be read.
    """
    import pysam

    introns: Introns = Counter()
    bounds = {chrom: [int(edge) for edge in found] for chrom, found in edges.items()}
    across = {chrom: [0] * len(found) for chrom, found in bounds.items()}
    pysam.set_verbosity(0)
    try:
        with pysam.AlignmentFile(str(bam), "rb") as file:
            ours = [names.get(name) for name in file.references]
            for read in file.fetch(until_eof=True):
                if read.flag & _NOT_COUNTED or read.mapping_quality < min_mapping_quality:
                    continue
                chrom = ours[read.reference_id]
                if chrom is None:
                    continue
                quality = read.query_qualities if min_base_quality else None
                here, counts = bounds.get(chrom, []), across.get(chrom, [])
                place, base = read.reference_start, 0
                for operation, length in read.cigartuples or ():
                    if operation in _MATCHES:
                        # The edges with a base of this block on both sides.
                        first = bisect.bisect_right(here, place)
                        for number in range(first, bisect.bisect_left(here, place + length, first)):
                            at = base + here[number] - place
                            if quality is None or min(quality[at - 1], quality[at]) >= min_base_quality:
                                counts[number] += 1
                    elif operation == _SKIPS and (
                        quality is None or min(quality[base - 1], quality[base]) >= min_base_quality
                    ):
                        introns[chrom, place, place + length] += 1
                    place += length if operation in _ON_REFERENCE else 0
                    base += length if operation in _ON_READ else 0
    except (OSError, ValueError) as error:
        what = f"truncated or not a BAM: {' '.join(str(error).split())}"
        raise InputError(what, where=bam, remedy="fetch the file again") from None
    return introns, {chrom: np.asarray(counts, np.float64) for chrom, counts in across.items()}
