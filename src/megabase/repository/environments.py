"""The conda environment of each stage and the container recipe, with every version taken from `requirements.lock`."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

from megabase.errors import InputError

PYTHON = "3.11"

# What each kind of job imports, by distribution name; what these need in turn is read from the lock.
_TABLES = ("numpy", "pandas", "pyarrow", "pydantic", "PyYAML")
_FILES = ("cooler", "pybedtools", "pyBigWig", "pybigtools", "pyfaidx", "pysam")
_STORE = ("google-crc32c", "ml-dtypes", "numba", "numcodecs", "tensorstore", "zarr")
_MODEL = ("alphagenome", "anndata", "flax", "jax", "jaxtyping", "optax", "orbax-checkpoint", "safetensors", "tqdm")
STAGES: dict[str, tuple[str, ...]] = {
    "data": (
        *(*_TABLES, *_FILES, *_STORE),
        *("alphagenome", "jaxtyping", "liftover", "protobuf", "requests", "scipy", "urllib3"),
    ),
    "train": (*_TABLES, *_STORE, *_MODEL),
    "evaluate": (*_TABLES, *_STORE, *_MODEL, "pyfaidx", "scikit-learn"),
    "report": (*_TABLES, *_STORE, "alphagenome", "jaxtyping", "jinja2", "markupsafe", "matplotlib"),
    "workflow": (*_TABLES, "snakemake", "tyro"),
}

# Brought in by jax's extras alone: they belong to a machine with that accelerator, not to a stage.
_ACCELERATORS = ("jax-cuda12-", "nvidia-", "libtpu")

_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?: ; (?P<marker>.*?))? *\\?$")
_NOTE = "# Written by `make generate` from pyproject.toml and requirements.lock.\n"


@dataclasses.dataclass
class Pin:
    """One package of the lock."""

    name: str
    requirement: str
    """`name==version`, with its environment marker."""
    parents: set[str]
    """Names of the packages that need it."""


def read_lock(lock: Path) -> list[Pin]:
    """Every package of a lock written by `uv pip compile`, with the packages it is there for."""
    pins: list[Pin] = []
    for line in lock.read_text().splitlines():
        if found := _PINNED.match(line):
            marker = f" ; {found['marker']}" if found["marker"] else ""
            pins.append(Pin(_canonical(found["name"]), f"{found['name']}=={found['version']}{marker}", set()))
        elif pins and (note := re.match(r"^ +#(?: via| +) *(\S+)", line)):
            pins[-1].parents.add(_canonical(note[1]))
    return pins


def stage_pins(pins: list[Pin], needs: tuple[str, ...]) -> list[str]:
    """The requirements of `needs` and of all that they need, in the order of the lock."""
    wanted = {_canonical(name) for name in needs}
    if absent := wanted - {pin.name for pin in pins}:
        raise InputError(f"no {', '.join(sorted(absent))}", where="requirements.lock", remedy="run `make lock`")
    size = 0
    while size != len(wanted):
        size = len(wanted)
        wanted |= {pin.name for pin in pins if pin.parents & wanted and not pin.name.startswith(_ACCELERATORS)}
    return [pin.requirement for pin in pins if pin.name in wanted]


def conda_environment(stage: str, requirements: list[str]) -> str:
    """`envs/{stage}.yaml`: Python and programs from conda, everything else at the versions of the lock."""
    lines = [
        f"name: megabase-{stage}",
        "channels:",
        "  - conda-forge",
        "  - bioconda",
        "  - nodefaults",
        "dependencies:",
    ]
    lines += [f"  - python={PYTHON}", "  - pip"]
    lines += ["  - bedtools=2.31", "  - star=2.7.11b"] if stage == "data" else []
    lines += ["  - pip:", *(f'      - "{requirement}"' for requirement in requirements)]
    return _NOTE + "\n".join(lines) + "\n"


def post_deploy() -> str:
    """`envs/{stage}.post-deploy.sh`: Snakemake runs it in a new environment, from the folder it was started in."""
    return f"#!/usr/bin/env bash\n{_NOTE}set -euo pipefail\npython -m pip install --quiet --no-deps --editable .\n"


def containerfile(uv: str) -> str:
    """`envs/Containerfile`: the whole workflow in one image."""
    return f"""{_NOTE}# Build from the repository root: docker build -f envs/Containerfile -t megabase .
FROM python:{PYTHON}-slim-bookworm
RUN apt-get update \\
 && apt-get install --yes --no-install-recommends bedtools make rna-star \\
 && rm -rf /var/lib/apt/lists/*
WORKDIR /megabase
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY src src
RUN python -m pip install --no-cache-dir uv=={uv} \\
 && uv pip install --system --no-cache --constraint requirements.lock --editable .
COPY Snakefile ./
COPY workflow workflow
COPY config config
COPY profiles profiles
ENTRYPOINT ["snakemake"]
"""


def environment_files(root: Path) -> dict[str, str]:
    """Every generated file under `envs/`, by its path in the repository."""
    _check_direct(root / "pyproject.toml")
    pins = read_lock(root / "requirements.lock")
    uv = re.search(r"^UV_VERSION := (\S+)$", (root / "Makefile").read_text(), re.MULTILINE)
    if uv is None:
        raise InputError("no UV_VERSION", where=root / "Makefile", remedy="pin uv with a line `UV_VERSION := x.y.z`")
    files = {"envs/Containerfile": containerfile(uv[1])}
    for stage, needs in STAGES.items():
        files[f"envs/{stage}.yaml"] = conda_environment(stage, stage_pins(pins, needs))
        files[f"envs/{stage}.post-deploy.sh"] = post_deploy()
    return files


def _check_direct(pyproject: Path) -> None:
    """Every dependency of the project serves some stage, and every stage's packages are dependencies."""
    declared = tomllib.loads(pyproject.read_text())["project"]["dependencies"]
    direct = {_canonical(re.split(r"[<>=!~\[; ]", dependency, maxsplit=1)[0]) for dependency in declared}
    used = {_canonical(name) for needs in STAGES.values() for name in needs}
    if direct != used:
        names = ", ".join(sorted(direct ^ used))
        raise InputError(
            f"the packages of the stages and the dependencies differ in {names}",
            where=pyproject,
            remedy="correct STAGES in src/megabase/repository/environments.py",
        )


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.sub(r"\[.*\]", "", name)).lower()
