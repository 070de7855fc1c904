"""What names the content of a table: its columns and values, not the bytes that a writer's version packs them into."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def table_content(table: pd.DataFrame) -> str:
    """The SHA-256 of column names, types and values, in order; of two equal tables the same."""
    import pandas as pd

    hashed = hashlib.sha256()
    for name in table.columns:
        hashed.update(f"{name} {table[name].dtype}\n".encode())
        hashed.update(pd.util.hash_array(table[name].to_numpy(), categorize=True).tobytes())
    return hashed.hexdigest()
