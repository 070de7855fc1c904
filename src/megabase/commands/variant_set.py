"""`megabase variant-set`: a published set of variants as a table, from its source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from megabase.errors import InputError


def variant_set(
    name: str, files: Sequence[str], genome: Path | None, out: Path, organism: str, seed: int
) -> Iterator[str]:
    """Writes the set, and says what was counted.

    Raises InputError for an unknown set, an unreadable or malformed file, and where no variant is left.
    """
    from megabase.evaluation.variant_sets.build import RECIPES, build_variant_set
    from megabase.evaluation.variant_sets.config import SETS

    if name not in RECIPES:
        raise InputError(f"no variant set `{name}`", where="variant set", remedy=f"choose from {', '.join(SETS)}")
    given: dict[str, Path] = {}
    for file in files:
        part, equals, path = file.partition("=")
        part, path = (part, path) if equals else (RECIPES[name].main, file)
        if part in given:
            raise InputError(f"two files for `{part}`", where=f"--from {file}", remedy="give each part once: PART=FILE")
        given[part] = Path(path)
    counts = build_variant_set(name, given, genome, out, organism=organism, seed=seed).counts
    yield f"{out}: {counts['kept']:,} of {counts['read']:,} rows; {counts['positives']:,} positives"
    checked = "no allele is checked: no genome was given" if genome is None else "alleles are the genome's"
    yield f"{checked}; {counts.get('swapped', 0):,} were swapped, {counts.get('lifted', 0):,} moved from hg19"
    for reason, number in counts["dropped"].items():
        yield f"left out: {number:,} {reason}"
