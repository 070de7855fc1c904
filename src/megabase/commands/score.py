"""`megabase score`: the effects of a VCF's variants on every track, as a Parquet file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from megabase.errors import InputError


def score(
    vcf: Path,
    weights: Path,
    reference: Path | None,
    out: Path,
    organism: str | None = None,
    scorers: Sequence[str] = (),
    batch: int = 1,
    reverse_complement: bool = True,
    window_grid: int = 0,
    values: bool = False,
    calibration: Path | None = None,
) -> Path:
    """Scores the variants of `vcf` with the model in the folder `weights` and writes `out`; gives it back.

    `reference`: looked for under data/ if None. `organism`: needed where the model knows several. `scorers`: all if
    empty. `batch`: variants at once. `reverse_complement`: average both strands. `window_grid`, `values` and
    `calibration`: as in `megabase.scoring.variants.Extras`. What cannot be scored stands in `{out}.skipped.tsv`.
    Raises InputError as `megabase.scoring.variants.score_variants` does.
    """
    from megabase.scoring.config import ScoringConfig
    from megabase.scoring.references import found_reference
    from megabase.scoring.variants import Extras, score_variants

    if batch < 1:
        raise InputError(f"{batch} variants at once", where="--batch", remedy="give 1 or more")
    name, assembly = described_organism(weights, organism)
    folder = reference or found_reference(weights, name, assembly)
    config = ScoringConfig(batch=batch, reverse_complement=reverse_complement, scorers=list(scorers))
    extras = Extras(window_grid, values, calibration, out.with_name(f"{out.stem}.skipped.tsv"))
    score_variants(weights, folder, vcf, out, config, name, extras)
    return out


def described_organism(weights: Path, organism: str | None) -> tuple[str, str | None]:
    """The organism that is asked for, or the only one of the model, and its assembly.

    Raises InputError where there is no model, and where there are several to choose from.
    """
    try:
        description = json.loads((weights / "model.json").read_text())
        known = list(description["organisms"])
    except (OSError, ValueError, KeyError):
        raise InputError("no model here", where=weights, remedy="give the folder of a model") from None
    if organism is None and len(known) > 1:
        remedy = f"choose from {', '.join(known)}"
        raise InputError("the model knows several organisms", where="--organism", remedy=remedy)
    name = str(organism or known[0])
    return name, description.get("assemblies", {}).get(name)
