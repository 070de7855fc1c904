"""The published predictions of AlphaGenome for its variant evaluations, where a user has downloaded them.

`{evaluation}_predictions.feather` in the bucket `alphagenome`, folder `evals` (public): a row per variant with
`prediction` and `target`, `tissue` for tissue-weighted evaluations and `PI`, the matched pair, for paQTL. A metric of
ours that is right gives the published value on them. They are also the only source of the exact variants of ClinVar and
of the gene-balanced eQTL set.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from megabase.errors import InputError

ADDRESS = "https://storage.googleapis.com/alphagenome/evals/{evaluation}_predictions.feather"
_NEEDED = ("prediction", "target")


def read_published(path: Path) -> pd.DataFrame:
    """prediction, target (numbers; labels as 0 and 1) and group: the pair, else the tissue, else nothing.

    Rows without a prediction or a target stay: metrics say what becomes of them. Raises InputError where the file is no
    such table.
    """
    remedy = f"fetch it from {ADDRESS}"
    if not path.exists():
        raise InputError("no such file", where=path, remedy=remedy)
    try:
        table = pd.read_feather(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", where=path, remedy=remedy) from None
    if missing := [name for name in _NEEDED if name not in table]:
        what = f"no column `{missing[0]}`; it has {', '.join(map(str, table.columns[:8]))}"
        raise InputError(what, where=path, remedy=remedy)
    try:
        numbers = {name: table[name].astype("float64") for name in _NEEDED}
    except (TypeError, ValueError) as error:
        raise InputError(f"not numbers: {error}", where=path, remedy=remedy) from None
    grouped = next((name for name in ("PI", "tissue") if name in table), None)
    group = pd.Series("", index=table.index, dtype="string") if grouped is None else table[grouped].astype("string")
    return pd.DataFrame({**numbers, "group": group})
