"""Insertions that create an enhancer of TAL1 in T-cell leukaemia, and random ones of the same lengths.

The variants are those of Mansour et al. 2014 (doi:10.1126/science.1259037) in `resources/tal1_variants.tsv`, or a
table of the same columns: `variant_id`, `chromosome`, `position`, `ref`, `alt`, `study`. To each belong random
controls: its place and REF, and an ALT of its length.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

import megabase
from megabase.errors import InputError
from megabase.evaluation.variant_sets.alleles import Placing
from megabase.evaluation.variant_sets.rows import table_rows
from megabase.evaluation.variant_sets.table import Counts, Given, VariantSet, made

NAME = "tal1"
SHIPPED = Path(megabase.__file__).resolve().parents[2] / "resources" / "tal1_variants.tsv"
GENE = "ENSG00000162367"
NEEDED = ("variant_id", "chromosome", "position", "ref", "alt", "study")
CONTROLS = 100
"""Random alleles for each place and length."""


def build(given: Given) -> VariantSet:
    """One row per variant and control; `group` is the place and the lengths of the alleles, which a variant shares with
    its controls. `given.files`: `table`, by default the one in `resources/`. Raises InputError for malformed rows.
    """
    path = given.files.get("table") or SHIPPED
    given = dataclasses.replace(given, files={"table": path})
    counts, rng = Counts(), np.random.default_rng(given.seed)
    placing = Placing(given.genome, counts)
    rows = []
    alleles: dict[str, set[str]] = {}
    for row in table_rows(path, NEEDED, what="table of variants"):
        counts.read += 1
        place = row.text("chromosome"), row.whole("position"), row.text("ref"), row.text("alt")
        if (placed := placing.place(*place)) is None:
            continue
        group = f"{placed.chromosome}:{placed.position}:{len(placed.ref)}>{len(placed.alt)}"
        alleles.setdefault(group, {placed.ref}).add(placed.alt)
        own = {"variant_id": row.text("variant_id"), "group": group, "gene_id": GENE, "label": True}
        rows.append({**placed.columns(), **own})
    if len({row["variant_id"] for row in rows}) < len(rows):
        raise InputError("a variant_id is there twice", where=path, remedy="give each variant its own")
    for group in sorted(alleles):
        model = next(row for row in rows if row["group"] == group)
        length, taken = len(str(model["alt"])), alleles[group]
        # One or two letters have few alleles: then there are fewer controls.
        number = min(CONTROLS, 4**length - len({allele for allele in taken if len(allele) == length}))
        while number > 0:
            alt = "".join(rng.choice(list("ACGT"), length))
            if alt in taken:
                continue
            taken.add(alt)
            name = f"{model['chromosome']}:{model['position']}:{model['ref']}>{alt}"
            rows.append({**model, "variant_id": name, "alt": alt, "label": False})
            number -= 1
    return made(NAME, rows, given, counts, split="test")
