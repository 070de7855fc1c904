"""A genome of random letters and small files for the builders of variant sets."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from megabase.evaluation.variant_sets.table import COLUMNS, VariantSet, read_variant_set

OTHER = {"A": "C", "C": "G", "G": "T", "T": "A"}
"""A letter that is neither the same nor its complement."""
COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}


class World:
    """A FASTA of random letters."""

    def __init__(self, folder: Path, sizes: dict[str, int] | None = None, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.folder = folder
        self.letters = {
            name: "".join(rng.choice(list("ACGT"), size))
            for name, size in (sizes or {"chr1": 900, "chr3": 600}).items()
        }
        self.fasta = folder / "genome.fa"
        self.fasta.write_text("".join(f">{name}\n{letters}\n" for name, letters in self.letters.items()))

    def ref(self, chrom: str, position: int, length: int = 1) -> str:
        """The letters at a 1-based position."""
        return self.letters[chrom][position - 1 : position - 1 + length]

    def alt(self, chrom: str, position: int) -> str:
        """Another letter."""
        return OTHER[self.ref(chrom, position)]

    def file(self, name: str, lines: Sequence[Sequence[object] | str]) -> Path:
        """A tab-separated file, gzipped where its name says so."""
        text = "".join(f"{line if isinstance(line, str) else chr(9).join(map(str, line))}\n" for line in lines)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path


def checked(made: VariantSet, out: Path) -> VariantSet:
    """The set, once it is written, read again and sound: counts and columns agree with the rows."""
    made.write(out)
    again = read_variant_set(out)
    assert list(again.table.columns) == list(COLUMNS)
    assert again.table.equals(made.table)
    counts = json.loads(out.with_suffix(".counts.json").read_text())
    assert {name: counts[name] for name in made.counts} == json.loads(json.dumps(made.counts))
    assert counts["kept"] == len(made.table)
    assert counts["positives"] == int((made.table["label"] == True).sum())  # noqa: E712
    assert made.table["split"].isin(["train", "valid", "test", "none"]).all()
    assert made.table[["variant_id", "chromosome", "position", "organism", "split"]].notna().all().all()
    return made
