"""Batches of variants through the compiled programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import UInt8

from megabase.genome.regions import Region
from megabase.scoring.comparison import Compared, Comparison
from megabase.scoring.reading import Read
from megabase.scoring.scorers import Setting
from megabase.scoring.surroundings import Surroundings
from megabase.scoring.vcf import Variant


class Job(NamedTuple):
    """One variant to score."""

    variant: Variant
    region: Region
    codes: UInt8[np.ndarray, "2 S"]
    """REF and ALT."""


def rounded_up(batch: int) -> int:
    """The next multiple of the number of devices."""
    return -(-batch // jax.device_count()) * jax.device_count()


def compared(
    batches: Iterable[list[Job]], compare: Comparison, around: Surroundings, size: int, shared: bool
) -> Iterator[tuple[list[Setting], Compared]]:
    """What the alleles of each batch of up to `size` variants predict; still on the device.

    While one batch is worked on, the next is computed already. `shared`: each batch is of one window with one REF,
    which is read once for the batches of a window that follow each other.
    """
    pending: tuple[list[Setting], Compared] | None = None
    region: Region | None = None
    reference: Read | None = None
    for batch in batches:
        settings = [around.setting(job.variant, job.region) for job in batch]
        codes = np.stack([job.codes for job in batch])
        if shared:
            if reference is None or region != batch[0].region:
                region, reference = batch[0].region, compare.reference(codes[0, 0])
            made = compare.against(reference, codes[:, 1], around.places(settings, len(batch)))
        else:
            codes = np.concatenate([codes, codes[-1:].repeat(size - len(codes), axis=0)])
            made = compare.pairs(codes, around.places(settings, size))
        if pending is not None:
            yield pending
        pending = settings, made
    if pending is not None:
        yield pending
