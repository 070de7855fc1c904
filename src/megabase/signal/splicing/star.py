"""STAR is a program, not a Python package: found on PATH or where `make setup` unpacks it."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from megabase.errors import InputError

logger = logging.getLogger(__name__)

_UNPACKED = Path(".tools/usr")
# The distribution's package has one program per instruction set; its own dispatcher looks under /usr only.
_BUILDS = (("avx2", "STAR-avx2"), ("avx", "STAR-avx"), ("sse4_1", "STAR-sse4.1"), ("ssse3", "STAR-ssse3"))
_PLAIN = "STAR-plain"


@dataclasses.dataclass(frozen=True)
class Star:
    """The program and the environment it runs in."""

    program: Path
    environment: Mapping[str, str]
    """Variables added to ours: where its shared libraries are."""
    version: str

    def run(self, arguments: Sequence[str | int | float | Path], where: object) -> None:
        """Runs STAR. Raises InputError with its own last words where it fails; `where` is what it worked on."""
        command = [str(self.program), *map(str, arguments)]
        done = subprocess.run(
            command, env=os.environ | dict(self.environment), capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())[-600:]
            raise InputError(f"STAR failed: {said}", where=where, remedy="correct what it names")


def find_star() -> Star:
    """STAR from PATH, else from `.tools/` of the working directory or of the project.

    Raises InputError where there is none that runs.
    """
    found = shutil.which("STAR")
    candidates = [(Path(found), dict[str, str]())] if found else []
    for base in dict.fromkeys((_UNPACKED.resolve(), Path(__file__).resolve().parents[4] / _UNPACKED)):
        libraries = sorted({str(path.parent) for path in base.glob("lib/**/libhts.so*")})
        path = ":".join([*libraries, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])
        names = [base / "lib/rna-star/bin" / name for name in _builds()]
        candidates += [(program, {"LD_LIBRARY_PATH": path}) for program in [*names, base / "bin/STAR"]]
    for program, environment in candidates:
        version = _version(program, environment) if program.is_file() else None
        if version:
            return Star(program, environment, version)
    raise InputError(
        "not found on PATH nor in .tools/usr",
        where="STAR",
        remedy="run `make setup`, install it (apt-get install rna-star, conda install -c bioconda star), or set "
        "splicing.star: skip",
    )


def _builds() -> list[str]:
    """Names of the package's programs that this processor runs, the fastest first."""
    try:
        flags = set(re.findall(r"\S+", Path("/proc/cpuinfo").read_text()))
    except OSError:
        flags = set()
    return [name for flag, name in _BUILDS if flag in flags] + [_PLAIN]


def _version(program: Path, environment: Mapping[str, str]) -> str | None:
    """What the program calls itself, or None where it does not run here."""
    try:
        done = subprocess.run(
            [str(program), "--version"], env=os.environ | dict(environment), capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
