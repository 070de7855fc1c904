"""Held-out splicing: which bases are splice sites, how much each is used, and which of them are joined.

Paper section 8.1 and metric definitions of the evaluation reference:

- SPLICE_SITES: `auprc` of each of the four classes over all bases of all test windows, at 1 bp.
- SPLICE_SITE_USAGE: `pearson` over the observed sites of a track's strand. Over all bases it would say no more than
  where the sites are.
- SPLICE_JUNCTIONS, per tissue: `auprc` of the observed junctions among all pairs of a donor and an acceptor of one
  strand in one window, the donor first in reading direction; and `log1p_pearson` of the reads of observed junctions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32, Int32, UInt8

from megabase.bundles import BUNDLES
from megabase.evaluation.baselines import NormalEquations, composition, gc_columns
from megabase.evaluation.config import EvaluationConfig
from megabase.evaluation.observed import COARSE, Observed
from megabase.evaluation.truth import SplicingTruth
from megabase.metrics.bootstrap import Pooled
from megabase.metrics.moments import moments, pearson
from megabase.metrics.ranking import RankedCounts

SITES, USAGE, JUNCTIONS = "SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS"
_HEADS = {name: BUNDLES[name].head for name in (SITES, USAGE, JUNCTIONS)}
_CODES = 256
"""Scores of sites whose log-odds differ by less than 1 / 256 are ties: a window of 1 Mb has few distinct ones."""


class Pairs(NamedTuple):
    """Every donor with every acceptor of its strand that lies behind it."""

    strand: Int32[np.ndarray, " pairs"]
    """0: plus, 1: minus."""
    donor: Int32[np.ndarray, " pairs"]
    """Its column in the table of positions; likewise the acceptor's."""
    acceptor: Int32[np.ndarray, " pairs"]
    places: Int32[np.ndarray, "pairs 2"]
    """Donor and acceptor, in bp from the window's start."""

    def of(self, values: Float32[np.ndarray, "K K 2*n"]) -> Float32[np.ndarray, "pairs n"]:
        """The values of each pair, on its own strand."""
        halves = values.reshape(*values.shape[:2], 2, -1)
        return halves[self.donor, self.acceptor, self.strand]


def candidate_pairs(positions: Int32[np.ndarray, "4 K"]) -> Pairs:
    """The pairs of a table of positions (rows: donor +, acceptor +, donor -, acceptor -; -1: none)."""
    found = []
    for strand, sign in ((0, 1), (1, -1)):
        donors, acceptors = positions[2 * strand], positions[2 * strand + 1]
        behind = sign * (acceptors[None] - donors[:, None]) > 0
        donor, acceptor = np.nonzero(behind & (donors[:, None] >= 0) & (acceptors[None] >= 0))
        places = np.stack([donors[donor], acceptors[acceptor]], axis=1)
        found.append((np.full(len(donor), strand), donor, acceptor, places))
    return Pairs(*(np.concatenate(parts).astype(np.int32) for parts in zip(*found, strict=True)))


def site_positions(example: Any) -> Int32[np.ndarray, "4 K"]:
    """The table of positions of an example that was read with its junctions."""
    return np.asarray(example.splice_site_positions, np.int32)


def gt_ag(codes: UInt8[np.ndarray, " S"]) -> Bool[np.ndarray, "S 4"]:
    """Which bases stand where GT or AG would make them a donor or an acceptor of either strand (paper 1.6: exonic)."""
    padded = np.concatenate([[4, 4], codes, [4, 4]])
    before = [padded[i : i + len(codes)] for i in (0, 1)]
    after = [padded[i : i + len(codes)] for i in (3, 4)]
    return np.stack(
        [
            (after[0] == 2) & (after[1] == 3),  # exon GT...
            (before[0] == 0) & (before[1] == 2),  # ...AG exon
            (before[0] == 0) & (before[1] == 1),  # ...AC exon: GT of the other strand
            (after[0] == 1) & (after[1] == 3),  # exon CT...: AG of the other strand
        ],
        axis=1,
    )


class SplicingScores:
    """One organism's splicing over its test windows: baselines fitted on training windows, then scores added up."""

    def __init__(self, tracks: Mapping[str, pd.DataFrame], windows: int, config: EvaluationConfig) -> None:
        self._tracks, self._windows, self._config = tracks, windows, config
        self._n = len(tracks[JUNCTIONS])
        features = len(composition(np.zeros(COARSE, np.uint8), config.baseline_windows)[0])
        self._gc = gc_columns(config.baseline_windows)
        widths = len(self._gc)
        self._fit = {
            "sites": NormalEquations(features, 4),
            "usage": NormalEquations(features, 2 * self._n),
            "pairs": NormalEquations(2 * widths + 1, self._n),
            "joined": NormalEquations(2 * widths + 1, self._n),
        }
        self._slopes: dict[tuple[str, str], np.ndarray] = {}
        self._reads = np.zeros((2, self._n))  # Observed and true, of training windows.
        self.ranked: dict[tuple[str, str, int], RankedCounts] = {}
        self.pooled: dict[tuple[str, str], Pooled] = {}

    def fit(self, example: Any, truth: SplicingTruth | None = None, place: pd.Series | None = None) -> None:
        """Adds one training window to the baselines, and to what the level of the true reads is told from."""
        here = composition(example.sequence, self._config.baseline_windows)
        classes = np.asarray(example.targets[_HEADS[SITES]][:, :4], np.float32)
        counts = classes.reshape(-1, COARSE, 4).sum(axis=1)
        self._fit["sites"].add(here, Observed(counts, np.ones(counts.shape, bool)))
        places, usable = self._sites(example)
        used = np.asarray(example.targets[_HEADS[USAGE]], np.float32)[places]
        self._fit["usage"].add(here[places // COARSE], Observed(used, usable))
        pairs = candidate_pairs(site_positions(example))
        features, reads = self._pair_features(here, pairs), pairs.of(example.targets[_HEADS[JUNCTIONS]])
        self._fit["pairs"].add(features, Observed(np.log1p(reads), np.ones(reads.shape, bool)))
        self._fit["joined"].add(features, Observed(np.log1p(reads), reads > 0))
        if truth is not None and place is not None:
            true = pairs.of(truth.junctions(place["chrom"], place["start"], site_positions(example)))
            self._reads += [reads.sum(axis=0), true.sum(axis=0)]

    def finish_fit(self) -> None:
        """Solves the baselines."""
        length = np.array([2 * len(self._gc)])
        columns: dict[str, dict[str, Any]] = {
            "sites": {"local_gc": self._gc, "ridge": slice(None)},
            "usage": {"local_gc": self._gc, "ridge": slice(None)},
            "pairs": {"local_gc": slice(0, length[0]), "distance": length},
            "joined": {"local_gc": slice(0, length[0]), "distance": length},
        }
        for what, equations in self._fit.items():
            for name, chosen in columns[what].items():
                self._slopes[what, name] = equations.ridge(chosen, self._config.ridge_penalty)

    def add(
        self,
        window: int,
        example: Any,
        predicted: Mapping[str, np.ndarray],
        truth: SplicingTruth | None,
        place: pd.Series,
    ) -> None:
        """Adds one test window. `predicted`: sites [S, 4], usage [S, 2 n] and junctions [K, K, 2 n], by output type."""
        here = composition(example.sequence, self._config.baseline_windows)
        span = place["chrom"], place["start"], place["end"]
        known = np.broadcast_to(example.masks[_HEADS[SITES]], (len(example.sequence), 1))[:, 0]
        sites: dict[str, np.ndarray] = {"model": predicted[SITES], "gt_ag": gt_ag(example.sequence) * 0.5}
        sites |= {name: np.repeat(self._say("sites", name, here) / COARSE, COARSE, axis=0) for name in _COMPOSITION}
        sites["track_mean"] = np.full((len(example.sequence), 4), 0.5)
        if truth:
            sites["oracle"] = truth.sites(*span)
        classes = np.asarray(example.targets[_HEADS[SITES]][:, :4], bool)
        for name, values in sites.items():
            self._rank(SITES, name, window, classes[known], _coded(values[known]))

        places, usable = self._sites(example)
        used = np.asarray(example.targets[_HEADS[USAGE]], np.float32)[places]
        usage = {"model": predicted[USAGE][places], "track_mean": np.zeros(used.shape)}
        usage |= {name: self._say("usage", name, here[places // COARSE]) for name in _COMPOSITION}
        if truth:
            usage["oracle"] = truth.usage(*span)[places]
        for name, values in usage.items():
            self._pool(USAGE, name, window, used, values, usable)

        pairs = candidate_pairs(site_positions(example))
        features, reads = self._pair_features(here, pairs), pairs.of(example.targets[_HEADS[JUNCTIONS]])
        joined = reads > 0
        counts = {"model": pairs.of(predicted[JUNCTIONS]), "track_mean": np.zeros(reads.shape)}
        if truth:
            # Only the shape of the truth is known: its level is that of the training windows.
            level = np.where(self._reads[1] > 0, self._reads[0] / np.where(self._reads[1] > 0, self._reads[1], 1), 1)
            true = truth.junctions(place["chrom"], place["start"], site_positions(example))
            counts["oracle"] = pairs.of(true) * level
        for name, values in counts.items():
            self._rank(JUNCTIONS, name, window, joined, values)
            self._pool(JUNCTIONS, name, window, np.log1p(reads), np.log1p(np.maximum(values, 0)), joined)
        for name in ("local_gc", "distance"):
            self._rank(JUNCTIONS, name, window, joined, self._say("pairs", name, features))
            self._pool(JUNCTIONS, name, window, np.log1p(reads), self._say("joined", name, features), joined)

    def table(self) -> pd.DataFrame:
        """One row per track, predictor and metric; `n` counts true sites, sites of the strand, or junctions."""
        tables = []
        for (bundle, name), pooled in self.pooled.items():
            lower, upper = pooled.interval(pearson)
            columns = {"value": pearson(pooled.sums), "lower": lower, "upper": upper, "n": pooled.sums[:, 0]}
            metric = "pearson" if bundle == USAGE else "log1p_pearson"
            tables.append(self._rows(bundle, name, metric, columns))
        for bundle, name in dict.fromkeys((bundle, name) for bundle, name, _ in self.ranked):
            ranked = [own for key, own in self.ranked.items() if key[:2] == (bundle, name)]
            bounds = np.array([own.interval() for own in ranked])
            columns = {"value": np.array([own.value for own in ranked]), "lower": bounds[:, 0], "upper": bounds[:, 1]}
            columns["n"] = np.array([own.positives for own in ranked])
            tables.append(self._rows(bundle, name, "auprc", columns))
        return pd.concat(tables)

    def _rows(self, bundle: str, predictor: str, metric: str, columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
        table = self._tracks[bundle][["track", "strand"]].reset_index(drop=True).assign(**columns)
        return table.assign(
            n=table["n"].astype(np.int64), output_type=bundle, resolution=1, predictor=predictor, metric=metric
        )

    def _sites(self, example: Any) -> tuple[np.ndarray, Bool[np.ndarray, "sites 2*n"]]:
        """Bases that are observed sites, and which of the usage tracks are of their strand."""
        classes = np.asarray(example.targets[_HEADS[SITES]][:, :4], bool)
        places = np.flatnonzero(classes.any(axis=1))
        strands = [classes[places, first : first + 2].any(axis=1) for first in (0, 2)]
        known = np.broadcast_to(example.masks[_HEADS[USAGE]], (len(classes), 2 * self._n))[places]
        return places, known & np.repeat(np.stack(strands, axis=1), self._n, axis=1)

    def _pair_features(
        self, here: Float32[np.ndarray, "bins features"], pairs: Pairs
    ) -> Float[np.ndarray, "pairs 2*widths+1"]:
        """GC content around donor and acceptor, and the logarithm of the distance between them."""
        around = here[pairs.places // COARSE][:, :, self._gc].reshape(len(pairs.donor), 2 * len(self._gc))
        apart = np.log(np.maximum(np.abs(np.diff(pairs.places, axis=1)), 1))
        return np.concatenate([around, apart], axis=1)

    def _say(self, what: str, name: str, features: np.ndarray) -> np.ndarray:
        slopes = self._slopes[what, name]
        return np.asarray(features @ slopes[1:] + slopes[0])

    def _rank(self, bundle: str, name: str, window: int, positive: np.ndarray, scores: np.ndarray) -> None:
        for track in range(positive.shape[1]):
            key, resamples = (bundle, name, track), self._config.bootstrap
            ranked = self.ranked.setdefault(key, RankedCounts(self._windows, resamples))
            ranked.add(window, positive[:, track], scores[:, track])

    def _pool(
        self, bundle: str, name: str, window: int, x: np.ndarray, y: np.ndarray, usable: Bool[np.ndarray, "rows tracks"]
    ) -> None:
        pooled = self.pooled.setdefault((bundle, name), Pooled(self._windows, self._config.bootstrap))
        pooled.add(window, moments(x, y, usable))


_COMPOSITION = ("local_gc", "ridge")


def _coded(probabilities: Float[np.ndarray, "S 4"]) -> Float32[np.ndarray, "S 4"]:
    """Log-odds in steps of 1 / `_CODES`."""
    p = np.clip(np.asarray(probabilities, np.float64), 1e-12, 1 - 1e-7)
    return np.round(np.log(p / (1 - p)) * _CODES).astype(np.float32)
