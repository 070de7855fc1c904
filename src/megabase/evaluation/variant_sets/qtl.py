"""Fine-mapped GTEx variants that change expression, splicing or polyadenylation, and their matched controls.

Sources: the VCFs of Borzoi's benchmarks (`{tissue}_pos.vcf.gz`, `{tissue}_neg.vcf.gz`): positives of posterior
probability >= 0.9, controls < 0.01. Their id is `chrom_position_ref_alt` on GRCh38, the genome's allele first; REF and
ALT of the eQTL files are often the other way round, and such rows are turned (evaluation reference 4.2). These files
have neither gene nor effect: both are in the SuSiE table of GTEx v8 (`GTEx_49tissues_release1.tsv.bgz`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from megabase.errors import InputError
from megabase.evaluation.variant_sets.alleles import Placing
from megabase.evaluation.variant_sets.matching import balanced
from megabase.evaluation.variant_sets.rows import Row, table_rows, vcf_rows
from megabase.evaluation.variant_sets.table import Counts, Given, VariantSet, contents, gene, made

Kind = Literal["eqtl", "sqtl", "paqtl", "ipaqtl"]
CAUSAL = 0.9
"""Posterior probability from which a variant counts as causal."""
BINS = 10
"""Of log distance to the nearest gene start, in the preprint's balanced eQTL set."""
POOLED = "merge"
"""In file names, in place of a tissue: all tissues."""
SUSIE = ("variant_hg38", "method", "tissue", "gene", "pip", "beta_posterior")
_FILE = re.compile(r"(?:(eqtl|sqtl|paqtl|ipaqtl)_)?(.+?)_(pos|neg)(?:\.vcf(?:\.b?gz)?)?")


def build(given: Given, kind: Kind, *, as_listed: bool = False) -> VariantSet:
    """One row per variant and tissue, or for paQTL per variant and pair.

    `given.files`: `folder` with VCFs, or each VCF under `{tissue}_pos` and `{tissue}_neg`; for eQTL also `susie`, with
    which positives get `gene_id` and `effect` (one row per gene). `group` is the tissue; of paQTL, which are pooled
    over tissues, the id of the positive that a control is matched with. With `as_listed`, alleles are the VCF's own REF
    and ALT, whatever the genome has, and the effect's sign is theirs. Raises InputError for malformed rows.
    """
    counts = Counts()
    placing = Placing(given.genome, counts)
    effects = _effects(given.files["susie"]) if "susie" in given.files else {}
    pooled = kind in ("paqtl", "ipaqtl")
    rows: list[dict[str, Any]] = []
    seen: set[tuple[object, ...]] = set()
    per_file: dict[str, dict[str, int]] = {}
    for tissue, label, path in _files(given, kind, pooled):
        own = per_file.setdefault(path.name, {"read": 0, "swapped": 0})
        for row in vcf_rows(path):
            counts.read += 1
            own["read"] += 1
            chrom, position, ref, alt, swapped = _alleles(row)
            own["swapped"] += swapped
            group = row.text("PI") if pooled else tissue
            key = (row.text("ID"), group, label)
            if key in seen:
                counts.drop("that another row has already")
                continue
            if (placed := placing.place(chrom, position, ref, alt)) is None:
                continue
            seen.add(key)
            counts.turned["swapped"] += swapped
            columns = placed.columns()
            turned = swapped and as_listed
            if turned:
                columns |= {"ref": placed.alt, "alt": placed.ref}
            common = {**columns, "variant_id": row.text("ID"), "group": group, "label": label}
            found = effects.get((row.text("ID"), tissue), []) if label else []
            for own_gene, beta in found or [(_trait_gene(row), None)]:
                effect = -beta if turned and beta is not None else beta
                rows.append({**common, "gene_id": own_gene, "effect": effect})
    counts.more["files"] = per_file
    name = f"{kind}_as_listed" if as_listed else kind
    return made(name, rows, given, counts)


def build_balanced(given: Given) -> VariantSet:
    """The eQTL set with as many positives as controls in each tissue and each of ten bins of log distance to the
    nearest gene start, drawn by the seed: the causality set of the preprint.

    Needs `given.genes`. Raises InputError without them.
    """
    if given.genes is None:
        raise InputError("no genes", where="variant set `eqtl_balanced`", remedy="give a reference with an annotation")
    whole = build(given, "eqtl")
    table = whole.table.drop_duplicates(["variant_id", "group", "label"])
    distance = pd.Series(np.log10(1 + start_distance(table, given.genes)), index=table.index)
    if not np.isfinite(distance).all():
        where = "variant set `eqtl_balanced`"
        raise InputError("variants on chromosomes without genes", where=where, remedy="give the whole annotation")
    chosen = []
    for _, own in table.groupby("group", sort=True):
        picked = balanced(own["label"].to_numpy(bool), distance[own.index].to_numpy(np.float64), BINS, given.seed)
        chosen.append(own.iloc[picked])
    kept = pd.concat(chosen, ignore_index=True)
    dropped = {**whole.counts["dropped"], "that no other row balances": len(table) - len(kept)}
    counts = {**whole.counts, **contents(kept), "name": "eqtl_balanced", "dropped": dropped}
    return VariantSet("eqtl_balanced", kept, counts)


def build_indels(given: Given) -> VariantSet:
    """Insertions and deletions that are causal for the expression of a gene: credible sets of the eQTL Catalogue
    (QTS000015, `ge`), one file per tissue under the tissue's name, or all in `folder`.

    `effect` is that of the alternative allele. With `given.genes`, only genes of that annotation. Scoring takes alleles
    as left-aligned: those that can be shifted to the left are kept, and counted as `not_left_aligned`.
    """
    needed = ("gene_id", "variant", "pip", "beta")
    counts, shifted = Counts(), 0
    placing = Placing(given.genome, counts)
    known = None if given.genes is None else {gene(name) for name in given.genes["gene_id"]}
    rows: list[dict[str, Any]] = []
    seen: set[tuple[object, ...]] = set()
    for tissue, path in _tissues(given):
        for row in table_rows(path, needed, what="credible sets"):
            counts.read += 1
            chrom, position, ref, alt = _named(row.text("variant"), row)
            own, key = gene(row.text("gene_id")), (row.text("variant"), row.text("gene_id"), tissue)
            pip = row.number("pip")
            if pip is None or pip < CAUSAL:
                counts.drop("of low posterior probability")
            elif len(ref) == len(alt):
                counts.drop("that are no insertion or deletion")
            elif known is not None and own not in known:
                counts.drop("whose gene is not in the annotation")
            elif key in seen:
                counts.drop("that another row has already")
            elif (placed := placing.place(chrom, position, ref, alt)) is not None:
                seen.add(key)
                shifted += placed.ref[-1] == placed.alt[-1]
                common = {"variant_id": row.text("variant"), "group": tissue, "gene_id": own, "label": True}
                rows.append({**placed.columns(), **common, "effect": row.number("beta")})
    counts.more["not_left_aligned"] = shifted
    return made("eqtl_indel", rows, given, counts)


def start_distance(table: pd.DataFrame, genes: pd.DataFrame) -> pd.Series[float]:
    """bp from each variant to the nearest gene start of its chromosome; infinity where it has none."""
    starts = genes["start"].where(genes["strand"] == "+", genes["end"] - 1)
    found = pd.Series(np.inf, index=table.index)
    for chrom, own in table.groupby("chromosome"):
        places = np.sort(starts[genes["chrom"] == chrom].to_numpy(np.int64))
        if len(places):
            at = own["position"].to_numpy(np.int64) - 1
            after = np.searchsorted(places, at).clip(1, len(places) - 1) if len(places) > 1 else np.zeros(len(at), int)
            near = np.minimum(np.abs(at - places[after]), np.abs(at - places[after - 1]))
            found[own.index] = near
    return found


def _files(given: Given, kind: Kind, pooled: bool) -> Iterator[tuple[str, bool, Path]]:
    """Tissue, whether of positives, and path; positives first."""
    found: dict[tuple[str, bool], Path] = {}
    if "folder" in given.files:
        folder = given.files["folder"]
        listed = [(path.name, path) for path in sorted(folder.glob("*.vcf*"))] if folder.is_dir() else []
    else:
        listed = [(part, path) for part, path in given.files.items() if part != "susie"]
    for name, path in listed:
        if (match := _FILE.fullmatch(name)) and match[1] in (None, kind):
            found[match[2], match[3] == "pos"] = path
    tissues = sorted({tissue for tissue, _ in found})
    if POOLED in tissues:
        tissues = [POOLED] if pooled else [tissue for tissue in tissues if tissue != POOLED]
    if not tissues:
        where = given.files.get("folder", f"variant set `{kind}`")
        remedy = "give folder=FOLDER, or {tissue}_pos=FILE and {tissue}_neg=FILE"
        raise InputError("no {tissue}_pos.vcf.gz and {tissue}_neg.vcf.gz", where=where, remedy=remedy)
    for label in (True, False):
        for tissue in tissues:
            if (tissue, label) not in found:
                kinds = ("positives", "controls")
                what = f"{tissue} has {kinds[label]} but no {kinds[not label]}"
                raise InputError(what, where=found[tissue, not label], remedy="give both files")
            yield tissue, label, found[tissue, label]


def _tissues(given: Given) -> Iterator[tuple[str, Path]]:
    if "folder" not in given.files:
        yield from sorted(given.files.items())
        return
    for path in sorted(given.files["folder"].glob("*.tsv*")):
        yield path.name.partition(".")[0], path


def _alleles(row: Row) -> tuple[str, int, str, str, bool]:
    """Chromosome, position, the genome's allele and the other by the id, and whether the VCF has them swapped."""
    chrom, position, ref, alt = _named(row.text("ID"), row)
    written = (row.text("REF"), row.text("ALT"))
    if (chrom, position) != (row.text("CHROM"), row.whole("POS")) or written not in ((ref, alt), (alt, ref)):
        what = f"`{row.text('ID')}` is not {row.text('CHROM')}:{row.text('POS')} {written[0]} {written[1]}"
        raise InputError(what, where=row.where, remedy="fetch the file again")
    return chrom, position, ref, alt, written != (ref, alt)


def _named(name: str, row: Row) -> tuple[str, int, str, str]:
    parts = name.removesuffix("_b38").split("_")
    if len(parts) != 4 or not parts[1].isdigit():
        raise InputError(f"variant `{name}`", where=row.where, remedy="name it chrom_position_ref_alt")
    return parts[0], int(parts[1]), parts[2], parts[3]


def _trait_gene(row: Row) -> str | None:
    """The gene of a molecular trait such as `ENSG00000188976.grp_1.contained.ENST00000483767`."""
    return gene(row.fields.get("MT", ""))


def _effects(path: Path) -> dict[tuple[str, str], list[tuple[str | None, float | None]]]:
    """Gene and posterior mean effect of the alternative allele, by variant and tissue, of causal variants."""
    found: dict[tuple[str, str], list[tuple[str | None, float | None]]] = defaultdict(list)
    for row in table_rows(path, SUSIE, what="SuSiE table"):
        pip = row.number("pip")
        if row.fields["method"] == "SUSIE" and pip is not None and pip >= CAUSAL:
            own = (gene(row.text("gene")), row.number("beta_posterior"))
            found[row.text("variant_hg38"), row.text("tissue")].append(own)
    return found
