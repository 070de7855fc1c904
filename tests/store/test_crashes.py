"""Wherever writing dies, the next run ends with the same bytes, and nothing that is left vouches for what is not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.long), 12])
def test_a_crash_at_any_step(tmp_path: Path, repo_root: Path, every: int) -> None:
    program = Path(__file__).with_name("crash_points.py")
    made = subprocess.run(
        [sys.executable, program, tmp_path, str(every), str(every // 2 + 1)],
        capture_output=True,
        text=True,
        cwd=repo_root,
    )
    assert made.returncode == 0, made.stderr
    found = json.loads(made.stdout.splitlines()[-1])
    assert found["wrong"] == [], made.stderr
    assert min(found["points"].values()) > 20
