"""Writes every generated file of the repository: `python -m megabase.repository.generate` (or `make generate`)."""

from __future__ import annotations

import sys
from pathlib import Path

from megabase.artifacts import write_text
from megabase.errors import InputError
from megabase.repository.environments import environment_files
from megabase.repository.manual import filled
from megabase.repository.root import repository_root
from megabase.repository.schemas import schema_text


def generated_files(root: Path) -> dict[str, str]:
    """What each generated file should say, by its path in the repository."""
    manual = root / "config" / "README.md"
    return {
        "config/schemas/config.json": schema_text(),
        "config/README.md": filled(manual.read_text(), manual),
        **environment_files(root),
    }


def main() -> None:
    """Writes those that differ and names them."""
    try:
        root = repository_root()
        for name, text in generated_files(root).items():
            path = root / name
            if not path.exists() or path.read_text() != text:
                write_text(path, text)
                print(f"written: {name}")
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
