"""Where tests find the project and, when it is there, the folder of expected values and real files beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# One cache of compiled programs for all tests; the processor, unless a test asks for something else. What tests compute
# takes moments: compiling it fast is worth more than computing it fast.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The project."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with expected values (`parity/`) and real public files (`real/`); tests that need it skip without."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs expected values and real files in {folder}, which is absent")
    return folder
