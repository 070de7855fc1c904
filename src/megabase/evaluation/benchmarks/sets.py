"""Sets of variants with what is known of each, in one schema: from public files, or planted in a simulated world.

Columns: variant_id, chromosome, position (1-based), ref, alt, organism; `group`, a tissue, category or matched pair;
gene_id, where the variant concerns one; `label`, whether it has the effect; `effect`, its size and sign; split.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from megabase.artifacts import write_text
from megabase.errors import InputError
from megabase.evaluation.planted import read_planted
from megabase.genome.text import read_lines

_PLACE = ("variant_id", "chromosome", "position", "ref", "alt")
SET_COLUMNS = (*_PLACE, "organism", "group", "gene_id", "label", "effect", "split")
PLANTED = "planted"
"""Split of planted variants: nobody's test chromosomes."""


def read_set(path: Path) -> pd.DataFrame:
    """A set of variants. Raises InputError for a missing file, column, or place."""
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"not a set of variants: {error}", where=path, remedy="build the set again") from None
    missing = [name for name in SET_COLUMNS if name not in table]
    if missing:
        raise InputError(f"no column {', '.join(missing)}", where=path, remedy=f"have {', '.join(SET_COLUMNS)}")
    bare = table[list(_PLACE)].isna().any(axis=1).to_numpy()
    if bare.any():
        raise InputError("no place or no allele", where=f"{path} row {int(np.argmax(bare)) + 1}", remedy="drop the row")
    return table


def planted_set(vcf: Path, organism: str) -> pd.DataFrame:
    """The planted variants of a simulated world in the schema of sets, and their `modality`.

    `group` is the variant that a control belongs to, its own for a planted one; a control's effect is 0.
    """
    places = {}
    for line in read_lines(vcf, "planted variants", "simulate the world again"):
        if line.strip() and not line.startswith(b"#"):
            chrom, position, name, ref, alt = line.decode().split("\t")[:5]
            places[name] = (chrom, int(position), ref, alt)
    known = read_planted(vcf)
    columns = pd.DataFrame([places[name] for name in known["variant_id"]], columns=list(_PLACE[1:]))
    own = known[["variant_id", "modality", "effect"]].assign(label=known["planted"], gene_id=known["gene"])
    group = known["match"].where(known["match"] != "", known["variant_id"])
    return pd.concat([own, columns], axis=1).assign(organism=organism, split=PLANTED, group=group)


def write_vcf(variants: Path, out: Path) -> None:
    """Writes the distinct variants of a set as a VCF to be scored."""
    table = read_set(variants).drop_duplicates("variant_id").sort_values(["chromosome", "position", "variant_id"])
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    columns = [table[name].astype(str) for name in ("chromosome", "position", "variant_id", "ref", "alt")]
    lines += ["\t".join((*row, ".", ".", ".")) for row in zip(*columns, strict=True)]
    write_text(out, "\n".join(lines) + "\n")
