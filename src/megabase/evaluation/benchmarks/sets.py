"""Sets of variants as benchmarks take them: built from public files, or planted in a simulated world."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from megabase.artifacts import write_text
from megabase.evaluation.planted import PLANTED, read_planted
from megabase.evaluation.variant_sets.table import PLACE, read_variant_set
from megabase.genome.text import read_lines


def planted_set(vcf: Path, organism: str) -> pd.DataFrame:
    """The planted variants of a simulated world in the columns of a set, and their `modality`.

    `group` is the variant that a control belongs to, its own for a planted one; a control's effect is 0. Their split is
    named for what they are: nobody's test chromosomes.
    """
    places = {}
    for line in read_lines(vcf, "planted variants", "simulate the world again"):
        if line.strip() and not line.startswith(b"#"):
            chrom, position, name, ref, alt = line.decode().split("\t")[:5]
            places[name] = (chrom, int(position), ref, alt)
    known = read_planted(vcf)
    columns = pd.DataFrame([places[name] for name in known["variant_id"]], columns=list(PLACE[1:]))
    own = known[["variant_id", "modality", "effect"]].assign(label=known["role"] == PLANTED, gene_id=known["gene"])
    group = known["match"].where(known["match"] != "", known["variant_id"])
    return pd.concat([own, columns], axis=1).assign(organism=organism, split=PLANTED, group=group)


def write_vcf(variants: Path, out: Path) -> None:
    """Writes the distinct variants of a set as a VCF to be scored."""
    table = read_variant_set(variants).table.drop_duplicates("variant_id")
    table = table.sort_values(["chromosome", "position", "variant_id"])
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    columns = [table[name].astype(str) for name in ("chromosome", "position", "variant_id", "ref", "alt")]
    lines += ["\t".join((*row, ".", ".", ".")) for row in zip(*columns, strict=True)]
    write_text(out, "\n".join(lines) + "\n")
