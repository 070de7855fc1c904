"""Splice sites, their usage, and how the reads of a site are shared among its junctions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from megabase.evaluation.benchmarks.measures import Row, measure
from megabase.evaluation.splicing import JUNCTIONS, SITES, USAGE, Pairs, SplicingScores
from megabase.metrics.bootstrap import window_counts
from megabase.metrics.intervals import mean_of_known
from megabase.metrics.moments import pearson
from megabase.metrics.splicing import psi3, psi5, share_pearson


class JunctionShares:
    """PSI5 and PSI3 of the junctions that have reads in any tissue."""

    def __init__(self, windows: int, resamples: int) -> None:
        self._counts = window_counts(windows, resamples)
        self._found: dict[tuple[str, str, int], list[np.ndarray]] = {}

    def add(
        self,
        window: int,
        pairs: Pairs,
        reads: Float[np.ndarray, "pairs n"],
        values: dict[str, Float[np.ndarray, "pairs n"]],
    ) -> None:
        """Adds one window: `reads` of each pair of sites, and what is predicted of it."""
        joined = (reads > 0).any(axis=1)
        ends = {"psi5_pearson": (psi5, pairs.donor), "psi3_pearson": (psi3, pairs.acceptor)}
        for metric, (share, column) in ends.items():
            owner: Int[np.ndarray, " junctions"] = 2 * column[joined].astype(np.int64) + pairs.strand[joined]
            for name, predicted in values.items():
                for track in range(reads.shape[1]):
                    x = share(reads[joined, track], owner)
                    y = share(np.maximum(predicted[joined, track], 0), owner)
                    own = np.stack([np.full(len(x), float(window)), x, y], axis=1)
                    self._found.setdefault((metric, name, track), []).append(own)

    def rows(self) -> Iterator[Row]:
        """The mean over tissues of each."""
        for metric, name in dict.fromkeys(key[:2] for key in self._found):
            tissues = [np.concatenate(own) for key, own in self._found.items() if key[:2] == (metric, name)]
            values = np.array([[_resampled(one, drawn) for one in tissues] for drawn in self._counts])
            n = int(sum(np.isfinite(one[:, 1]).sum() for one in tissues))
            yield measure((JUNCTIONS, 1, metric), name, mean_of_known(values, axis=1), n, "junctions")


def splicing_rows(scores: SplicingScores) -> Iterator[Row]:
    """`auprc` of sites (mean of four classes) and junctions (of tissues); correlations of usage and of reads."""
    for bundle, name in dict.fromkeys((bundle, name) for bundle, name, _ in scores.ranked):
        ranked = [own for key, own in scores.ranked.items() if key[:2] == (bundle, name)]
        values = mean_of_known(np.stack([own.values() for own in ranked], axis=1), axis=1)
        n = sum(own.positives for own in ranked)
        yield measure((bundle, 1, "auprc"), name, values, n, "sites" if bundle == SITES else "junctions")
    for (bundle, name), pooled in scores.pooled.items():
        metric, unit = ("pearson", "sites") if bundle == USAGE else ("log1p_pearson", "junctions")
        values = mean_of_known(pooled.values(pearson), axis=1)
        yield measure((bundle, 1, metric), name, values, int(pooled.sums[:, 0].sum()), unit)


def _resampled(table: np.ndarray, drawn: np.ndarray) -> float:
    own = np.repeat(table, drawn[table[:, 0].astype(int)], axis=0)
    return share_pearson(own[:, 1], own[:, 2])
