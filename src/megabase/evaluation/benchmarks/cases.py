"""One locus seen by every modality: what the model says of the variants of a case, output type by output type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from megabase.artifacts import write_text
from megabase.evaluation.benchmarks.enhancers import distance_fact
from megabase.evaluation.benchmarks.scores import gene_ids
from megabase.evaluation.variant_sets.table import read_variant_set
from megabase.genome.reference import Reference

CASE_COLUMNS = ["group", "label", "scorer", "ontology_curie", "gene_id", "variants", "median", "lowest", "highest"]


def case_table(variants: Path, scores: Path, out: Path, command: str) -> None:
    """Writes `CASE_COLUMNS`: per group, scorer, biosample and gene the scores of the variants, labelled and not.

    Of several tracks of a biosample a variant has the mean; scores that name a gene are of the variant's own, where the
    set names one.
    """
    known, rows = read_variant_set(variants).table, pd.read_parquet(scores)
    rows = rows[np.isfinite(rows["raw_score"])].astype({"scorer": str})
    rows = rows.assign(**{name: rows[name].astype(object).fillna("") for name in ("gene_id", "ontology_curie")})
    found = known[["variant_id", "group", "label", "gene_id"]].merge(
        rows, on="variant_id", suffixes=("_of_variant", "")
    )
    own = gene_ids(found["gene_id_of_variant"])
    found = found[(own == "") | (found["gene_id"] == "") | (gene_ids(found["gene_id"]) == own)]
    keys = CASE_COLUMNS[:5]
    each = found.groupby([*keys, "variant_id"], dropna=False)["raw_score"].mean().reset_index()
    table = each.groupby(keys, dropna=False)["raw_score"].agg(["size", "median", "min", "max"]).reset_index()
    table = table.set_axis(CASE_COLUMNS, axis=1).assign(command=command)
    write_text(out, table.to_csv(sep="\t", index=False, float_format="%.6g"))


def distance_table(pairs: Path, reference: Path, out: Path, command: str) -> None:
    """Writes how many validated enhancer-gene pairs lie within each distance (`enhancers.distance_fact`)."""
    table = distance_fact(read_variant_set(pairs).table, Reference.open(reference).genes()).assign(command=command)
    write_text(out, table.to_csv(sep="\t", index=False, float_format="%.6g"))
