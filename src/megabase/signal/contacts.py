"""Contact maps: balanced matrices become log observed over expected along a band (paper section 1.7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from megabase.errors import InputError
from megabase.signal.coarsegrain import adaptive, levels
from megabase.signal.coverage import Place

BAND = 1_056_000
"""Longest distance kept, in bp: a window of 2^20 bp and its shift."""


class ContactMap:
    """A balanced cooler at its own bin size, or one bin size of a file of several.

    The log ratio is log((x + eps) / (mean_d + eps)), with mean_d the mean over the bins above zero at one distance
    and eps the smallest of these means. Maps of fine bins are coarse-grained adaptively before it, on squares counted
    from each chromosome's start.
    """

    def __init__(self, path: Path, place: Place, *, resolution: int | None = None, coarsen_up_to: int = 0) -> None:
        """`resolution` chooses the bin size, in bp, of a multi-resolution file (`mcool`); maps with bins of at most
        `coarsen_up_to` bp are coarse-grained.

        Raises InputError for a file that is no cooler, lacks the resolution, is not balanced, or is of another
        assembly.
        """
        import cooler

        try:
            name = str(path) if resolution is None else f"{path}::resolutions/{resolution}"
            found = cooler.fileops.list_coolers(str(path)) if resolution is not None else []
            if resolution is not None and f"/resolutions/{resolution}" not in found:
                listed = ", ".join(uri.rsplit("/", 1)[-1] for uri in found)
                remedy = f"it has {listed}: set signal.contact_resolution, or choose another file"
                raise InputError(f"no map of {resolution} bp", where=place.where, remedy=remedy)
            self._cooler = cooler.Cooler(name)
            self.bin = int(self._cooler.binsize)
            lengths = {name: int(size) for name, size in self._cooler.chromsizes.items()}
        except InputError:
            raise
        except Exception as error:  # h5py and cooler raise a variety
            what = f"truncated or not a cooler: {' '.join(str(error).split())}"
            raise InputError(what, where=place.where, remedy="fetch the file again") from None
        if "weight" not in self._cooler.bins().columns:
            raise InputError("not balanced", where=place.where, remedy="run `cooler balance` on it")
        self._names = place.names(lengths)
        self._place = place
        self._coarsened = self.bin <= coarsen_up_to
        self._offsets = BAND // self.bin + 1

    def log_ratios(self) -> Iterator[tuple[str, Float64[np.ndarray, "bins offsets"]]]:
        """Log observed over expected of bin i with bin i + offset, by chromosome in order of name; NaN where either
        is missing. One chromosome is held at a time, and each is read twice."""
        expected = self._expected()
        eps = expected.min()
        for chrom in sorted(self._place.sizes):
            yield chrom, np.log((self._observed(chrom) + eps) / (expected + eps))

    def _expected(self) -> Float64[np.ndarray, " offsets"]:
        """The mean over all chromosomes of the bins above zero, by distance."""
        sums, counts = np.zeros(self._offsets), np.zeros(self._offsets)
        for chrom in self._place.sizes:
            band = self._observed(chrom)
            sums += np.where(band > 0, band, 0).sum(axis=0)
            counts += (band > 0).sum(axis=0)
        expected = np.divide(sums, counts, out=np.full(self._offsets, np.nan), where=counts > 0)
        # Distances that no chromosome shows take the last mean that is known.
        known = np.flatnonzero(np.isfinite(expected))
        if not known.size:
            raise InputError("no contacts", where=self._place.where, remedy="choose another file")
        return expected[known[np.maximum(np.searchsorted(known, np.arange(self._offsets), "right") - 1, 0)]]

    def _observed(self, chrom: str) -> Float64[np.ndarray, "bins offsets"]:
        bins = -(-self._place.sizes[chrom] // self.bin)
        if chrom not in self._names:
            return np.full((bins, self._offsets), np.nan)
        return self._smooth(chrom, bins) if self._coarsened else self._plain(chrom, bins)

    def _plain(self, chrom: str, bins: int) -> Float64[np.ndarray, "bins offsets"]:
        offsets, name = self._offsets, self._names[chrom]
        band = np.full((bins, offsets), np.nan)
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

    def _smooth(self, chrom: str, bins: int) -> Float64[np.ndarray, "bins offsets"]:
        """The band of the coarse-grained map: one row of its largest squares at a time, since none mixes with the
        next."""
        depth = levels(bins)
        side = 1 << depth
        band = np.full((bins, self._offsets), np.nan)
        first, last = self._cooler.extent(self._names[chrom])
        last = min(last, first + bins)
        balanced, raw = self._cooler.matrix(balance=True), self._cooler.matrix(balance=False)
        for start in range(0, bins, side):
            # Padded to whole squares: beyond the chromosome, missing.
            shape = (side, -(-(side + self._offsets - 1) // side) * side)
            values, counts = np.full(shape, np.nan), np.zeros(shape)
            rows = slice(first + start, min(first + start + side, last))
            columns = slice(first + start, min(first + start + shape[1], last))
            inside = slice(0, rows.stop - rows.start), slice(0, columns.stop - columns.start)
            if inside[0].stop <= 0:
                break
            values[inside], counts[inside] = balanced[rows, columns], raw[rows, columns]
            smooth = adaptive(values, counts, depth)
            for row in range(min(side, bins - start)):
                band[start + row] = smooth[row, row : row + self._offsets]
        return band
