"""Scores of all variants of a VCF, as one Parquet file."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from megabase.artifacts import atomic_path, digest, file_sha256, provenance, write_json
from megabase.errors import InputError
from megabase.genome.reference import Reference
from megabase.genome.regions import Region
from megabase.model.weights import load
from megabase.scoring import STAGE_VERSION
from megabase.scoring.annotation import Annotation
from megabase.scoring.calibration import Calibration
from megabase.scoring.comparison import Compared, Comparison
from megabase.scoring.config import Scorer, ScoringConfig
from megabase.scoring.forward import Forward
from megabase.scoring.parts import Parts
from megabase.scoring.passes import Job, compared, rounded_up
from megabase.scoring.reading import BOTH
from megabase.scoring.scorers import Setting, chosen_scorers, scores
from megabase.scoring.sequences import alleles, window, window_on_grid
from megabase.scoring.surroundings import Surroundings, batched
from megabase.scoring.table import ScoreTable, schema_with
from megabase.scoring.vcf import Skipped, Skips, Variant, alleles_of, tell_skipped

logger = logging.getLogger(__name__)
_SAID_EVERY = 10.0
_PLAN, _SKIPPED = "plan.json", "skipped.tsv"


@dataclasses.dataclass(frozen=True)
class Extras:
    """What may be asked for beside scores; the defaults are those of the workflow."""

    window_grid: int = 0
    """Variants share windows whose middles are multiples of so many bp, and the pass of the reference over each window.
    0: every variant stands in the middle of its own window."""
    allele_values: bool = False
    """Two more columns: what REF and ALT predict (`megabase.scoring.table.VALUES`)."""
    calibration: Path | None = None
    """Quantiles of this model and organism (`megabase.scoring.calibration`): one more column."""
    skipped: Path | None = None
    """Table of the alleles that are left out: line, variant, reason. Written only if there are any."""


def score_variants(
    model: Path,
    reference: Path,
    vcf: Path,
    out: Path,
    config: ScoringConfig,
    organism: str,
    extras: Extras = Extras(),
) -> None:
    """Writes one row for each variant, scorer, gene or junction where there is one, and track.

    Columns: `megabase.scoring.table.SCHEMA`. Tracks of the other strand than a gene's have no row. The file's metadata
    under `megabase` say which model, genome, annotation, settings and versions made it, and what was left out. The VCF
    is read as it streams by, twice; a run that is stopped goes on where it was when it is started again.

    Raises InputError for a model, reference, VCF, organism or scorer that is not there, a reference of another
    assembly than the model's, a VCF without a variant that can be scored, and a grid that is no use.
    """
    network, description = load(model)
    tables = organism_tables(description, organism, model)
    genome, length = Reference.open(reference), int(description["window_length"])
    check_assembly(description, organism, genome, reference)
    grid = extras.window_grid
    if not 0 <= grid <= length // 2:
        what = f"a grid of {grid} bp for windows of {length} bp"
        raise InputError(what, where="--window-grid", remedy=f"give 0 to {length // 2}")
    scorers = chosen_scorers(config.scorers, list(tables))
    record = {
        "model": model.name,
        "weights_sha256": description["weights_sha256"],
        "organism": organism,
        **_versions(genome, reference),
        "window": length,
        "window_grid": grid,
        "scorers": [scorer.name for scorer in scorers],
        "reverse_complement": config.reverse_complement,
    }
    calibration = None
    if extras.calibration is not None:
        calibration = Calibration(extras.calibration, description, organism)
        record["calibration"] = calibration.name
    sources = {"vcf": file_sha256(vcf)} if vcf.is_file() else {}
    size = rounded_up(config.batch)
    kept = {"batch": size, "allele_values": extras.allele_values, "stage": STAGE_VERSION}
    parts = Parts(out, digest(record | sources | kept))
    longest = length // 4
    try:
        count, left_out = _plan(vcf, genome, longest, parts.folder)
    except InputError:
        parts.forget()
        raise
    if extras.skipped is not None and left_out:
        with atomic_path(extras.skipped) as partial_:
            shutil.copyfile(parts.folder / _SKIPPED, partial_)
    done = parts.done()
    if done:
        logger.info("%s: %s of %s variants are there already", out, f"{done:,}", f"{count:,}")
    record |= {"variants": count, "left_out": left_out}
    record |= {"provenance": provenance(("jax", "flax", "numpy", "pyarrow"), **sources)}
    schema = schema_with(extras.allele_values, calibration is not None, {"megabase": json.dumps(record)})
    around = Surroundings(Annotation.open(reference), length, scorers)
    strands = BOTH if config.reverse_complement else BOTH[:1]
    row = description["organisms"][organism]
    compare = Comparison(Forward(network), row, tables, scorers, strands, extras.allele_values)
    found = (x for x in alleles_of(vcf, genome, longest=longest) if isinstance(x, Variant))
    placed = ((v, window_on_grid(v, length, grid) if grid else window(v, length)) for v in found)
    jobs = _remaining(batched(placed, size, (lambda item: item[1]) if grid else None), done, genome)
    batches = _progress(compared(jobs, compare, around, size, shared=grid > 0), count - done)
    scored = (partial(_add, scorers, *batch) for batch in batches)
    parts.write(scored, lambda path: ScoreTable(path, tables, schema, calibration))
    parts.join(schema)


def organism_tables(description: dict[str, Any], organism: str, where: object) -> dict[str, pd.DataFrame]:
    """The model's track tables of an organism, by bundle. Raises InputError for one that it does not know."""
    if organism not in description["organisms"]:
        remedy = f"choose from {', '.join(description['organisms'])}"
        raise InputError(f"the model knows no organism `{organism}`", where=where, remedy=remedy)
    tables = {bundle: pd.DataFrame(rows) for bundle, rows in description["tracks"][organism].items()}
    return {bundle: table for bundle, table in tables.items() if len(table)}


def check_assembly(description: dict[str, Any], organism: str, genome: Reference, where: object) -> None:
    """Raises InputError for a reference of another assembly than the model's."""
    trained = description.get("assemblies", {}).get(organism, genome.assembly)
    if trained != genome.assembly:
        what = f"the reference is {genome.assembly}, the model was trained on {trained}"
        raise InputError(what, where=where, remedy=f"give the reference of {trained}")


def _versions(genome: Reference, folder: Path) -> dict[str, Any]:
    """What names the genome and the annotation."""
    built = json.loads((folder / "reference.json").read_text()).get("sha256", {})
    read = {
        name: file_sha256(folder / f"{name}.parquet")
        for name in ("genes", "exons", "polya")
        if (folder / f"{name}.parquet").exists()
    }
    return {"assembly": genome.assembly, "genome_sha256": built.get("fasta"), "annotation_sha256": {**built, **read}}


def _plan(vcf: Path, genome: Reference, longest: int, folder: Path) -> tuple[int, dict[str, int]]:
    """How many variants there are to score, and how many are left out by reason; kept for a run that goes on, with a
    table of what is left out."""
    kept = folder / _PLAN
    if not kept.exists():
        skips, total = Skips(), 0
        with atomic_path(folder / _SKIPPED) as partial_:
            with open(partial_, "w") as lines:
                lines.write("line\tvariant\treason\n")
                for item in alleles_of(vcf, genome, longest=longest):
                    total += 1
                    if isinstance(item, Skipped):
                        skips.add(item)
                        lines.write(f"{item.line}\t{item.variant}\t{item.reason}\n")
            tell_skipped(vcf, skips, total)
        write_json(kept, {"variants": total - skips.counts.total(), "left_out": dict(skips.counts)})
    plan = json.loads(kept.read_text())
    return plan["variants"], plan["left_out"]


Batch = tuple[list[Setting], Compared]


def _remaining(batches: Iterable[list[tuple[Variant, Region]]], done: int, genome: Reference) -> Iterator[list[Job]]:
    """All batches after the first `done` variants."""
    passed = 0
    for batch in batches:
        passed += len(batch)
        if passed > done:
            yield [Job(variant, region, alleles(genome, variant, region)) for variant, region in batch]


def _add(scorers: Sequence[Scorer], settings: list[Setting], compared: Compared, table: ScoreTable) -> int:
    """Adds a batch's rows; gives the number of its variants."""
    for setting, seen in zip(settings, compared.of(len(settings)), strict=True):
        for scorer in scorers:
            table.add(scorer, setting.variant, scores(scorer, setting, seen))
    return len(settings)


def _progress(batches: Iterator[Batch], total: int) -> Iterator[Batch]:
    """The batches, with a line about speed and time left now and then; the first, which compiles, is not timed."""
    done, began, said, untimed = 0, time.monotonic(), time.monotonic(), 0
    for settings, made in batches:
        yield settings, made
        done, now = done + len(settings), time.monotonic()
        if not untimed:
            untimed, began = done, now
        elif now - said > _SAID_EVERY or done == total:
            rate = (done - untimed) / max(now - began, 1e-9)
            left = (total - done) / rate
            logger.info("%s of %s variants, %.2f variants/s, %.0f s left", f"{done:,}", f"{total:,}", rate, left)
            said = now
