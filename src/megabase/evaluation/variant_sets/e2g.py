"""Enhancer-gene pairs of CRISPR screens in K562 (ENCODE-rE2G's training data), and how far the proven ones reach.

Source: EngreitzLab/CRISPR_comparison (MIT), in `resources/crispr_data/` the file
`EPCrisprBenchmark_combined_data.training_K562.GRCh38.tsv.gz`. Positive is `Regulated`; the paper evaluates the pairs
whose gene GENCODE v46 has: 10,353 of 10,356.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from megabase.errors import InputError
from megabase.evaluation.variant_sets.rows import Row, table_rows
from megabase.evaluation.variant_sets.table import Counts, Given, VariantSet, gene, made

NAME = "e2g"
NEEDED = (
    "chrom",
    "chromStart",
    "chromEnd",
    "name",
    "EffectSize",
    "measuredGeneEnsemblId",
    "Regulated",
    "distanceToTSS",
)
NOT_ANNOTATED = "whose gene is not in the annotation"
REACH = 1_000_000
"""bp: "within 1 Mb" in the paper."""


def build(given: Given) -> VariantSet:
    """One row per pair: `position` is the middle base of the element (which has no alleles), `group` the element as
    `chrom:start-end` (0-based, half-open), `effect` the change of expression when it is silenced.

    With `given.genes`, pairs of other genes are left out. Raises InputError for a malformed row.
    """
    counts = Counts()
    known = None if given.genes is None else {gene(name) for name in given.genes["gene_id"]}
    rows = []
    for row in table_rows(given.file("table", "table of enhancer-gene pairs"), NEEDED):
        counts.read += 1
        start, end = row.whole("chromStart"), row.whole("chromEnd")
        if not 0 <= start < end:
            raise InputError(f"element {start}-{end}", where=row.where, remedy="give the smaller position first")
        own = gene(row.text("measuredGeneEnsemblId"))
        if known is not None and own not in known:
            counts.drop(NOT_ANNOTATED)
            continue
        chrom = row.text("chrom")
        if given.genome is not None and chrom not in given.genome.sizes:
            counts.drop("on a chromosome that the genome does not have")
            continue
        rows.append(
            {
                "variant_id": row.text("name"),
                "chromosome": chrom,
                "position": (start + end) // 2 + 1,
                "ref": "",
                "alt": "",
                "group": f"{chrom}:{start}-{end}",
                "gene_id": own,
                "label": row.flag("Regulated"),
                "effect": row.number("EffectSize"),
            }
        )
    # Which chromosomes are held out plays no part: the evaluation is of all pairs.
    return made(NAME, rows, given, counts, split="test")


@dataclasses.dataclass(frozen=True)
class Reach:
    """How many pairs lie within a distance."""

    pairs: int
    within: int
    distance: int
    """bp"""

    @property
    def share(self) -> float:
        """Part of the pairs; NaN of none."""
        return self.within / self.pairs if self.pairs else float("nan")


def within_reach(table: Path, distance: int = REACH, *, regulated: bool = True) -> Reach:
    """How many of the pairs that proved to be real (or of the others) lie within `distance` bp by the source's own
    `distanceToTSS`: the paper's 465 of 471 within 1 Mb."""
    chosen = [row for row in table_rows(table, NEEDED) if row.flag("Regulated") == regulated]
    return Reach(len(chosen), sum(abs(_distance(row)) <= distance for row in chosen), distance)


def _distance(row: Row) -> float:
    found = row.number("distanceToTSS")
    if found is None:
        raise InputError("no distanceToTSS", where=row.where, remedy="fetch the file again")
    return found
