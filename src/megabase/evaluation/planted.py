"""Planted variants and what they are told from, as the VCF of a simulated world describes them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from megabase.errors import InputError
from megabase.genome.text import read_lines

COLUMNS = ["variant_id", "role", "modality", "effect", "curie", "target", "gene", "match"]

PLANTED, CONTROL, QUIET = ROLES = ("planted", "control", "quiet")
"""What a variant is: it changes something; it changes nothing, in an active place; or in one where nothing goes on."""


def read_planted(vcf: Path) -> pd.DataFrame:
    """`COLUMNS`, a row per variant; a control or quiet one has the place (biosample, target, gene) of the variant it
    belongs to where it names none.

    INFO: ROLE (one of `ROLES`), MODALITY, EFFECT (log2 fold change of the true quantity), CURIE, TARGET, GENE,
    MATCH. Raises InputError where a variant lacks one of the first three.
    """
    rows = []
    for number, line in enumerate(read_lines(vcf, "planted variants", "simulate the world again"), 1):
        if line.startswith(b"#") or not line.strip():
            continue
        try:
            fields = line.decode().rstrip("\n").split("\t")
            info = dict(pair.partition("=")[::2] for pair in fields[7].split(";"))
            if (role := info["ROLE"]) not in ROLES:
                raise ValueError(f"its role is {role}")
            places = [info.get(key, "") for key in ("CURIE", "TARGET", "GENE", "MATCH")]
            rows.append((fields[2], role, info["MODALITY"], float(info["EFFECT"]), *places))
        except (IndexError, KeyError, ValueError) as error:
            raise InputError(
                f"not a planted variant: {error}",
                where=f"{vcf} line {number}",
                remedy="give ROLE, MODALITY and EFFECT in its INFO column",
            ) from None
    table = pd.DataFrame(rows, columns=COLUMNS)
    owner = table.set_index("variant_id")
    for column in ("curie", "target", "gene"):
        inherited = table["match"].map(owner[column]).fillna("")
        table[column] = table[column].where(table[column] != "", inherited)
    return table
