"""Using a trained model: predictions, and scores of variants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from megabase.scoring.dna_model import DnaModel, load

__all__ = ["DnaModel", "load"]
STAGE_VERSION = 3


def __getattr__(name: str) -> Any:
    # Snakemake reads the version while it parses, and must not wait for JAX.
    if name in __all__:
        from megabase.scoring import dna_model

        return getattr(dna_model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
