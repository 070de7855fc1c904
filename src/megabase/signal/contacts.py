"""Contact maps: balanced matrices become log observed over expected along a band (paper section 1.7)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from megabase.errors import InputError
from megabase.signal.coverage import Place

BAND = 1_056_000
"""Longest distance kept, in bp: a window of 2^20 bp and its shift."""


class ContactMap:
    """A balanced cooler at its own bin size.

    The log ratio is taken as in the paper, log((x + eps) / (mean_d + eps)) with eps the smallest mean over distances;
    the adaptive coarse-graining that the paper applies before it to 1-kb maps is not.
    """

    def __init__(self, path: Path, place: Place) -> None:
        """Raises InputError for a file that is no cooler, is not balanced, or is of another assembly."""
        import cooler

        try:
            self._cooler = cooler.Cooler(str(path))
            self.bin = int(self._cooler.binsize)
            lengths = {name: int(size) for name, size in self._cooler.chromsizes.items()}
        except Exception as error:  # h5py and cooler raise a variety
            what = f"truncated or not a cooler: {' '.join(str(error).split())}"
            raise InputError(what, where=place.where, remedy="fetch the file again") from None
        if "weight" not in self._cooler.bins().columns:
            raise InputError("not balanced", where=place.where, remedy="run `cooler balance` on it")
        self._names = place.names(lengths)
        self._place = place

    def banded(self) -> dict[str, Float64[np.ndarray, "bins offsets"]]:
        """Log observed over expected of bin i with bin i + offset, per chromosome; NaN where either is missing.

        The expected value of a distance is the mean over all chromosomes of its bins above zero.
        """
        offsets = BAND // self.bin + 1
        observed = {chrom: self._observed(chrom, offsets) for chrom in self._place.sizes}
        above = {chrom: np.where(band > 0, band, 0) for chrom, band in observed.items()}
        sums = np.sum([band.sum(axis=0) for band in above.values()], axis=0)
        counts = np.sum([(band > 0).sum(axis=0) for band in above.values()], axis=0)
        expected = np.divide(sums, counts, out=np.full(offsets, np.nan), where=counts > 0)
        # Distances that no chromosome shows take the last mean that is known.
        known = np.flatnonzero(np.isfinite(expected))
        if not known.size:
            raise InputError("no contacts", where=self._place.where, remedy="choose another file")
        expected = expected[known[np.maximum(np.searchsorted(known, np.arange(offsets), "right") - 1, 0)]]
        eps = expected.min()
        return {chrom: np.log((band + eps) / (expected + eps)) for chrom, band in observed.items()}

    def _observed(self, chrom: str, offsets: int) -> Float64[np.ndarray, "bins offsets"]:
        bins = -(-self._place.sizes[chrom] // self.bin)
        band = np.full((bins, offsets), np.nan)
        if chrom not in self._names:
            return band
        name = self._names[chrom]
        weights = self._cooler.bins().fetch(name)["weight"].to_numpy()[:bins]
        weights = np.pad(weights, (0, bins - len(weights)), constant_values=np.nan)
        partners = np.arange(bins)[:, None] + np.arange(offsets)
        partner_weights = np.where(partners < bins, weights[np.minimum(partners, bins - 1)], np.nan)
        band[np.isfinite(weights[:, None] * partner_weights)] = 0
        pixels = self._cooler.matrix(balance=True, as_pixels=True, join=False).fetch(name)
        first = self._cooler.offset(name)
        rows = pixels["bin1_id"].to_numpy() - first
        distance = (pixels["bin2_id"] - pixels["bin1_id"]).to_numpy()
        kept = (distance < offsets) & np.isfinite(pixels["balanced"].to_numpy()) & (rows + distance < bins)
        band[rows[kept], distance[kept]] = pixels["balanced"].to_numpy()[kept]
        return band
