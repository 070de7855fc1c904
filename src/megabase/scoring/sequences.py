"""Both alleles of a variant as windows of sequence, and the way back from one to the other."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from megabase.genome.regions import Region
from megabase.genome.sequence import encode
from megabase.scoring.vcf import Sequences, Variant


def window(variant: Variant, length: int) -> Region:
    """The window of `length` bp with the middle of REF in its middle; it may reach beyond the chromosome."""
    start = (variant.start + variant.end) // 2 - length // 2
    return Region(variant.chrom, start, start + length)


def window_on_grid(variant: Variant, length: int, grid: int) -> Region:
    """The window of `length` bp around the multiple of `grid` bp nearest to the variant: neighbours share it."""
    middle = ((variant.start + variant.end) // 2 + grid // 2) // grid * grid
    return Region(variant.chrom, middle - length // 2, middle - length // 2 + length)


def alleles(reference: Sequences, variant: Variant, region: Region) -> UInt8[np.ndarray, "2 S"]:
    """Base codes of REF and ALT, both from the start of the region and of its length.

    What an insertion pushes over the right end is cut; what a deletion lacks there is the sequence that follows
    (architecture reference 9). REF's bases are those of the variant, whatever the reference has.
    """
    length, at = region.end - region.start, variant.start - region.start
    codes = reference.codes(region.chrom, region.start, region.end + max(len(variant.ref) - len(variant.alt), 0))
    return np.stack(
        [
            np.concatenate([codes[:at], encode(allele), codes[at + len(variant.ref) :]])[:length]
            for allele in (variant.ref, variant.alt)
        ]
    )


def indel(variant: Variant, region: Region) -> tuple[int, int]:
    """The last base that both alleles have, from the region's start, and how many bases ALT has more after it."""
    shared = min(len(variant.ref), len(variant.alt))
    return variant.start - region.start + shared - 1, len(variant.alt) - len(variant.ref)


def aligned(
    alt: Float[Array, "S *rest"], last: Int[Array, ""] | int, gain: Int[Array, ""] | int
) -> Float[Array, "S *rest"]:
    """Values along ALT, moved to where REF has the same bases (architecture reference 9).

    `last`, `gain`: as `indel` gives them. Inserted bases and the one before them become their maximum, deleted ones 0,
    and so do bases at the end that ALT does not have.
    """
    alt = jnp.asarray(alt)
    places = jnp.arange(len(alt))
    source = jnp.where(places > last, places + gain, places)
    here = (source < len(alt)) & ((source > last) | (places <= last))
    inserted = (places >= last) & (places <= last + gain)

    def wide(mask: Array) -> Array:
        return mask.reshape(-1, *[1] * (alt.ndim - 1))

    moved = jnp.where(wide(here), alt[jnp.clip(source, 0, len(alt) - 1)], 0)
    peak = jnp.where(wide(inserted), alt, -jnp.inf).max(axis=0)
    return jnp.where(wide((places == last) & (gain > 0)), peak, moved).astype(alt.dtype)
