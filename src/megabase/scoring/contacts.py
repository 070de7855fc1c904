"""Scores of the contacts of the variant's own bin (architecture reference 9)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def contact_score(ref: Float[np.ndarray, "P T"], alt: Float[np.ndarray, "P T"]) -> Float[np.ndarray, " T"]:
    """Mean absolute difference between both alleles in the contacts of the variant's bin with every bin."""
    return np.abs(alt - ref).mean(axis=0)
