"""Variants that change open chromatin (caQTL, dsQTL) or the binding of SPI1 (bQTL) in one kind of cell.

Source: the tables of ChromBPNet's benchmark (Synapse syn64126763; free login): `var.chr`, `var.pos_hg38` or
`var.pos_hg19`, two alleles, `var.isused`, and what was observed. Their first allele need not be the genome's: where the
second is, alleles and the sign of the effect are turned. What each set takes as positive and as control: evaluation
reference 1c.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from megabase.errors import InputError
from megabase.evaluation.variant_sets.alleles import Lift, Placing
from megabase.evaluation.variant_sets.rows import Row, table_rows
from megabase.evaluation.variant_sets.table import Counts, Given, VariantSet, made

BETWEEN = "that are neither positive nor control"
NOT_USED = "that the source does not use"


@dataclasses.dataclass(frozen=True)
class Assay:
    """How one table is read."""

    effects: tuple[str, ...]
    """Columns of the effect of the second allele over the first, of which the table has one."""
    positive_below: float | None = None
    """p-value; none: positives are those that `obs.label` says, or all where the table has no such column."""
    control_above: float | None = None
    """p-value."""
    alleles: tuple[str, str] = ("var.allele1", "var.allele2")
    borrowed_above: float | None = None
    """p-value of the controls of African caQTL, which the set takes in place of its own."""


ASSAYS = {
    "caqtl_african": Assay(("obs.beta",), positive_below=1e-5, control_above=1e-2),
    "caqtl_european": Assay(("obs.beta",), positive_below=1e-7, control_above=1e-2),
    "caqtl_smc": Assay(("obs.beta", "obs.estimate")),
    "caqtl_microglia": Assay(("obs.beta", "obs.estimate")),
    "dsqtl_yoruba": Assay(("obs.estimate", "obs.beta")),
    # Of its own thresholds from 1e-4 to 1e-9 each gives the same 447 used positives.
    "bqtl_spi1": Assay(
        ("obs.chiplogratio",), positive_below=1e-4, alleles=("var.POSTallele", "var.ALTallele"), borrowed_above=0.1
    ),
}


def build(given: Given, name: str) -> VariantSet:
    """One row per variant; `group` is `name`, `effect` that of `alt` over `ref`; controls have none.

    `given.files`: `table`; `chain` for a table in hg19; for SPI1 also `controls`, the table of African caQTL, and
    `controls_chain` should that be in hg19. Raises InputError for malformed rows.
    """
    assay, counts = ASSAYS[name], Counts()
    rows = list(_rows(given, name, assay, counts))
    if assay.borrowed_above is not None and "controls" in given.files:
        taken = {row["variant_id"] for row in rows}
        borrowed = dataclasses.replace(ASSAYS["caqtl_african"], positive_below=-1.0, control_above=assay.borrowed_above)
        controls = _rows(given, name, borrowed, counts, part="controls", chain="controls_chain")
        rows += [row for row in controls if row["variant_id"] not in taken]
    return made(name, rows, given, counts)


def _rows(
    given: Given, name: str, assay: Assay, counts: Counts, part: str = "table", chain: str = "chain"
) -> list[dict[str, Any]]:
    path = given.file(part, f"table of `{name}`")
    effect_column, placing = None, None
    rows = []
    for row in table_rows(path, ("var.chr", *assay.alleles, "var.isused"), what="QTL table"):
        counts.read += 1
        if placing is None:
            effect_column = next((column for column in assay.effects if column in row.fields), None)
            placing, position_column = _placing(given, row, counts, path, chain)
        if not row.flag("var.isused"):
            counts.drop(NOT_USED)
            continue
        label = _label(row, assay)
        if label is None:
            counts.drop(BETWEEN)
            continue
        first, second = (row.text(column) for column in assay.alleles)
        placed = placing.place(row.text("var.chr"), row.whole(position_column), first, second)
        if placed is None:
            continue
        effect = row.number(effect_column) if label and effect_column else None
        common = {"variant_id": str(placed), "group": name, "label": label}
        rows.append({**placed.columns(), **common, "effect": None if effect is None else placed.sign * effect})
    if effect_column is None and part == "table":
        remedy = f"give the table with one of {', '.join(assay.effects)}"
        raise InputError("no column of effects", where=path, remedy=remedy)
    return rows


def _placing(given: Given, row: Row, counts: Counts, path: Path, chain: str) -> tuple[Placing, str]:
    """How variants are placed, and the column of their position: that of GRCh38, where the table has one."""
    if "var.pos_hg38" in row.fields:
        return Placing(given.genome, counts, swap=True), "var.pos_hg38"
    if "var.pos_hg19" not in row.fields:
        remedy = "give the table with var.pos_hg38 or var.pos_hg19"
        raise InputError("no column of positions", where=path, remedy=remedy)
    if chain not in given.files:
        raise InputError("is in hg19", where=path, remedy=f"give {chain}=hg19ToHg38.over.chain.gz")
    return Placing(given.genome, counts, swap=True, lift=Lift(given.files[chain])), "var.pos_hg19"


def _label(row: Row, assay: Assay) -> bool | None:
    if assay.positive_below is None:
        found = row.number("obs.label")
        return True if found is None else found == 1
    p = row.number("obs.pval")
    if p is None:
        return None
    if p < assay.positive_below:
        return True
    return False if assay.control_above is not None and p > assay.control_above else None
