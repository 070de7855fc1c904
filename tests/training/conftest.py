"""One store and one finished run for all tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small store's splits."""
    from small_store import SmallStore

    return SmallStore(tmp_path_factory.mktemp("store")).shards()["train"].parent


@pytest.fixture(scope="session")
def unbroken(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a run that nothing stopped; its checkpoints and logs are beside it."""
    from small_run import run

    return run(shards, tmp_path_factory.mktemp("unbroken"))
