"""CAGI5: saturation mutagenesis of regulatory elements, the challenge's variants with the measured effects.

Sources: the challenge's table (Boyle-Lab/CAGI5-RegDB, hg19) names the variants of each locus; what was measured is in
kircherlab/MPRA_SaturationMutagenesis, `data/elements.tsv.gz`, which lists every variant in GRCh37 and again,
in the same order, in GRCh38. No chain file is needed therefore, and the strand is the source's own: MSMB lies on the
other one. 4,639 of the 4,650 training variants are found; their stated effects correlate with the coefficients at 0.96.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from megabase.errors import InputError
from megabase.evaluation.variant_sets.alleles import Placing, reverse_complement
from megabase.evaluation.variant_sets.rows import Row, table_rows
from megabase.evaluation.variant_sets.table import Counts, Given, VariantSet, made

Assembly = Literal["hg19", "GRCh38"]
ELEMENTS = {
    "GP1BB": "GP1BA",
    "MYC": "MYCrs6983267",
    "PKLR": "PKLR-24h",
    "TERT-HEK293T": "TERT-HEK",
}
"""What the challenge's loci are called among the elements, where it is not the same."""
_NEEDED = ("Chrom", "Pos", "Ref", "Alt", "Barcodes", "DNA", "RNA", "Coefficient", "pValue", "Element", "Release")
_MEASURED = _NEEDED[4:10]
NOT_MEASURED = "that no element has"
Key = tuple[str, str, int, str, str]


def build(given: Given, assembly: Assembly = "GRCh38") -> VariantSet:
    """One row per variant; `group` is the locus, `effect` the measured log2 fold change, `split` the challenge's.

    `given.files`: `elements`, `train` and, for the whole challenge, `test`. Raises InputError for malformed rows and
    where the lists of the two assemblies do not belong together.
    """
    counts = Counts()
    placing = Placing(given.genome, counts)
    measured, other_strand = _elements(given.file("elements", "table of elements"))
    rows: list[dict[str, Any]] = []
    compared = []
    for split in ("train", "test"):
        if split == "test" and split not in given.files:
            continue
        path = given.file(split, f"table of the challenge's {split} variants")
        for row in table_rows(path, ("chrom", "end", "ref", "alt", "target"), what="CAGI5 table"):
            counts.read += 1
            locus, chrom, position = row.text("target"), row.text("chrom"), row.whole("end")
            key = (ELEMENTS.get(locus, locus), chrom, position, row.text("ref"), row.text("alt"))
            if key not in measured:
                counts.drop(NOT_MEASURED)
                continue
            own, lifted = measured[key]
            coefficient = own.number("Coefficient")
            ref, alt = row.text("ref"), row.text("alt")
            if assembly == "GRCh38":
                chrom, position = f"chr{lifted.text('Chrom')}", lifted.whole("Pos")
                ref, alt = lifted.text("Ref"), lifted.text("Alt")
            if (placed := placing.place(chrom, position, ref, alt)) is None:
                continue
            if assembly == "GRCh38":
                counts.turned["lifted"] += 1
                counts.turned["complemented"] += key[0] in other_strand
            if "effect_size" in row.fields and (stated := row.number("effect_size")) is not None:
                compared.append((stated, coefficient))
            name = f"{locus}:{row.text('chrom')}:{row.whole('end')}:{row.text('ref')}>{row.text('alt')}"
            common = {"variant_id": name, "group": locus, "effect": coefficient, "split": split}
            rows.append({**placed.columns(), **common})
    counts.more["other_strand"] = sorted(other_strand)
    counts.more["correlation_with_challenge"] = _correlation(compared)
    return made("cagi5" if assembly == "GRCh38" else "cagi5_hg19", rows, given, counts)


def _elements(path: Path) -> tuple[dict[Key, tuple[Row, Row]], set[str]]:
    """The rows of both assemblies by the GRCh37 variant, and the elements that lie on other strands of the two."""
    lists: dict[str, dict[str, list[Row]]] = {}
    for row in table_rows(path, _NEEDED, what="table of elements"):
        # A few rows tell no place: barcodes of unclear sequence.
        if not row.missing("Pos"):
            lists.setdefault(row.text("Element"), {"GRCh37": [], "GRCh38": []}).setdefault(row.text("Release"), [])
            lists[row.text("Element")][row.text("Release")].append(row)
    measured: dict[Key, tuple[Row, Row]] = {}
    turned = set()
    for element, releases in lists.items():
        old, new = releases["GRCh37"], releases["GRCh38"]
        if len(old) != len(new):
            what = f"{element} has {len(old)} variants in GRCh37 and {len(new)} in GRCh38"
            raise InputError(what, where=path, remedy="fetch the file again")
        for one, other in zip(old, new, strict=True):
            letters, lifted = one.text("Ref") + one.text("Alt"), other.text("Ref") + other.text("Alt")
            complement = "".join(letter if letter == "-" else reverse_complement(letter) for letter in letters)
            same = all(one.fields[column] == other.fields[column] for column in _MEASURED)
            if not same or lifted not in (letters, complement):
                what = f"{element} {one.text('Pos')} is not the variant of {one.where.rpartition(' ')[2]}"
                raise InputError(what, where=other.where, remedy="fetch the file again")
            if lifted != letters:
                turned.add(element)
            place = (f"chr{one.text('Chrom')}", one.whole("Pos"), one.text("Ref"), one.text("Alt"))
            measured[(element, *place)] = (one, other)
    return measured, turned


def _correlation(pairs: list[tuple[float, float | None]]) -> float | None:
    """Pearson r."""
    import numpy as np

    both = np.array([(stated, found) for stated, found in pairs if found is not None], np.float64).reshape(-1, 2)
    if len(both) < 2 or not both.std(axis=0).all():
        return None
    return float(np.corrcoef(both[:, 0], both[:, 1])[0, 1])
