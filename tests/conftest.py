"""Where tests find the project and, when it is there, the folder of expected values and real files beside it."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# One cache of compiled programs for all tests; the processor, unless a test asks for something else.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))


def pytest_configure(config: pytest.Config) -> None:
    """What short tests compute takes moments: to compile it fast is worth more than to compute it fast. With the long
    tests everything is compiled as in use."""
    if config.option.markexpr == "not long":
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


@pytest.fixture(scope="module", autouse=True)
def forgotten_programs() -> Iterator[None]:
    """The programs of one module are of no use to the next, and would take gigabytes together."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
        gc.collect()


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
