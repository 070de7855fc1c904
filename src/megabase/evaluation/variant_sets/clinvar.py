"""ClinVar variants that may alter splicing, in the paper's three categories.

Source: ClinVar's VCF on GRCh38 (the paper: release 2025-03-23): `CLNSIG`, `CLNREVSTAT`, `MC` (molecular consequence)
and `GENEINFO`. Positives are pathogenic or likely so, controls benign or likely so, both with at least one star, on
autosomes. Distances are to the nearest splice site of the annotation, the first base on either side being 1:

- `splice_site_region`: intronic within less than 6 bp, or exonic within less than 3 bp;
- `noncoding`: intronic beyond 6 bp, or synonymous beyond 3 bp; of each gene at most 100 controls per positive, drawn;
- `missense`: missense variants that AlphaMissense finds likely benign.

Bases at exactly 6 and 3 bp are in neither of the first two, as the paper words it. The paper's seed is not known, so
the `noncoding` controls are drawn anew; single-base changes only, as the tools that it compares with score no others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from megabase.errors import InputError
from megabase.evaluation.variant_sets.alleles import Placed, Placing
from megabase.evaluation.variant_sets.matching import at_most_per_positive
from megabase.evaluation.variant_sets.rows import Row, table_rows, vcf_rows
from megabase.evaluation.variant_sets.table import Counts, Given, VariantSet, gene, made

NAME = "clinvar"
REGION, NONCODING, MISSENSE = "splice_site_region", "noncoding", "missense"
INTRONIC_BP, EXONIC_BP = 6, 3
CONTROLS_PER_POSITIVE = 100
POSITIVE = {"Pathogenic", "Likely_pathogenic", "Pathogenic/Likely_pathogenic"}
CONTROL = {"Benign", "Likely_benign", "Benign/Likely_benign"}
NO_STAR = {
    "",
    "no_assertion_criteria_provided",
    "no_assertion_provided",
    "no_classification_provided",
    "no_classification_for_the_single_variant",
    "no_classifications_from_unflagged_records",
}
AUTOSOMES = {f"chr{number}" for number in range(1, 23)}
NO_TABLE = "missense variants, without AlphaMissense"
NOT_BENIGN = "missense variants that AlphaMissense does not find likely benign"
NOT_DRAWN = "controls beyond 100 per positive of their gene"
Change = tuple[str, int, str, str]


def build(given: Given) -> VariantSet:
    """One row per variant; `group` is the category.

    `given.files`: `vcf`, and `alphamissense` (`AlphaMissense_hg38.tsv.gz`), without which the category `missense` is
    left out. Needs `given.exons`; with `given.genes`, gene symbols become ids. Raises InputError for malformed rows.
    """
    if given.exons is None:
        raise InputError("no exons", where=f"variant set `{NAME}`", remedy="give a reference with an annotation")
    counts = Counts()
    placing, sites = Placing(given.genome, counts), SpliceSites(given.exons)
    names = _gene_ids(given.genes)
    rows: list[dict[str, Any]] = []
    for row in vcf_rows(given.file("vcf", "VCF of ClinVar")):
        counts.read += 1
        label = _label(row)
        if label is None:
            counts.drop("neither benign nor pathogenic, or without a star")
            continue
        if len(row.text("REF")) != 1 or len(row.text("ALT")) != 1:
            counts.drop("that are no single-base change")
            continue
        consequences = _consequences(row)
        if not consequences & {"intron_variant", "synonymous_variant", "missense_variant"}:
            counts.drop("of another consequence")
            continue
        placed = placing.place(row.text("CHROM"), row.whole("POS"), row.text("REF"), row.text("ALT"))
        if placed is None:
            continue
        if placed.chromosome not in AUTOSOMES:
            counts.drop("that are on no autosome")
            continue
        category = _category(consequences, sites.distance(placed), counts)
        if category is None:
            continue
        symbol = row.fields.get("GENEINFO", "").partition("|")[0].partition(":")[0]
        common = {"variant_id": row.text("ID"), "group": category, "label": label}
        rows.append({**placed.columns(), **common, "gene_id": names.get(symbol, symbol or None)})
    rows = _likely_benign(rows, given.files.get("alphamissense"), counts)
    return made(NAME, _drawn(rows, given.seed, counts), given, counts)


class SpliceSites:
    """Where exons end that another exon of their transcript follows."""

    def __init__(self, exons: pd.DataFrame) -> None:
        ordered = exons.sort_values(["transcript_id", "start"], kind="stable")
        same = ordered["transcript_id"].to_numpy()
        joined = same[1:] == same[:-1]
        chrom = ordered["chrom"].to_numpy()[1:][joined]
        # The last base before an intron's first, and the first after its last: 0-based boundaries.
        boundaries = {
            "left": ordered["end"].to_numpy(np.int64)[:-1][joined],
            "right": ordered["start"].to_numpy(np.int64)[1:][joined],
        }
        self._left: dict[str, np.ndarray] = {}
        self._right: dict[str, np.ndarray] = {}
        for name in pd.unique(chrom):
            self._left[str(name)] = np.unique(boundaries["left"][chrom == name])
            self._right[str(name)] = np.unique(boundaries["right"][chrom == name])

    def distance(self, placed: Placed) -> dict[str, int | None]:
        """bp to the nearest splice site if the base is exonic there, and if it is intronic there; 1 is beside it."""
        base, chrom = placed.position - 1, placed.chromosome
        left, right = self._left.get(chrom, _NONE), self._right.get(chrom, _NONE)
        return {
            "exonic": _least(_next(left, base + 1) - base, base - _before(right, base) + 1),
            "intronic": _least(base - _before(left, base) + 1, _next(right, base + 1) - base),
        }


_NONE = np.zeros(0, np.int64)
_FAR = 1 << 40


def _next(sorted_places: np.ndarray, place: int) -> int:
    at = int(np.searchsorted(sorted_places, place))
    return int(sorted_places[at]) if at < len(sorted_places) else _FAR


def _before(sorted_places: np.ndarray, place: int) -> int:
    at = int(np.searchsorted(sorted_places, place, side="right")) - 1
    return int(sorted_places[at]) if at >= 0 else -_FAR


def _least(*distances: int) -> int | None:
    least = min(distances)
    return least if least < _FAR // 2 else None


def _label(row: Row) -> bool | None:
    if row.fields.get("CLNREVSTAT", "") in NO_STAR:
        return None
    significance = row.fields.get("CLNSIG", "")
    return True if significance in POSITIVE else False if significance in CONTROL else None


def _consequences(row: Row) -> set[str]:
    """Names of `MC=SO:0001627|intron_variant,SO:...`. A canonical splice site has its own, and then none of ours."""
    found = {entry.partition("|")[2] for entry in row.fields.get("MC", "").split(",")}
    return set() if found & {"splice_donor_variant", "splice_acceptor_variant"} else found


def _category(consequences: set[str], distance: dict[str, int | None], counts: Counts) -> str | None:
    exonic = consequences & {"synonymous_variant", "missense_variant"}
    near = distance["exonic" if exonic else "intronic"]
    limit = EXONIC_BP if exonic else INTRONIC_BP
    if near is None:
        counts.drop("without a splice site on their chromosome")
        return None
    if near < limit:
        return REGION
    if "missense_variant" in consequences:
        return MISSENSE
    if near == limit:
        counts.drop(f"at exactly {limit} bp from a splice site")
        return None
    return NONCODING


def _gene_ids(genes: pd.DataFrame | None) -> dict[str, str | None]:
    """Ensembl ids by symbol."""
    if genes is None:
        return {}
    return {str(name): gene(str(own)) for name, own in zip(genes["gene_name"], genes["gene_id"], strict=True)}


def _likely_benign(rows: list[dict[str, Any]], path: Path | None, counts: Counts) -> list[dict[str, Any]]:
    """The rows without those missense variants that AlphaMissense does not find likely benign."""
    missense = {_change(row) for row in rows if row["group"] == MISSENSE}
    benign: set[Change] = set()
    if path is not None and missense:
        for line in table_rows(path, ("CHROM", "POS", "REF", "ALT", "am_class")):
            change = (line.text("CHROM"), line.whole("POS"), line.text("REF"), line.text("ALT"))
            if change in missense and line.text("am_class") in ("likely_benign", "benign"):
                benign.add(change)
    kept = [row for row in rows if row["group"] != MISSENSE or _change(row) in benign]
    if len(kept) < len(rows):
        counts.dropped[NO_TABLE if path is None else NOT_BENIGN] += len(rows) - len(kept)
    return kept


def _change(row: dict[str, Any]) -> Change:
    return row["chromosome"], row["position"], row["ref"], row["alt"]


def _drawn(rows: list[dict[str, Any]], seed: int, counts: Counts) -> list[dict[str, Any]]:
    """The rows with at most so many `noncoding` controls per positive of each gene."""
    positives: Counter[str] = Counter()
    controls: dict[str, list[Change]] = defaultdict(list)
    for row in rows:
        if row["group"] == NONCODING:
            if row["label"]:
                positives[str(row["gene_id"])] += 1
            else:
                controls[str(row["gene_id"])].append(_change(row))
    chosen = at_most_per_positive(positives, controls, CONTROLS_PER_POSITIVE, seed)
    kept = [row for row in rows if row["group"] != NONCODING or row["label"] or _change(row) in chosen]
    counts.dropped[NOT_DRAWN] += len(rows) - len(kept)
    return kept
