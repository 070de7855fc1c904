"""`megabase score`: the effects of a VCF's variants on every track, as a Parquet file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from megabase.errors import InputError


def score(
    vcf: Path,
    weights: Path,
    reference: Path,
    out: Path,
    organism: str | None = None,
    scorers: Sequence[str] = (),
    batch: int = 1,
    reverse_complement: bool = True,
) -> Path:
    """Scores the variants of `vcf` with the model in the folder `weights` and writes `out`; gives it back.

    `organism`: needed where the model knows several. `scorers`: all if empty. `batch`: variants at once.
    `reverse_complement`: average both strands. Raises InputError as `megabase.scoring.variants.score_variants` does.
    """
    from megabase.scoring.config import ScoringConfig
    from megabase.scoring.variants import score_variants

    config = ScoringConfig(batch=batch, reverse_complement=reverse_complement, scorers=list(scorers))
    score_variants(weights, reference, vcf, out, config, organism or _only_organism(weights))
    return out


def _only_organism(weights: Path) -> str:
    try:
        known = list(json.loads((weights / "model.json").read_text())["organisms"])
    except (OSError, ValueError, KeyError):
        raise InputError("no model here", where=weights, remedy="give the folder of a model") from None
    if len(known) > 1:
        remedy = f"choose from {', '.join(known)}"
        raise InputError("the model knows several organisms", where="--organism", remedy=remedy)
    return str(known[0])
