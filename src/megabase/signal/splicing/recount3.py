"""Junction tables of recount3: counts (MM), ranges (RR) and samples (ID) of one tissue (data reference 1.3)."""

from __future__ import annotations

import gzip
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64

from megabase.errors import InputError
from megabase.signal.splicing.config import SplicingConfig
from megabase.signal.splicing.junctions import PLACE

_ROWS = 1 << 14
"""Junctions that are unpacked at once."""


class JunctionTable:
    """The junctions of one tissue on the chromosomes of the assembly, with the reads of every sample."""

    def __init__(
        self,
        counts: Path,
        ranges: Path,
        samples: Path,
        sizes: Mapping[str, int],
        aliases: Mapping[str, str],
        chosen: Collection[str] = (),
    ) -> None:
        """`chosen` are the ids of the samples that count; empty: all.

        Raises InputError for tables that do not belong together, cannot be read, lack a sample, or are of another
        assembly.
        """
        import scipy.io

        try:
            matrix = scipy.io.mmread(str(counts)).tocsr().astype(np.float64)
        except (OSError, ValueError, EOFError) as error:
            raise _unreadable(counts, error) from None
        places = _ranges(ranges)
        names = _samples(samples)
        if matrix.shape != (len(places), len(names)):
            what = f"counts {matrix.shape} of {len(places)} junctions in {len(names)} samples"
            raise InputError(what, where=counts, remedy="fetch the three tables of one release")
        absent = sorted(set(chosen) - set(names))
        if absent:
            what = f"no sample {', '.join(absent[:6])}"
            raise InputError(what, where=samples, remedy="ask the portal again, or correct the row's `samples`")
        if chosen:
            matrix = matrix[:, [number for number, name in enumerate(names) if name in set(chosen)]]
        self._settle(places, matrix, ranges, sizes, aliases)

    def _settle(
        self, places: pd.DataFrame, matrix: Any, where: Path, sizes: Mapping[str, int], aliases: Mapping[str, str]
    ) -> None:
        """Keeps the junctions with a strand on the assembly's chromosomes, sorted by place, and their reads."""
        places = places.assign(chrom=places["chrom"].map(lambda name: aliases.get(name, name)))
        # Junctions without a strand, `?`, have no site.
        known = places["chrom"].isin(list(sizes)) & places["strand"].isin(["+", "-"])
        if not known.any():
            seen = ", ".join(places["chrom"].unique()[:6])
            remedy = f"it names {seen}: add organisms.*.aliases"
            raise InputError("no junction of the assembly", where=where, remedy=remedy)
        places, self._reads = places[known], matrix[np.flatnonzero(known)]
        beyond = places["end"] > places["chrom"].map(sizes)
        if beyond.any():
            chrom, start, end = places[beyond].iloc[0][["chrom", "start", "end"]]
            what = f"wrong assembly: {chrom}:{start}-{end} is beyond {sizes[chrom]}"
            raise InputError(what, where=where, remedy="use tables of this assembly")
        order = np.lexsort([places[column] for column in reversed(PLACE)])
        self.places: pd.DataFrame = places.iloc[order].reset_index(drop=True)
        self._reads = self._reads[order]
        self.samples = self._reads.shape[1]

    def kept(self, config: SplicingConfig) -> Bool[np.ndarray, " junctions"]:
        """The filter over samples: a percentile of the junction's count is above one threshold, and the median of
        all reads that share its donor or its acceptor reaches the other (paper section 1.6, after splicemap)."""
        high = self._over_samples(self._reads, lambda dense: np.percentile(dense, config.percentile, axis=1))
        shared = np.maximum(self._event_medians("start"), self._event_medians("end"))
        return (high > config.percentile_above) & (shared >= config.event_median)

    def scaled_mean(self, kept: Bool[np.ndarray, " junctions"], total: float) -> Float64[np.ndarray, " kept"]:
        """The mean over samples of each sample's kept junctions scaled to `total`; samples without a read are
        passed over."""
        reads = self._reads[np.flatnonzero(kept)]
        sums = np.asarray(reads.sum(axis=0)).ravel()
        known = sums > 0
        factors = np.divide(total, sums, out=np.zeros_like(sums), where=known)
        return np.asarray(reads @ factors).ravel() / max(1, known.sum())

    def _event_medians(self, side: str) -> Float64[np.ndarray, " junctions"]:
        import scipy.sparse

        group = self.places.groupby(["chrom", "strand", side], sort=False).ngroup().to_numpy()
        ones = np.ones(len(group))
        member = scipy.sparse.csr_matrix((ones, (group, np.arange(len(group)))), (group.max() + 1, len(group)))
        return self._over_samples(member @ self._reads, lambda dense: np.median(dense, axis=1))[group]

    def _over_samples(self, reads: Any, measure: Any) -> Float64[np.ndarray, " rows"]:
        """A measure of every row, zeros included, a piece of rows at a time."""
        pieces = [measure(reads[row : row + _ROWS].toarray()) for row in range(0, reads.shape[0], _ROWS)]
        return np.concatenate(pieces)


def _ranges(path: Path) -> pd.DataFrame:
    """`PLACE` of every row of an RR table, in its order; it counts from 1 and includes the last base."""
    try:
        table = pd.read_csv(path, sep="\t", compression="infer", dtype={"chromosome": str, "strand": str})
        first, last = table["start"].astype(np.int64), table["end"].astype(np.int64)
        made = {"chrom": table["chromosome"], "start": first - 1, "end": last, "strand": table["strand"]}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise _unreadable(path, error) from None
    if (made["start"] < 0).any() or (made["start"] >= made["end"]).any():
        raise InputError("an intron ends before it starts", where=path, remedy="fetch the file again")
    return pd.DataFrame(made)


def _samples(path: Path) -> list[str]:
    """The sample ids, below one line of header."""
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
            lines = [line.strip() for line in file if line.strip()]
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from None
    return lines[1:]


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"not a recount3 table: {' '.join(str(error).split())}", where=path, remedy="fetch it again")
