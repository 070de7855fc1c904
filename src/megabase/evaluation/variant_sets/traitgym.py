"""TraitGym: variants causal for Mendelian or complex traits, each with nine matched controls.

Source: `songlab/TraitGym` on Hugging Face (MIT), `{mendelian,complex}_traits_matched_9/test.parquet`, GRCh38:
`chrom` (without `chr`), `pos`, `ref`, `alt`, `label`, and in most releases `match_group`. It has no split: the
evaluation is of all, per chromosome and weighted by size (evaluation reference 4.11).
"""

from __future__ import annotations

import pandas as pd

from megabase.errors import InputError
from megabase.evaluation.variant_sets.alleles import Placing
from megabase.evaluation.variant_sets.table import Counts, Given, VariantSet, made

NEEDED = ("chrom", "pos", "ref", "alt", "label")


def build(given: Given, name: str) -> VariantSet:
    """One row per variant; `group` is the match group, or the chromosome where the file has none.

    Raises InputError where the file is no such table.
    """
    path, counts = given.file("table", "test.parquet of TraitGym"), Counts()
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        remedy = "fetch test.parquet of songlab/TraitGym"
        raise InputError(f"cannot be read: {error}", where=path, remedy=remedy) from None
    if missing := [column for column in NEEDED if column not in table]:
        what = f"no column `{missing[0]}`; it has {', '.join(map(str, table.columns[:8]))}"
        raise InputError(what, where=path, remedy="fetch test.parquet of songlab/TraitGym")
    placing = Placing(given.genome, counts)
    rows = []
    for number, row in enumerate(table.to_dict("records"), 1):
        counts.read += 1
        if pd.isna(row["label"]) or pd.isna(row["pos"]):
            raise InputError("no label or position", where=f"{path} row {number}", remedy="fetch the file again")
        placed = placing.place(str(row["chrom"]), int(row["pos"]), str(row["ref"]), str(row["alt"]))
        if placed is None:
            continue
        group = row.get("match_group")
        common = {"variant_id": str(placed), "label": bool(row["label"])}
        rows.append({**placed.columns(), **common, "group": placed.chromosome if group is None else str(group)})
    return made(name, rows, given, counts, split="test")
