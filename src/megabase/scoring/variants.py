"""Scores of all variants of a VCF, as one Parquet file."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from megabase.artifacts import atomic_path, file_sha256, provenance
from megabase.errors import InputError
from megabase.genome.reference import Reference
from megabase.model.weights import load
from megabase.scoring.annotation import Annotation
from megabase.scoring.comparison import Compared, Comparison, Places
from megabase.scoring.config import Scorer, ScoringConfig
from megabase.scoring.forward import Forward
from megabase.scoring.scorers import Seen, Setting, chosen_scorers, scores
from megabase.scoring.sequences import alleles, indel, window
from megabase.scoring.table import ScoreTable
from megabase.scoring.vcf import Variant, read_vcf

logger = logging.getLogger(__name__)
_SAID_EVERY = 10.0


def score_variants(model: Path, reference: Path, vcf: Path, out: Path, config: ScoringConfig, organism: str) -> None:
    """Writes one row for each variant, scorer, gene or junction where there is one, and track.

    Columns: `megabase.scoring.table.SCHEMA`. Tracks of the other strand than a gene's have no row. The file's metadata
    under `megabase` say which model, assembly, settings and versions made it.

    Raises InputError for a model, reference, VCF, organism or scorer that is not there, a reference of another
    assembly than the model's, and a VCF without a variant that can be scored.
    """
    network, description = load(model)
    if organism not in description["organisms"]:
        remedy = f"choose from {', '.join(description['organisms'])}"
        raise InputError(f"the model knows no organism `{organism}`", where=model, remedy=remedy)
    tables = {bundle: pd.DataFrame(rows) for bundle, rows in description["tracks"][organism].items()}
    tables = {bundle: table for bundle, table in tables.items() if len(table)}
    genome, length = Reference.open(reference), int(description["window_length"])
    trained = description.get("assemblies", {}).get(organism, genome.assembly)
    if trained != genome.assembly:
        what = f"the reference is {genome.assembly}, the model was trained on {trained}"
        raise InputError(what, where=reference, remedy=f"give the reference of {trained}")
    annotation = Annotation.open(reference)
    scorers = chosen_scorers(config.scorers, list(tables))
    variants = read_vcf(vcf, genome, longest=length // 4)
    around = _Surroundings(genome, annotation, length, scorers, variants)
    compare = Comparison(
        Forward(network), description["organisms"][organism], tables, scorers, config.reverse_complement
    )
    record = {
        "model": model.name,
        "weights_sha256": description["weights_sha256"],
        "organism": organism,
        "assembly": genome.assembly,
        "window": length,
        "scorers": [scorer.name for scorer in scorers],
        "reverse_complement": config.reverse_complement,
        "provenance": provenance(("jax", "flax", "numpy", "pyarrow"), vcf=file_sha256(vcf)),
    }
    with atomic_path(out) as partial, ScoreTable(partial, tables, {"megabase": json.dumps(record)}) as table:
        for settings, places in _progress(around.batches(config.batch), len(variants)):
            compared = compare(places)
            for i, setting in enumerate(settings):
                seen = _of(compared, i)
                for scorer in scorers:
                    table.add(scorer, setting.variant, scores(scorer, setting, seen))


class _Surroundings:
    """What the program needs of each variant, in arrays of the same shape for all batches."""

    def __init__(
        self,
        genome: Reference,
        annotation: Annotation,
        length: int,
        scorers: Sequence[Scorer],
        variants: Sequence[Variant],
    ) -> None:
        self._genome, self._annotation, self._length, self._variants = genome, annotation, length, variants
        self._families = {scorer.family for scorer in scorers}
        masks = bodies = 0
        for variant in variants:
            setting = self._setting(variant)
            masks = max(masks, len(setting.exons) + sum(len(sites) for _, sites in setting.ends))
            bodies = max(bodies, len(setting.bodies))
        self._masks, self._bodies = max(masks, 1), max(bodies, 1)

    def batches(self, size: int) -> Iterator[tuple[list[Setting], Places]]:
        """All variants; the last batch is filled with its last variant, which is not among its settings again."""
        for first in range(0, len(self._variants), size):
            settings = [self._setting(variant) for variant in self._variants[first : first + size]]
            rows = [self._places(setting) for setting in settings]
            rows += rows[-1:] * (size - len(rows))
            yield settings, Places(*(np.stack(values) for values in zip(*rows, strict=True)))

    def _setting(self, variant: Variant) -> Setting:
        region, families = window(variant, self._length), self._families
        exons = self._annotation.starting(region) if "exons" in families else []
        bodies = self._annotation.bodies(variant) if families & {"bodies", "junctions"} else []
        ends = self._annotation.ends(variant, region) if "polyadenylation" in families else []
        return Setting(variant, region, exons, bodies, ends)

    def _places(self, setting: Setting) -> Places:
        variant, region = setting.variant, setting.region
        last, gain = indel(variant, region)
        covered = np.zeros((self._masks, self._length), bool)
        for row, mask in zip(covered, setting.masks(), strict=False):
            row[:] = mask
        bodies = np.zeros((self._bodies, self._length), bool)
        for row, gene in zip(bodies, setting.bodies, strict=False):
            row[max(gene.start - region.start, 0) : max(gene.end - region.start, 0)] = True
        sites = np.zeros((self._length, 4), bool)
        if "junctions" in self._families:
            sites = self._annotation.splice_sites(region)
        offset, last_, gain_ = (np.int32(value) for value in (variant.start - region.start, last, gain))
        codes = alleles(self._genome, variant, region)
        return Places(codes, offset, last_, gain_, covered, bodies, sites)


def _of(compared: Compared, i: int) -> Seen:
    """What the i-th variant of a batch shows."""

    def both(values: Any) -> Any:
        return None if values is None else values[:, i]

    return Seen(
        {bundle: values[:, i] for bundle, values in compared.center.items()},
        both(compared.contacts),
        both(compared.covered),
        {bundle: values[i] for bundle, values in compared.bodies.items()},
        both(compared.junctions),
        None if compared.positions is None else compared.positions[i],
    )


def _progress(batches: Iterator[tuple[list[Setting], Places]], total: int) -> Iterator[tuple[list[Setting], Places]]:
    """The batches, with a line about speed and time left now and then; the first, which compiles, is not timed."""
    done, began, said, untimed = 0, time.monotonic(), time.monotonic(), 0
    for settings, places in batches:
        yield settings, places
        done, now = done + len(settings), time.monotonic()
        if not untimed:
            untimed, began = done, now
        elif now - said > _SAID_EVERY or done == total:
            rate = (done - untimed) / max(now - began, 1e-9)
            left = (total - done) / rate
            logger.info("%s of %s variants, %.2f variants/s, %.0f s left", f"{done:,}", f"{total:,}", rate, left)
            said = now
