"""`megabase doctor`: what this machine offers, and whether it is what one expects."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import megabase
from megabase.errors import InputError
from megabase.launch import devices

Accelerator = Literal["cpu", "gpu", "tpu"]
_PACKAGES = ("jax", "flax", "zarr", "tensorstore", "snakemake", "alphagenome")


def diagnose(expect: Accelerator | None) -> Iterator[str]:
    """Lines on versions, tools, space and devices.

    Raises InputError, after the last line, where bedtools is missing or JAX does not see what `expect` names.
    """
    system = f"{platform.system()} {platform.machine()}"
    yield f"megabase {megabase.__version__}, Python {platform.python_version()}, {system}"
    yield ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield f"machine: {os.cpu_count()} cores, {memory / 2**30:.0f} GiB memory"
    yield f"disk: {shutil.disk_usage(Path.cwd()).free / 2**30:.0f} GiB free in {Path.cwd()}"
    bedtools = find_tool()
    yield f"bedtools: {bedtools or 'missing'}"
    yield f"STAR: {aligner() or 'missing; splicing needs it, unless splicing.star: skip'}"
    yield f"devices: {devices.seen()[1]}"
    if bedtools is None:
        raise InputError(
            "not found", where="bedtools", remedy="run `make setup`, or install it: apt-get install bedtools"
        )
    if expect:
        devices.require(expect)


def find_tool() -> str | None:
    """Version and place of bedtools, on PATH or in `.tools`; None where it does not run."""
    for name in ("bedtools", str(Path(".tools/usr/bin/bedtools").resolve())):
        if place := shutil.which(name):
            done = subprocess.run([place, "--version"], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return f"{done.stdout.split()[-1]} ({place})"
    return None


def aligner() -> str | None:
    """Version and place of STAR, on PATH or in `.tools`; None where it does not run."""
    from megabase.signal.splicing.star import find_star

    try:
        star = find_star()
    except InputError:
        return None
    return f"{star.version} ({star.program})"
