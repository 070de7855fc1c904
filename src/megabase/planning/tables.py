"""The small tables that plans are made from, in `resources/`."""

from __future__ import annotations

import csv
import dataclasses
import functools
from pathlib import Path

import megabase

RESOURCES = Path(megabase.__file__).resolve().parents[2] / "resources"
ESTIMATES, DEVICES = RESOURCES / "estimates.tsv", RESOURCES / "devices.tsv"


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What one source file of an output type is like, where no manifest says it."""

    bundle: str
    portal: str
    files_per_track: float
    megabytes: float
    core_seconds: float
    """From the file to its share of a track, on one core."""
    store_bytes_per_bp: float
    """Of one track in the store, compressed."""


@dataclasses.dataclass(frozen=True)
class Device:
    """One accelerator chip."""

    device: str
    peak_tflops: float
    """bfloat16, dense."""
    memory_gb: float
    usd_hour: float
    """On demand."""
    usd_hour_spot: float | None


@functools.cache
def estimates() -> tuple[Estimate, ...]:
    """Every row of `resources/estimates.tsv`."""
    names = [field.name for field in dataclasses.fields(Estimate)]
    return tuple(
        Estimate(row[names[0]], row[names[1]], *(float(row[name]) for name in names[2:])) for row in _rows(ESTIMATES)
    )


@functools.cache
def devices() -> tuple[Device, ...]:
    """Every row of `resources/devices.tsv`."""
    return tuple(
        Device(
            row["device"],
            float(row["peak_tflops"]),
            float(row["memory_gb"]),
            float(row["usd_hour"]),
            float(row["usd_hour_spot"]) if row["usd_hour_spot"] else None,
        )
        for row in _rows(DEVICES)
    )


def _rows(table: Path) -> list[dict[str, str]]:
    lines = [line for line in table.read_text().splitlines() if line and not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t"))
