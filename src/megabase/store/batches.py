"""Batches: a pure function of (seed, step), the same on any number of hosts and after any restart."""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NotRequired, TypedDict

import ml_dtypes
import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8

from megabase.bundles import BUNDLES, Bundle
from megabase.errors import InputError
from megabase.store.binning import PAIR_BIN
from megabase.store.layout import bits
from megabase.store.reader import GENES, JUNCTION_SITES, Example, Shards
from megabase.store.splicing import KINDS


class Batch(TypedDict):
    """Arrays of one update; T is the width of a head, and twice that of the junction head, which has two strands.

    Tracks of an organism with fewer of them stand at the start, those of usage and of junctions at the start of each
    strand's half: as the heads have them. A bundle that an organism lacks is masked. Columns beyond its own tracks are
    masked where masks have a column per track; where they have one for all (every track has data everywhere), the
    head's own list of tracks masks them. `masks` may have `genes` too: [B, S, 2, G], the exons of genes by strand.
    """

    sequence: UInt8[np.ndarray, "B S"]
    organism_index: Int32[np.ndarray, " B"]
    targets: dict[str, Float[np.ndarray, "B *positions T"]]
    masks: dict[str, Bool[np.ndarray, "B positions *_ T_or_1"]]
    splice_site_positions: NotRequired[Int32[np.ndarray, "B 4 K"]]
    """Where junctions are predicted, for a model that predicts them; -1 where there is no site."""


class Batches:
    """Draws windows uniformly from each organism, moves and turns them, and stacks them."""

    def __init__(
        self,
        shards: Mapping[str, Shards],
        widths: Mapping[str, int],
        *,
        batch: int,
        seed: int,
        max_shift: int = 0,
        reverse_complement: float = 0.0,
        organism_weights: Mapping[str, float] | None = None,
        junction_sites: int = JUNCTION_SITES,
        gene_slots: int = 0,
        read_at: Mapping[str, int] | None = None,
    ) -> None:
        """`widths`: tracks of each head, as in its `HeadSpec`. `max_shift`: bp either way. `reverse_complement`:
        probability. `organism_weights`: relative shares; without them organisms are drawn in proportion to their
        windows. `junction_sites`: K, the most sites of each kind. `gene_slots`: G, the most genes of each strand whose
        exons come along for the gene-level loss of RNA-seq; 0 for none. `read_at`: resolution of a head's targets, in
        bp, where it is finer than that of its output type.

        Raises InputError where window lengths differ between organisms, or the weights name none of these organisms.
        """
        lengths = {name: own.window_length for name, own in shards.items()}
        if len(set(lengths.values())) > 1:
            remedy = "write them with one shards.window"
            raise InputError(f"window lengths differ: {lengths}", where="shards", remedy=remedy)
        self._shards = list(shards.values())
        self._batch, self._seed = batch, seed
        self._max_shift, self._reverse = max_shift, reverse_complement
        shares = np.array([(organism_weights or {}).get(name, 0.0) for name in shards])
        if not organism_weights:
            shares = np.array([float(len(own)) for own in self._shards])
        if not shares.any():
            remedy = f"choose from {', '.join(shards)}"
            raise InputError("no organism of the model is named", where="training.organism_weights", remedy=remedy)
        self._shares = shares / shares.sum()
        self._bundles = {bundle.head: bundle for bundle in BUNDLES.values() if bundle.head in widths}
        self._widths, self._read_at = dict(widths), dict(read_at or {})
        names = {bundle.name for bundle in self._bundles.values()}
        self._sites = junction_sites if "SPLICE_JUNCTIONS" in names else 0
        self._genes = gene_slots if "RNA_SEQ" in names else 0
        # Organisms whose tracks all cover everything need no mask by track; the shape is the same for every step.
        self._by_track = {
            head: any(bundle.name in own.tracks and own.masked_by_track(bundle.name) for own in self._shards)
            for head, bundle in self._bundles.items()
        }

    def drawn(self, step: int) -> list[tuple[str, str]]:
        """Organism and place of each window of a step, for messages."""
        return [
            (
                own.organism,
                f"{own.windows['chrom'][i]}:{own.windows['start'][i]}{shift:+d}{' reversed' if turned else ''}",
            )
            for own, i, shift, turned in self._draw(step)
        ]

    def __call__(self, step: int, rows: Sequence[int] | None = None) -> Batch:
        """The batch of update `step`, or these rows of it: those that one of several processes needs."""
        drawn = self._draw(step)
        drawn = drawn if rows is None else [drawn[row] for row in rows]
        examples = [self.read(own, i, shift=shift, reverse_complement=turned) for own, i, shift, turned in drawn]
        return self.stacked([own for own, *_ in drawn], examples)

    def read(self, shards: Shards, i: int, *, shift: int = 0, reverse_complement: bool = False) -> Example:
        """One window with what `stacked` needs of it."""
        return shards.read(
            i,
            shift=shift,
            reverse_complement=reverse_complement,
            junction_sites=self._sites,
            gene_slots=self._genes,
            read_at=self._read_at,
        )

    def stacked(self, shards: list[Shards], examples: list[Example]) -> Batch:
        """Windows as one batch."""
        length, count = len(examples[0].sequence), len(examples)
        targets: dict[str, np.ndarray] = {}
        masks: dict[str, np.ndarray] = {}
        for head, bundle in self._bundles.items():
            halves = _HALVES.get(bundle.name, 1)
            known, shape, dtype = self._shape(bundle, length)
            width = self._widths[head] * (2 if bundle.name == "SPLICE_JUNCTIONS" else 1)
            targets[head] = np.zeros((count, *shape, width), dtype)
            masks[head] = np.zeros((count, *known, width if self._by_track[head] else 1), bool)
            for row, example in enumerate(examples):
                if head not in example.targets:
                    continue
                into, values = targets[head][row], example.targets[head]
                if bundle.name == "SPLICE_JUNCTIONS" and example.splice_site_positions is not None:
                    # Nearly all of it is beyond the sites, where nothing needs to be written.
                    used = int((example.splice_site_positions >= 0).sum(axis=1).max())
                    into, values = into[:used, :used], values[:used, :used]
                _fill(into, values, halves)
                masks[head][row, ..., : values.shape[-1]] = example.masks[head]
        batch = Batch(
            sequence=np.stack([example.sequence for example in examples]),
            organism_index=np.array([own.organism_index for own in shards], np.int32),
            targets=targets,
            masks=masks,
        )
        if self._genes:
            masks[GENES] = np.stack([example.masks[GENES] for example in examples])
        if self._sites:
            none = np.full((KINDS, self._sites), -1, np.int32)
            found = [example.splice_site_positions for example in examples]
            batch["splice_site_positions"] = np.stack([none if sites is None else sites for sites in found])
        return batch

    def _shape(self, bundle: Bundle, length: int) -> tuple[tuple[int, ...], tuple[int, ...], type]:
        """Shapes of a mask and of a target, but for the tracks, and the target's dtype."""
        if bundle.kind == "contact_maps":
            bins = length // PAIR_BIN
            return (bins,), (bins, bins), np.float32
        if bundle.kind == "signal":
            positions = (length // self._read_at.get(bundle.head, bundle.resolutions[0]),)
            return positions, positions, ml_dtypes.bfloat16 if bundle.store_bin == 1 else np.float32
        if bundle.name == "SPLICE_JUNCTIONS":
            return (1, 1), (self._sites, self._sites), np.float32
        return (length,), (length,), bool if bundle.name == "SPLICE_SITES" else np.float32

    def _draw(self, step: int) -> list[tuple[Shards, int, int, bool]]:
        rng = np.random.default_rng([self._seed, step])
        drawn = []
        for _ in range(self._batch):
            own = self._shards[int(rng.choice(len(self._shards), p=self._shares))]
            window = int(rng.integers(len(own)))
            shift = int(rng.integers(-self._max_shift, self._max_shift + 1))
            drawn.append((own, window, shift, bool(rng.random() < self._reverse)))
        return drawn


def prefetched(batches: Callable[[int], Batch], start: int, stop: int, ahead: int) -> Iterator[tuple[int, Batch]]:
    """(step, batch) for steps [start, stop) in order, up to `ahead` of them prepared meanwhile, each by a thread.

    What goes wrong in a thread is raised here, after the batches before it.
    """
    if ahead == 0:
        yield from ((step, batches(step)) for step in range(start, stop))
        return
    steps = iter(range(start, stop))
    pool = concurrent.futures.ThreadPoolExecutor(ahead, "batches")
    begun = collections.deque((step, pool.submit(batches, step)) for step in itertools.islice(steps, ahead))
    try:
        while begun:
            step, made = begun.popleft()
            batch = made.result()
            begun.extend((following, pool.submit(batches, following)) for following in itertools.islice(steps, 1))
            yield step, batch
    finally:
        pool.shutdown(cancel_futures=True)


_HALVES = {"SPLICE_SITE_USAGE": 2, "SPLICE_JUNCTIONS": 2}
"""Bundles that list the plus strand of every condition, then the minus strand."""


def _fill(target: np.ndarray, values: Float[np.ndarray, "*positions T"], parts: int) -> None:
    """Puts the tracks of each of `parts` equal parts at the start of the target's part."""
    room, own = target.shape[-1] // parts, values.shape[-1] // parts
    for part in range(parts):
        bits(target)[..., part * room : part * room + own] = bits(values)[..., part * own : (part + 1) * own]
