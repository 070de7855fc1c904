"""Planning: what `snakemake -n` costs on a fresh clone, for the paper's config and the demo's (design section 2).

Both are held against what a plan may take: 30 s of processor time, 1 GB, the low thousands of jobs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS, BYTES, JOBS = 30.0, 1e9, 5000.0
"""Limits: processor seconds, peak memory, and the low thousands of jobs."""


def plan(config: str, folder: Path) -> tuple[float, float, int]:
    """CPU-seconds, peak resident bytes and jobs of one dry run in an empty folder that sees only the config."""
    (folder / "config").symlink_to(ROOT / "config")
    program = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "2"]
    program += ["--directory", str(folder), "--snakefile", str(ROOT / "Snakefile"), "--configfile", config]
    printed = folder / "printed"
    with open(printed, "w") as file:
        child = subprocess.Popen(program, cwd=folder, stdout=file, stderr=file)
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    text = printed.read_text()
    if child.returncode:
        sys.exit(text)
    jobs = re.findall(r"^total +(\d+)", text, re.MULTILINE)
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024.0, int(jobs[-1])


def main() -> None:
    """Plans each config and prints JSON lines, then a table."""
    lines = []
    for config in ("demo", "paper"):
        with tempfile.TemporaryDirectory() as folder:
            seconds, peak, jobs = plan(f"config/{config}.yaml", Path(folder))
        for name, value, unit, limit in (
            ("cpu", seconds, "s", SECONDS),
            ("peak", peak / 1e6, "MB", BYTES / 1e6),
            ("jobs", float(jobs), "jobs", JOBS),
        ):
            against = f"limit of {limit:g} {unit}"
            line = {"name": f"dag/{config}/{name}", "value": round(value, 2), "unit": unit, "against": against}
            lines.append(line | {"ratio": round(value / limit, 3)})
            print(json.dumps(lines[-1]), flush=True)
    print(f"\n{'plan':<18}{'value':>10}  {'unit':<6}{'of the limit':>14}")
    for line in lines:
        print(f"{line['name'][4:]:<18}{line['value']:>10,}  {line['unit']:<6}{line['ratio']:>13.1%}")


if __name__ == "__main__":
    main()
