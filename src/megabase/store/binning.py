"""Stored values over the bins that are asked for: sums of tracks, means of contact maps."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from jaxtyping import Float, Float32

PAIR_BIN = 2048
"""Bin of contact-map targets, in bp (paper section 1.7)."""
_BINS = 512
"""Bins that are summed at a time."""


def binned_sums(
    means: Float[np.ndarray, "rows T"], phase: int, width: int, resolution: int, sums: Float32[np.ndarray, "bins T"]
) -> None:
    """Fills `sums` over bins of `resolution` bp that begin `phase` bp into the first of rows of means over `width` bp:
    each mean weighed by the bases it shares with the bin."""
    bins, per = len(sums), resolution // width
    for first in range(0, bins, _BINS):
        # A few bins at a time stay in the processor's cache.
        into = sums[first : first + _BINS]
        rows = means[first * per : first * per + len(into) * per].astype(np.float32)
        np.einsum("brt->bt", rows.reshape(len(into), per, -1), out=into)
    sums *= width
    if phase:
        # Each bin begins `phase` bases into one row and takes as many of the one after its last.
        edges = means[: bins * per + 1 : per].astype(np.float32) * phase
        sums += np.diff(edges, axis=0)


def averaged_map(
    band: Float32[np.ndarray, "rows offsets"], first: int, size: int, length: int
) -> Float32[np.ndarray, "bins bins"]:
    """Area-weighted means over 2,048-bp bins of `length` bp that begin `first` bp into a band of rows of `size` bp; NaN
    where any source bin is missing (paper section 1.7)."""
    shared = _shared(first, size, length, len(band))
    square = _square(band)
    missing = np.isnan(square)
    square[missing] = 0
    # The square is symmetric: rows first, then columns as rows.
    averages = shared @ (shared @ square).T
    averages /= PAIR_BIN**2
    averages[shared @ (shared @ missing.astype(np.float32)).T > 0] = np.nan
    return averages


def _shared(first: int, size: int, length: int, rows: int) -> scipy.sparse.csr_array:
    """The bases that each 2,048-bp bin shares with each row of `size` bp, float32 [bins, rows]."""
    starts = first + PAIR_BIN * np.arange(length // PAIR_BIN)[:, None]
    touched = starts // size + np.arange(PAIR_BIN // size + 2)
    bases = np.minimum(starts + PAIR_BIN, (touched + 1) * size) - np.maximum(starts, touched * size)
    bins, columns = np.nonzero(bases > 0)
    values = bases[bins, columns].astype(np.float32)
    return scipy.sparse.csr_array((values, (bins, touched[bins, columns])), shape=(len(starts), rows))


def _square(band: Float32[np.ndarray, "bins offsets"]) -> Float32[np.ndarray, "bins bins"]:
    """The symmetric matrix of a band of its upper diagonals; NaN beyond the band."""
    bins, offsets = len(band), min(len(band), band.shape[1])
    padded = np.full((bins, bins + offsets), np.nan, np.float32)
    # Row i of the band starts on the diagonal: one further to the right than row i - 1.
    stride = padded.strides[1]
    diagonal = np.lib.stride_tricks.as_strided(padded, (bins, offsets), ((bins + offsets + 1) * stride, stride))
    diagonal[:] = band[:, :offsets]
    upper = padded[:, :bins]
    return np.fmax(upper, upper.T)
