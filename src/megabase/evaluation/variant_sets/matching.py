"""Negatives that are drawn: by a seed, and independently of the order of the source's rows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

Key = TypeVar("Key", bound=Hashable)


def at_most_per_positive(
    positives: Mapping[str, int], negatives: Mapping[str, Sequence[Key]], ratio: int, seed: int
) -> set[Key]:
    """Of each gene's negatives at most `ratio` for each of its positives, drawn at random; none of a gene that has no
    positive. Keys must be sortable and unique."""
    rng = np.random.default_rng(seed)
    chosen: set[Key] = set()
    for name in sorted(negatives):
        own, most = sorted(negatives[name]), ratio * positives.get(name, 0)  # type: ignore[type-var]
        if len(own) > most:
            own = [own[number] for number in rng.choice(len(own), most, replace=False)]
        chosen.update(own)
    return chosen


def balanced(
    label: Bool[np.ndarray, " n"], values: Float[np.ndarray, " n"], bins: int, seed: int
) -> Int[np.ndarray, " chosen"]:
    """Indices of as many positives as negatives in each of `bins` equal parts of the range of `values`, drawn at
    random from whichever are more, in their order."""
    if not len(values):
        return np.zeros(0, np.int64)
    rng = np.random.default_rng(seed)
    edges = np.linspace(values.min(), values.max(), bins + 1)[1:-1]
    own = np.digitize(values, edges)
    chosen = []
    for number in range(bins):
        kinds = [np.flatnonzero((own == number) & (label == kind)) for kind in (True, False)]
        size = min(map(len, kinds))
        chosen += [kind if len(kind) == size else rng.choice(kind, size, replace=False) for kind in kinds]
    return np.sort(np.concatenate(chosen))


def drawn_like(values: Sequence[str], number: int, seed: int) -> list[str]:
    """So many draws from the distribution of `values`."""
    ordered = np.sort(np.asarray(values))
    return [str(value) for value in np.random.default_rng(seed).choice(ordered, number)]
