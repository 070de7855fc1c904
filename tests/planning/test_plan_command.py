"""`megabase plan` prints what a config takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from megabase.commands.plan import plan
from megabase.config import load
from megabase.errors import InputError
from megabase.planning.costs import forward_flops


def test_the_plan_of_the_demo(repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is built where it is asked from: sizes are estimates, and say so."""
    (tmp_path / "config").symlink_to(repo_root / "config")
    monkeypatch.chdir(tmp_path)
    lines = list(plan((Path("config/demo.yaml"),), gbit=1.0, cores=2, utilisation=0.4))
    text = "\n".join(lines)
    assert lines[0].startswith("Data of demo: from resources/estimates.tsv")
    assert any(line.split()[:3] == ["human", "CAGE", "fantom5"] for line in lines)
    for part in ("to fetch ", "peak disk ", "jobs ", "at 1 Gbit/s", "on 2 cores", "TPU v5p h", "USD, spot"):
        assert part in text
    assert next(line for line in lines if line.startswith("teacher ")).split()[1:3] == ["2", "1,800"]
    with pytest.raises(InputError, match="--cores 0"):
        list(plan((Path("config/demo.yaml"),), gbit=1.0, cores=0, utilisation=0.4))


def test_operations_of_the_papers_model(repo_root: Path) -> None:
    """Counted from the shapes; the release's heads are padded to more tracks than there are (reference 12)."""
    config = load(repo_root / f"config/{name}.yaml" for name in ("default", "paper"))
    assert forward_flops(config) == pytest.approx(77.2e12, rel=0.06)
