"""MFASS: how single-base changes alter the inclusion of an exon, measured in a minigene.

Source: KosuriLab/MFASS as chaolinzhanglab/DeltaSplice has it (`experiments/eval_mut/MFASS.txt`): hg19, 27,183 rows
without a header. A variant that lowers the inclusion index by at least 0.5 disrupts splicing: 1,048 of them.
"""

from __future__ import annotations

from megabase.errors import InputError
from megabase.evaluation.variant_sets.alleles import Lift, Placing
from megabase.evaluation.variant_sets.rows import Row, table_rows
from megabase.evaluation.variant_sets.table import Counts, Given, VariantSet, made

NAME = "mfass"
COLUMNS: tuple[str, ...] = ("id", "zero", "chrom", "strand", "exon_first", "exon_last", "exon_first_again")
COLUMNS += ("exon_last_again", "natural_index", "delta_index")
DISRUPTS = -0.5
"""Change of the inclusion index at which a variant counts as disrupting (evaluation reference, V7)."""
EXON = "whose exon has no place in the other assembly"


def build(given: Given) -> VariantSet:
    """One row per variant; `group` is the exon (`chrom:start-end:strand`, 0-based half-open), `effect` the change of
    the inclusion index. With the file `chain`, variants and exons are moved to the other assembly.

    Alleles are read as of the forward strand and, where the genome says so, as of the exon's. Raises InputError for
    a malformed row.
    """
    counts = Counts()
    lift = Lift(given.files["chain"]) if "chain" in given.files else None
    placing = Placing(given.genome, counts, complement=True, lift=lift)
    rows = []
    for row in table_rows(given.file("table", "MFASS table"), (), columns=COLUMNS):
        counts.read += 1
        chrom, position, ref, alt = _named(row)
        delta = row.number("delta_index")
        if delta is None:
            counts.drop("without a measured change")
            continue
        exon = _exon(row, lift)
        if exon is None:
            counts.drop(EXON)
            continue
        if (placed := placing.place(chrom, position, ref, alt)) is None:
            continue
        own = {"variant_id": row.text("id"), "group": f"{placed.chromosome}:{exon}", "label": delta <= DISRUPTS}
        rows.append({**placed.columns(), **own, "effect": delta})
    return made(NAME, rows, given, counts)


def _named(row: Row) -> tuple[str, int, str, str]:
    parts = row.text("id").split("_")
    if len(parts) != 4 or not parts[1].isdigit() or parts[0] != row.text("chrom"):
        what = f"variant `{row.text('id')}` on {row.text('chrom')}"
        raise InputError(what, where=row.where, remedy="give it as chrom_position_ref_alt")
    return parts[0], int(parts[1]), parts[2], parts[3]


def _exon(row: Row, lift: Lift | None) -> str | None:
    """`start-end:strand`. The source has the first and last base, 1-based, in either order: variants are rare at one
    and two bases outside them, where splice sites are."""
    strand = row.text("strand")
    low, high = sorted((row.whole("exon_first"), row.whole("exon_last")))
    if strand not in ("+", "-") or low < 1:
        remedy = "give an exon and its strand"
        raise InputError(f"exon {low}-{high}, strand `{strand}`", where=row.where, remedy=remedy)
    if lift:
        moved = lift.span(row.text("chrom"), low, high)
        if isinstance(moved, str):
            return None
        low, high = moved[0], moved[1]
        strand = {"+": "-", "-": "+"}[strand] if moved[2] == "-" else strand
    return f"{low - 1}-{high}:{strand}"
