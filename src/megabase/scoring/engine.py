"""One model with its references: what the public interface asks for, in this library's own terms.

Programs and tables are made when they are first needed and stay as long as the model.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from megabase.errors import InputError
from megabase.genome.reference import Reference
from megabase.genome.regions import Region
from megabase.genome.sequence import encode
from megabase.model.config import PAIR_BIN
from megabase.model.network import AlphaGenome
from megabase.scoring.annotation import Annotation
from megabase.scoring.calibration import Calibration
from megabase.scoring.comparison import Compared, Comparison
from megabase.scoring.config import Scorer
from megabase.scoring.forward import Forward
from megabase.scoring.intervals import IntervalSums
from megabase.scoring.passes import Job, compared, rounded_up
from megabase.scoring.prediction import Predicted, Prediction
from megabase.scoring.reading import BOTH, Strand
from megabase.scoring.references import found_reference
from megabase.scoring.scorers import Setting
from megabase.scoring.sequences import alleles, indel
from megabase.scoring.surroundings import Surroundings, batched
from megabase.scoring.variants import check_assembly, organism_tables
from megabase.scoring.vcf import Variant


class Asked(NamedTuple):
    """One variant to score in a window."""

    variant: Variant
    region: Region
    minus: bool
    """Read the other strand."""
    plain: bool
    """REF is what the window has by itself, so that variants of one window can share it."""
    codes: Callable[[], UInt8[np.ndarray, "2 S"]]
    """REF and ALT."""


class Engine:
    """Predictions and scores by organism of the model."""

    def __init__(
        self,
        network: AlphaGenome,
        description: dict[str, Any],
        path: Path,
        references: Mapping[str, str | Path | None],
        batch: int,
        both_strands: bool,
    ) -> None:
        """As `megabase.scoring.load` gives them."""
        self.description = description
        self._path, self._references, self._both_strands = path, references, both_strands
        self._batch, self._forward = rounded_up(batch), Forward(network)
        self.tables = functools.cache(self._tables)
        self.annotation = functools.cache(self._annotation)
        self.calibration = functools.cache(self._calibration)
        self._reference = functools.cache(self._open_reference)
        self._prediction = functools.cache(self._make_prediction)
        self._comparison = functools.cache(self._make_comparison)
        self._surroundings = functools.cache(self._make_surroundings)
        self._sums = functools.cache(self._make_sums)

    # ---- sequences

    def codes(self, organism: str, region: Region) -> UInt8[np.ndarray, " S"]:
        """The reference's bases. Raises InputError for a chromosome that it does not have and an odd length."""
        self._check(organism, region)
        return self._reference(organism).codes(*region)

    def ask(self, organism: str, variant: Variant, region: Region, minus: bool) -> Asked:
        """A variant and what the reference has around it. Raises InputError for one that does not lie in the region."""
        self._check(organism, region)
        if variant.chrom != region.chrom or not region.start <= variant.start <= variant.end <= region.end:
            raise InputError(f"{variant} is not in {region}", where="variant", remedy="give an interval around it")
        there = self._reference(organism).codes(variant.chrom, variant.start, variant.end)
        codes = functools.partial(alleles, self._reference(organism), variant, region)
        return Asked(variant, region, minus, np.array_equal(there, encode(variant.ref)), codes)

    def _check(self, organism: str, region: Region) -> None:
        sizes = self._reference(organism).sizes
        if region.chrom not in sizes:
            known = ", ".join(list(sizes)[:8])
            raise InputError(f"no chromosome {region.chrom}", where="interval", remedy=f"choose from {known}")
        check_length(region.end - region.start)

    # ---- predictions and scores

    def predicted(
        self, organism: str, codes: Sequence[UInt8[np.ndarray, " S"]], minus: Sequence[bool], bundles: frozenset[str]
    ) -> Iterator[Predicted]:
        """What sequences, given as the forward strand reads them, predict."""
        size = self._batch if len(codes) > 1 else 1
        pairs = zip(codes, minus, strict=True)
        for (_, turned), run in itertools.groupby(pairs, lambda pair: (len(pair[0]), pair[1])):
            prediction = self._prediction(organism, bundles, self._strands(turned))
            for batch in batched((own for own, _ in run), size):
                filled = np.stack(batch + batch[-1:] * (size - len(batch)))
                yield from prediction.sequences(filled).each()[: len(batch)]

    def predicted_alleles(
        self, organism: str, asked: Sequence[Asked], bundles: frozenset[str]
    ) -> Iterator[list[Predicted]]:
        """What REF and ALT of each variant predict."""
        annotation, size = self.annotation(organism), self._batch if len(asked) > 1 else 1
        kinds = itertools.groupby(asked, lambda own: (own.region.end - own.region.start, own.minus))
        for (length, minus), run in kinds:
            prediction = self._prediction(organism, bundles, self._strands(minus))
            for batch in batched(run, size):
                rows = [*batch, *[batch[-1]] * (size - len(batch))]
                genes = np.zeros((size, length), bool)
                for row, own in zip(genes, rows, strict=True):
                    for gene in annotation.bodies(own.variant):
                        start = own.region.start
                        row[max(gene.start - start, 0) : max(gene.end - start, 0)] = True
                    row[:] |= not row.any()
                moved = np.array([indel(own.variant, own.region) for own in rows], np.int32)
                sites = np.stack([annotation.splice_sites(own.region) for own in rows])
                codes = np.stack([own.codes() for own in rows])
                made = prediction.alleles(codes, moved[:, 0], moved[:, 1], genes, sites)
                yield from (both.each() for both in made.each()[: len(batch)])

    def compared(
        self, organism: str, asked: Sequence[Asked], scorers: tuple[Scorer, ...]
    ) -> Iterator[tuple[Setting, Compared]]:
        """What both alleles of each variant predict, as the scorers compare them; those that follow each other in one
        window share the reference's pass."""

        def window(own: Asked) -> tuple[object, ...]:
            return own.region, own.minus, own.plain or id(own)

        runs = [list(run) for _, run in itertools.groupby(asked, window)]
        # Variants with windows of their own are batched by length and strand.
        kinds = itertools.groupby(
            runs, lambda run: (len(run) > 1, run[0].region.end - run[0].region.start, run[0].minus)
        )
        for (shared, length, minus), own in kinds:
            compare = self._comparison(organism, scorers, self._strands(minus))
            around = self._surroundings(organism, scorers, length)
            size = self._batch if len(asked) > 1 else 1
            batches = batched(itertools.chain.from_iterable(own), size, window if shared else None)
            jobs = ([Job(a.variant, a.region, a.codes()) for a in batch] for batch in batches)
            for settings, made in compared(jobs, compare, around, size, shared):
                yield from zip(settings, made.of(len(settings)), strict=True)

    def sums(
        self, organism: str, minus: bool, bundles: frozenset[str], codes: np.ndarray, masks: Sequence[np.ndarray]
    ) -> dict[str, np.ndarray]:
        """By bundle, predictions of one sequence summed over each mask."""
        room = max(1 << max(len(masks) - 1, 0).bit_length(), 8)
        filled = np.zeros((room, len(codes)), bool)
        for row, mask in zip(filled, masks, strict=False):
            row[:] = mask
        found = self._sums(organism, bundles, self._strands(minus))(codes[None], filled[None])
        return {bundle: values[0, : len(masks)] for bundle, values in found.items()}

    # ---- made once

    def _strands(self, minus: bool) -> tuple[Strand, ...]:
        return BOTH if self._both_strands else ("-",) if minus else ("+",)

    def _tables(self, organism: str) -> dict[str, pd.DataFrame]:
        return organism_tables(self.description, organism, self._path)

    def _open_reference(self, organism: str) -> Reference:
        known = self.description.get("assemblies", {}).get(organism)
        folder = self._references.get(organism) or found_reference(self._path, organism, known)
        reference = Reference.open(folder)
        check_assembly(self.description, organism, reference, folder)
        return reference

    def _annotation(self, organism: str) -> Annotation:
        return Annotation.open(self._reference(organism).folder)

    def _calibration(self, organism: str) -> Calibration | None:
        path = self._path / f"quantiles.{organism}.parquet"
        return Calibration(path, self.description, organism) if path.exists() else None

    def _of(self, organism: str) -> tuple[int, dict[str, pd.DataFrame]]:
        return self.description["organisms"][organism], self.tables(organism)

    def _make_prediction(self, organism: str, bundles: frozenset[str], strands: tuple[Strand, ...]) -> Prediction:
        return Prediction(self._forward, *self._of(organism), bundles, strands)

    def _make_comparison(self, organism: str, scorers: tuple[Scorer, ...], strands: tuple[Strand, ...]) -> Comparison:
        return Comparison(self._forward, *self._of(organism), scorers, strands)

    def _make_surroundings(self, organism: str, scorers: tuple[Scorer, ...], length: int) -> Surroundings:
        return Surroundings(self.annotation(organism), length, scorers)

    def _make_sums(self, organism: str, bundles: frozenset[str], strands: tuple[Strand, ...]) -> IntervalSums:
        return IntervalSums(self._forward, *self._of(organism), bundles, strands)


def check_length(length: int) -> None:
    """Raises InputError for a length that the model cannot read."""
    if length < PAIR_BIN or length % PAIR_BIN:
        remedy = f"give a multiple of {PAIR_BIN:,} bp, such as interval.resize(16_384)"
        raise InputError(f"a sequence of {length:,} bp", where="interval", remedy=remedy)
