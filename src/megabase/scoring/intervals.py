"""Scores of intervals: predictions over the exons of each gene (architecture reference 9)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from alphagenome.data import genome
from alphagenome.models.interval_scorers import GeneMaskScorer, IntervalAggregationType
from jaxtyping import Array, Bool, Float32, UInt8

from megabase.bundles import BUNDLES
from megabase.genome.regions import Region
from megabase.model.network import AlphaGenome
from megabase.scoring.annotation import Annotation, Gene
from megabase.scoring.forward import Forward
from megabase.scoring.reading import Reader, Strand
from megabase.scoring.scorers import Score


class IntervalSums:
    """A compiled program that adds up predictions over masks."""

    def __init__(
        self,
        forward: Forward,
        row: int,
        tables: Mapping[str, pd.DataFrame],
        bundles: Collection[str],
        strands: Sequence[Strand],
    ) -> None:
        """As for `megabase.scoring.prediction.Prediction`."""
        self._reader, self._bundles = Reader(forward, row, tables, strands), frozenset(bundles)
        self._compiled = forward.compiled(self._sum)

    def __call__(
        self, codes: UInt8[np.ndarray, "B S"], masks: Bool[np.ndarray, "B M S"]
    ) -> dict[str, Float32[np.ndarray, "B M T"]]:
        """By bundle, sums over the bins that hold a base of the mask."""
        sums: dict[str, np.ndarray] = jax.device_get(self._compiled(codes, masks))
        return sums

    def _sum(self, model: AlphaGenome, codes: Array, masks: Array) -> dict[str, Array]:
        read = self._reader(model, codes, self._bundles)
        return {b: in_bins(masks, b, jnp).astype(jnp.float32) @ values for b, values in read.tracks.items()}


def in_bins(masks: Bool[Any, "*B S"], bundle: str, xp: Any = np) -> Bool[Any, "*B bins"]:
    """Which bins of the output type hold a base of the mask."""
    resolution = min(BUNDLES[bundle].resolutions)
    return xp.any(masks.reshape(*masks.shape[:-1], -1, resolution), axis=-1)


def target_of(scorer: GeneMaskScorer, interval: genome.Interval) -> Region:
    """The part of an interval that is scored: `width` bp in its middle."""
    target = interval if scorer.width is None else interval.resize(scorer.width)
    return Region(target.chromosome, target.start, target.end)


def genes_of(
    scorer: GeneMaskScorer, interval: genome.Interval, annotation: Annotation
) -> list[tuple[Gene, Bool[np.ndarray, " S"]]]:
    """The genes of which a transcript starts in the scored part, and those transcripts' exons there, in masks of the
    interval."""
    target = target_of(scorer, interval)
    found = []
    for gene, exons in annotation.starting(target):
        mask = np.zeros(interval.width, bool)
        mask[target.start - interval.start : target.end - interval.start] = exons
        found.append((gene, mask))
    return found


def gene_scores(
    scorer: GeneMaskScorer,
    genes: Sequence[tuple[Gene, Bool[np.ndarray, " S"]]],
    sums: Float32[np.ndarray, "M T"],
) -> Iterator[Score]:
    """The score of each gene from the sums over its mask."""
    for (gene, mask), row in zip(genes, sums, strict=True):
        bins = in_bins(mask, scorer.requested_output.name).sum()
        yield Score(gene, None, row / bins if scorer.aggregation_type is IntervalAggregationType.MEAN else row)
