"""What a program needs to know around variants, in arrays of the same shape for all batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from megabase.genome.regions import Region
from megabase.scoring.annotation import Annotation
from megabase.scoring.comparison import Places
from megabase.scoring.config import Scorer
from megabase.scoring.scorers import Setting
from megabase.scoring.sequences import indel
from megabase.scoring.vcf import Variant

T = TypeVar("T")


class Surroundings:
    """The annotation as these scorers see it, in windows of one length."""

    def __init__(self, annotation: Annotation, length: int, scorers: Sequence[Scorer]) -> None:
        self._annotation, self._length = annotation, length
        self._families = {scorer.family for scorer in scorers}
        exons, bodies, ends = annotation.most(length)
        # As many as there are anywhere in the genome: no variant but a long deletion needs another program.
        self._masks = exons * ("exons" in self._families) + ends * ("polyadenylation" in self._families)
        self._bodies = bodies * bool(self._families & {"bodies", "junctions"})

    def setting(self, variant: Variant, region: Region) -> Setting:
        """A variant in its window, with the genes that matter there."""
        families = self._families
        exons = self._annotation.starting(region) if "exons" in families else []
        bodies = self._annotation.bodies(variant) if families & {"bodies", "junctions"} else []
        ends = self._annotation.ends(variant, region) if "polyadenylation" in families else []
        return Setting(variant, region, exons, bodies, ends)

    def places(self, settings: Sequence[Setting], size: int) -> Places:
        """Of a batch of `size`, filled up with its last variant."""
        masks = max(len(setting.exons) + sum(len(sites) for _, sites in setting.ends) for setting in settings)
        bodies = max(len(setting.bodies) for setting in settings)
        # Filled in place: most of these pages are never touched, and at full size they are a hundred megabytes.
        covered = np.zeros((size, _room(self._masks, masks), self._length), bool)
        inside = np.zeros((size, _room(self._bodies, bodies), self._length), bool)
        sites = np.zeros((size, self._length, 4), bool)
        numbers = np.zeros((3, size), np.int32)
        for i, setting in enumerate([*settings, *[settings[-1]] * (size - len(settings))]):
            variant, region = setting.variant, setting.region
            for row, mask in zip(covered[i], setting.masks(), strict=False):
                row[:] = mask
            for row, gene in zip(inside[i], setting.bodies, strict=False):
                row[max(gene.start - region.start, 0) : max(gene.end - region.start, 0)] = True
            if "junctions" in self._families:
                sites[i] = self._annotation.splice_sites(region)
            numbers[:, i] = variant.start - region.start, *indel(variant, region)
        offset, last, gain = numbers
        return Places(offset, last, gain, covered, inside, sites)


def _room(usual: int, needed: int) -> int:
    """Places for `needed` masks: as many as usual, or twice that, and so on."""
    room = max(usual, 1)
    while room < needed:
        room *= 2
    return room


def batched(items: Iterable[T], size: int, window: Callable[[T], object] | None = None) -> Iterator[list[T]]:
    """Runs of `size` items, and the rest; with `window`, of one window each.

    What is left of a window comes one by one: there are two shapes, and nothing is filled up.
    """
    held: list[T] = []
    for item in items:
        if window is not None and held and window(held[0]) != window(item):
            yield from ([own] for own in held)
            held = []
        held.append(item)
        if len(held) == size:
            yield held
            held = []
    if window is not None:
        yield from ([own] for own in held)
    elif held:
        yield held
