"""The released model and the demo's: forward pass, loss with gradient, and memory, against what the machine can do.

Every case runs in a process of its own (`model_cases.py`). Prints one JSON line per measurement and a table. `against`:
of a time, what as many operations take as one large matrix product in the same process (for compiling and drawing the
parameters: a budget); of a share of that rate and of memory, what is wanted. Operations are counted from the shapes of
the layers, a gradient as three forwards. A GPU is measured where JAX finds one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

WANTED: dict[str, tuple[float, float]] = {
    "paper-forward-16384-cpu": (0.60, 8.0),
    "paper-forward-32768-cpu": (0.70, 8.0),
    "paper-forward-131072-cpu": (0.85, 8.0),
    "paper-gradient-16384-cpu": (0.60, 9.0),
    "demo-forward-16384-cpu": (0.20, 2.0),
    "demo-step-16384-cpu": (0.20, 2.0),
    "paper-forward-1048576-gpu": (0.39, 80.0),
    "paper-refalt-1048576-gpu": (0.33, 80.0),
    "paper-train-1048576-gpu": (0.30, 80.0),
}
"""By case: least share of the matrix rate (on processors of float32 in processor seconds, on a GPU of bfloat16 in wall
time), and most memory in GiB."""
MINUTES = 12
"""Longest that a case may take."""


def found(case: str, tracks: Path | None) -> dict[str, float]:
    """What a process of its own measures; nothing if it fails, with its last words."""
    command = [sys.executable, str(Path(__file__).with_name("model_cases.py")), case]
    command += ["--tracks", str(tracks)] if tracks else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 * MINUTES)
    if done.returncode:
        print(f"{case}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return {}
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(case: str, numbers: dict[str, float]) -> list[tuple[str, float, str, float]]:
    """Name, value, unit and `against` of a case's measurements."""
    share, memory = WANTED[case]
    name = f"model.{case.replace('-', '.').removesuffix('.cpu')}"
    spent = numbers["wall" if case.endswith("gpu") else "processor"]
    rows = [
        (f"{name}.share", numbers["floor"] / spent, "of matrix rate", share),
        (f"{name}.wall", numbers["wall"], "s", numbers["floor"]),
        (f"{name}.memory", numbers["peak"], "GiB", memory),
        (f"{name}.compile", numbers["compile"], "s", 60.0),
        (f"{name}.initialise", numbers["initialise"], "CPU s", 30.0),
    ]
    if case.endswith("cpu"):
        rows.insert(1, (f"{name}.processor", spent, "CPU s", numbers["floor"]))
    return rows


def gpu_found() -> bool:
    """Whether JAX has one; asked in a process of its own, which leaves it free."""
    program = "import jax; print(any(device.platform == 'gpu' for device in jax.devices()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return "True" in done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=Path, help="folder with human.tsv and mouse.tsv; else tracks without names")
    parser.add_argument("--cases", nargs="+", help="measure these alone", choices=WANTED)
    given = parser.parse_args()
    cases = given.cases or [case for case in WANTED if case.endswith("cpu") or gpu_found()]
    rows, missing = [], []
    for case in cases:
        numbers = found(case, given.tracks)
        if not numbers:
            missing.append(case)
            continue
        for name, value, unit, against in rows_of(case, numbers):
            rows.append((name, value, unit, against))
            line = {"name": name, "value": value, "unit": unit, "against": against, "ratio": value / against}
            print(json.dumps(line), flush=True)
    print(f"\n{'name':44}{'value':>10} {'unit':15}{'against':>10}{'ratio':>8}")
    for name, value, unit, against in rows:
        print(f"{name:44}{value:10.3f} {unit:15}{against:10.3f}{value / against:8.2f}")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
