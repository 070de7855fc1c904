"""Rare variants beside splicing outliers of GTEx, from a user's own copy: its genotypes are under controlled access.

The table has a row per variant, gene and tissue in which the gene is tested, with what FRASER2 or a like method called:
`chrom`, `pos`, `ref`, `alt` (GRCh38), `gene_id`, `tissue`, `outlier` (TRUE or FALSE), `af` (frequency in gnomAD),
`carriers` (individuals of GTEx) and `distance` (bp to the outlier's splice site; empty without one).
docs/variant_sets.md says how to make it. A positive keeps its tissue; a control, which would be one everywhere, gets a
tissue drawn from the positives' (evaluation reference 1c).
"""

from __future__ import annotations

from typing import Any

from megabase.errors import InputError
from megabase.evaluation.variant_sets.alleles import Placing
from megabase.evaluation.variant_sets.matching import drawn_like
from megabase.evaluation.variant_sets.rows import table_rows
from megabase.evaluation.variant_sets.table import Counts, Given, VariantSet, gene, made

NAME = "splicing_outliers"
NEEDED = ("chrom", "pos", "ref", "alt", "gene_id", "tissue", "outlier", "af", "carriers", "distance")
MOST_COMMON = 0.001
"""Allele frequency below which a variant is rare (evaluation reference, V4)."""
MOST_CARRIERS = 2
FARTHEST = 250
"""bp from the splice site of an outlier."""


def build(given: Given) -> VariantSet:
    """One row per positive and tissue, and one per control; `group` is the tissue.

    Raises InputError for malformed rows and where there is no positive to draw tissues from.
    """
    counts = Counts()
    placing = Placing(given.genome, counts)
    positives: dict[tuple[str, str | None, str], dict[str, Any]] = {}
    controls: dict[tuple[str, str | None], dict[str, Any]] = {}
    for row in table_rows(given.file("table", "table of rare variants"), NEEDED):
        counts.read += 1
        frequency, distance = row.number("af"), row.number("distance")
        # A variant that gnomAD has not seen is rare.
        if frequency is not None and frequency >= MOST_COMMON:
            counts.drop("that are not rare")
            continue
        if row.whole("carriers") > MOST_CARRIERS:
            counts.drop("of more than two carriers")
            continue
        outlier = row.flag("outlier")
        if outlier and distance is not None and abs(distance) > FARTHEST:
            counts.drop("that are far from their outlier")
            continue
        placed = placing.place(row.text("chrom"), row.whole("pos"), row.text("ref"), row.text("alt"))
        if placed is None:
            continue
        own = gene(row.text("gene_id"))
        columns = {**placed.columns(), "variant_id": str(placed), "gene_id": own, "label": outlier}
        if outlier:
            positives[str(placed), own, row.text("tissue")] = columns | {"group": row.text("tissue")}
        else:
            controls[str(placed), own] = columns
    if not positives:
        raise InputError("no outlier", where=given.files["table"], remedy="give the table with outlier=TRUE rows")
    linked = {key[:2] for key in positives}
    unlinked = [controls[key] for key in sorted(controls, key=str) if key not in linked]
    tissues = drawn_like([str(row["group"]) for row in positives.values()], len(unlinked), given.seed)
    drawn = [row | {"group": tissue} for row, tissue in zip(unlinked, tissues, strict=True)]
    rows = [*positives.values(), *drawn]
    counts.more["linked_variants"] = len({key[0] for key in positives})
    counts.dropped["rows of a variant and gene that another row stands for"] += (
        counts.read - counts.dropped.total() - len(rows)
    )
    return made(NAME, rows, given, counts)
