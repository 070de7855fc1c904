"""`megabase plan`: what a config will fetch, need and cost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from megabase.commands.check import layered
from megabase.errors import InputError

if TYPE_CHECKING:
    from megabase.config import Config


def plan(paths: tuple[Path, ...], gbit: float, cores: int, utilisation: float) -> Iterator[str]:
    """Lines on files, bytes, disk, jobs and hours, then on the operations, hours and price of training."""
    from megabase.planning.plan import plan as planned

    if gbit <= 0 or cores < 1 or not 0 < utilisation <= 1:
        what = f"--gbit {gbit:g} --cores {cores} --utilisation {utilisation:g}"
        raise InputError(what, where="plan", remedy="give numbers above 0, and a utilisation of at most 1")
    config = layered(paths)
    found = planned(config)
    known = sum(share.known for share in found.shares)
    basis = "the manifest" if known == len(found.shares) else "resources/estimates.tsv, until there is a manifest"
    if 0 < known < len(found.shares):
        basis = "the manifest; lines with ~ from resources/estimates.tsv"
    yield f"Data of {config.dataset}: from {basis}"
    header = ("organism", "output type", "portal", "tracks", "files", "fetch GB", "core-hours", "store GB")
    yield _line(header)
    for share in found.shares:
        about = "" if share.known else "~"
        size = f"{about}{share.bytes / 1e9:,.1f}" if share.portal else "0"
        hours, stored = f"{share.core_seconds / 3600:,.1f}", f"{share.store_bytes / 1e9:,.1f}"
        number = f"{about}{share.files:,}"
        yield _line(
            (share.organism, share.bundle, share.portal or "local", f"{share.tracks:,}", number, size, hours, stored)
        )
    core_hours, peak = found.core_seconds / 3600, found.peak_disk(cores)
    rules = ", ".join(f"{number:,} {rule}" for rule, number in found.jobs.items())
    yield ""
    yield f"tracks      {sum(organism.tracks for organism in config.organisms.values()):,}"
    yield f"files       {sum(share.files for share in found.shares):,}"
    yield f"to fetch    {found.bytes / 1e12:,.2f} TB: {found.bytes * 8 / (gbit * 1e9) / 3600:,.1f} h at {gbit:g} Gbit/s"
    yield f"store       {found.store_bytes / 1e12:,.2f} TB"
    yield f"peak disk   {peak / 1e12:,.2f} TB: tracks, store, and {cores} jobs with a file and a sum each"
    yield f"computing   {core_hours:,.0f} core-hours: {core_hours / cores:,.1f} h on {cores} cores"
    yield f"jobs        {sum(found.jobs.values()):,}: {rules}"
    yield ""
    yield from _training(config, utilisation)


def _training(config: Config, utilisation: float) -> Iterator[str]:
    # Shapes are traced on the processor, whatever else this machine has.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from megabase.planning.costs import forward_flops, trainings
    from megabase.planning.tables import devices

    forward = forward_flops(config)
    yield (
        f"Training of {config.run}: a window of {config.shards.window:,} bp is {forward / 1e12:,.4g} TFLOP forward; an "
        f"update is three, a student's four; chips at {utilisation:.0%} of their peak (resources/devices.tsv)"
    )
    chips = devices()
    yield f"{'model':<12}{'copies':>7}{'steps':>9}{'windows':>12}{'EFLOP each':>12}" + "".join(
        f"{f'{chip.device} h':>11}" for chip in chips
    )
    made = trainings(config, forward)
    for one in made:
        hours = "".join(f"{one.device_hours(chip, utilisation):>11,.0f}" for chip in chips)
        yield f"{one.name:<12}{one.copies:>7}{one.steps:>9,}{one.examples:>12,}{one.flops / 1e18:>12,.5g}{hours}"
    total = [sum(one.copies * one.device_hours(chip, utilisation) for one in made) for chip in chips]
    flops = sum(one.copies * one.flops for one in made)
    yield f"{'all':<12}{'':>28}{flops / 1e18:>12,.5g}" + "".join(f"{hours:>11,.0f}" for hours in total)
    prices = "".join(f"{hours * chip.usd_hour:>11,.0f}" for hours, chip in zip(total, chips, strict=True))
    yield f"{'USD':<12}{'':>40}{prices}"
    spot = [
        None if chip.usd_hour_spot is None else hours * chip.usd_hour_spot
        for hours, chip in zip(total, chips, strict=True)
    ]
    yield f"{'USD, spot':<12}{'':>40}" + "".join(f"{'-' if price is None else f'{price:,.0f}':>11}" for price in spot)


def _line(cells: tuple[str, ...]) -> str:
    widths = (10, 18, 10)
    left = "".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False))
    return left + "".join(cell.rjust(12) for cell in cells[len(widths) :])
