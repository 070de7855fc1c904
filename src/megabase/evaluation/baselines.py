"""What can be predicted without a network: a track's mean, base composition, and distance for contact maps.

Everything is fitted on training windows at 128 bp (contact maps: at their own bins), from sums that are added up window
by window, so that memory does not grow with the genome.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8

from megabase.evaluation.observed import COARSE, Observed, pair_distances

_COMPOSITION = 17
"""Features per width: GC content, then the sixteen dinucleotides of the plus strand."""


def composition(codes: UInt8[np.ndarray, " bases"], widths: Sequence[int]) -> Float32[np.ndarray, "bins features"]:
    """Base composition around each 128-bp bin: per width, the share of G and C and of each of the 16 dinucleotides.

    A width (bp) is centred on the bin and cut at the ends of the window, which is all that the model sees too. Shares
    are of the known bases, or dinucleotides; 0 where there are none. Order: A C G T, 4 x first + second.
    """
    first, second = codes[:-1].astype(np.int64), codes[1:].astype(np.int64)
    pair = np.where((first < 4) & (second < 4), 4 * first + second, 16)
    strong = _sums(np.stack([(codes == 1) | (codes == 2), codes < 4], axis=1))
    pairs = _sums(np.eye(17, dtype=bool)[pair])
    centres = np.arange(COARSE // 2, len(codes), COARSE)
    columns = []
    for width in widths:
        start, end = np.maximum(centres - width // 2, 0), np.minimum(centres + width // 2, len(codes))
        gc, known = (strong[end] - strong[start]).T
        counts = (pairs[end - 1] - pairs[start])[:, :16]
        columns.append((gc / np.maximum(known, 1))[:, None])
        columns.append(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    return np.concatenate(columns, axis=1).astype(np.float32)


def gc_columns(widths: Sequence[int]) -> Int64[np.ndarray, " widths"]:
    """Positions of the GC contents among the features of `composition`."""
    return np.arange(len(widths)) * _COMPOSITION


class NormalEquations:
    """X'X and X'y of every track, with the mask of each: enough for the mean and for ridge on any columns."""

    def __init__(self, features: int, tracks: int) -> None:
        self._gram = np.zeros((tracks, features + 1, features + 1))
        self._cross = np.zeros((tracks, features + 1))

    def add(self, features: Float[np.ndarray, "bins features"], observed: Observed) -> None:
        """Adds one window."""
        design = np.insert(np.asarray(features, np.float64), 0, 1.0, axis=1)
        # Most tracks share their mask, and X'X with it.
        masks, group = np.unique(observed.usable, axis=1, return_inverse=True)
        for number, mask in enumerate(masks.T):
            tracks, rows = group.ravel() == number, design[mask]
            self._gram[tracks] += rows.T @ rows
            self._cross[tracks] += np.asarray(observed.data[mask][:, tracks], np.float64).T @ rows

    @property
    def mean(self) -> Float64[np.ndarray, " tracks"]:
        """Mean of each track over the usable bins; 0 for a track without any."""
        return self._cross[:, 0] / np.maximum(self._gram[:, 0, 0], 1)

    @property
    def sum(self) -> Float64[np.ndarray, " tracks"]:
        """Sum of each track over the usable bins."""
        return self._cross[:, 0]

    def ridge(
        self, columns: Int64[np.ndarray, " columns"] | slice, penalty: float
    ) -> Float64[np.ndarray, "features+1 tracks"]:
        """Coefficients, the intercept first; 0 for columns that were not asked for.

        Minimises Σ (y - ȳ - z'b)² + penalty Σ b² over features z of mean 0 and variance 1.
        """
        tracks, size = self._cross.shape
        chosen = np.arange(1, size)[columns]
        n = np.maximum(self._gram[:, :1, 0], 1)
        mean = self._gram[:, 0, chosen] / n
        covariance = self._gram[:, chosen[:, None], chosen] - n[:, :, None] * mean[:, :, None] * mean[:, None]
        deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2) / n, 0))
        deviation = np.where(deviation > 1e-9, deviation, np.inf)  # A constant says nothing: its coefficient is 0.
        scaled = covariance / (deviation[:, :, None] * deviation[:, None]) + penalty * np.eye(len(chosen))
        product = (self._cross[:, chosen] - n * mean * self.mean[:, None]) / deviation
        slopes = np.linalg.solve(scaled, product[:, :, None])[:, :, 0] / deviation
        coefficients = np.zeros((size, tracks))
        coefficients[chosen] = slopes.T
        coefficients[0] = self.mean - (slopes * mean).sum(axis=1)
        return coefficients


class SignalBaselines:
    """`track_mean`, `local_gc` and `ridge` of one bundle, per 128 bp."""

    def __init__(self, equations: NormalEquations, widths: Sequence[int], penalty: float) -> None:
        self.mean = equations.mean
        self._ridges = {
            "local_gc": equations.ridge(gc_columns(widths), penalty),
            "ridge": equations.ridge(slice(None), penalty),
        }

    def predict(self, features: Float[np.ndarray, "bins features"]) -> dict[str, Float32[np.ndarray, "bins tracks"]]:
        """Predictions by name; a regression that falls below zero says zero, as signal is never negative."""
        constant = np.tile(self.mean.astype(np.float32), (len(features), 1))
        fitted = {
            name: np.maximum(features @ slopes[1:] + slopes[0], 0).astype(np.float32)
            for name, slopes in self._ridges.items()
        }
        return {"track_mean": constant, **fitted}


class ContactBaselines:
    """Of contact maps: `track_mean`; `distance`, the mean at each distance between bins; and `local_gc`, a regression
    on the GC content of both bins and the distance between them."""

    def __init__(self, bins: int, tracks: int, penalty: float) -> None:
        self._bins, self._penalty = bins, penalty
        self._sum, self._count = np.zeros((bins, tracks)), np.zeros((bins, tracks))
        self._equations = NormalEquations(3, tracks)

    def add(self, codes: UInt8[np.ndarray, " bases"], observed: Observed) -> None:
        """Adds one window."""
        distance = pair_distances(self._bins)
        np.add.at(self._sum, distance, np.where(observed.usable, observed.data, 0))
        np.add.at(self._count, distance, observed.usable)
        self._equations.add(self._features(codes), observed)

    def predict(self, codes: UInt8[np.ndarray, " bases"]) -> dict[str, Float32[np.ndarray, "pairs tracks"]]:
        """Predictions by name; a distance never seen has the track's mean, a track never seen 0."""
        mean = self._sum.sum(axis=0) / np.maximum(self._count.sum(axis=0), 1)
        curve = np.where(self._count > 0, self._sum / np.maximum(self._count, 1), mean)
        rows = curve[pair_distances(self._bins)].astype(np.float32)
        slopes = self._equations.ridge(slice(None), self._penalty)
        fitted = (self._features(codes) @ slopes[1:] + slopes[0]).astype(np.float32)
        constant = np.broadcast_to(mean.astype(np.float32), rows.shape)
        return {"track_mean": constant, "distance": rows, "local_gc": fitted}

    def _features(self, codes: UInt8[np.ndarray, " bases"]) -> Float64[np.ndarray, "pairs 3"]:
        pieces = codes.reshape(self._bins, -1)
        gc = np.isin(pieces, (1, 2)).sum(axis=1) / np.maximum((pieces < 4).sum(axis=1), 1)
        first, second = (gc[side] for side in np.triu_indices(self._bins, 1))
        return np.stack([first + second, first * second, np.log(pair_distances(self._bins))], axis=1)


def _sums(indicator: Bool[np.ndarray, "bases columns"]) -> Int64[np.ndarray, "bases+1 columns"]:
    """Row i holds the sum of the first i rows."""
    return np.insert(np.cumsum(indicator, axis=0, dtype=np.int64), 0, 0, axis=0)
