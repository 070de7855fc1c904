"""Batches: a pure function of (seed, step), the same on any number of hosts and after any restart."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TypedDict

import ml_dtypes
import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8

from megabase.bundles import BUNDLES, Bundle
from megabase.errors import InputError
from megabase.store.reader import PAIR_BIN, Example, Shards


class Batch(TypedDict):
    """Arrays of one update; T is the width of a head.

    A bundle that an organism lacks is masked. Columns beyond its own tracks are masked where masks have a column per
    track; where they have one for all (every track has data everywhere), the head's own list of tracks masks them.
    """

    sequence: UInt8[np.ndarray, "B S"]
    organism_index: Int32[np.ndarray, " B"]
    targets: dict[str, Float[np.ndarray, "B *positions T"]]
    masks: dict[str, Bool[np.ndarray, "B positions T_or_1"]]


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
    ) -> None:
        """`widths`: tracks of each head. `max_shift`: bp either way. `reverse_complement`: probability.
        `organism_weights`: relative shares; without them organisms are drawn in proportion to their windows.

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
        self._widths = dict(widths)
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

    def __call__(self, step: int) -> Batch:
        """The batch of update `step`."""
        drawn = self._draw(step)
        examples = [own.read(i, shift=shift, reverse_complement=turned) for own, i, shift, turned in drawn]
        return self.stacked([own for own, *_ in drawn], examples)

    def stacked(self, shards: list[Shards], examples: list[Example]) -> Batch:
        """Windows as one batch."""
        length = len(examples[0].sequence)
        targets: dict[str, np.ndarray] = {}
        masks: dict[str, np.ndarray] = {}
        for head, bundle in self._bundles.items():
            shape, dtype = _shape(bundle, length)
            width = self._widths[head]
            targets[head] = np.zeros((len(examples), *shape, width), dtype)
            masks[head] = np.zeros((len(examples), shape[0], width if self._by_track[head] else 1), bool)
            for row, example in enumerate(examples):
                if head in example.targets:
                    tracks = example.targets[head].shape[-1]
                    targets[head][row, ..., :tracks] = example.targets[head]
                    masks[head][row, :, :tracks] = example.masks[head]
        return Batch(
            sequence=np.stack([example.sequence for example in examples]),
            organism_index=np.array([own.organism_index for own in shards], np.int32),
            targets=targets,
            masks=masks,
        )

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
    """(step, batch) for steps [start, stop) in order, up to `ahead` of them prepared by a thread.

    What goes wrong in the thread is raised here, after the batches before it.
    """
    if ahead == 0:
        yield from ((step, batches(step)) for step in range(start, stop))
        return
    ready: queue.Queue[tuple[int, Batch] | BaseException] = queue.Queue(ahead)
    stopped = threading.Event()

    def offer(item: tuple[int, Batch] | BaseException) -> None:
        while not stopped.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def prepare() -> None:
        try:
            for step in range(start, stop):
                if stopped.is_set():
                    return
                offer((step, batches(step)))
        except BaseException as error:
            offer(error)

    thread = threading.Thread(target=prepare, name="batches", daemon=True)
    thread.start()
    try:
        for _ in range(start, stop):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def _shape(bundle: Bundle, length: int) -> tuple[tuple[int, ...], type]:
    """Shape, but for the tracks, and dtype of a target."""
    if bundle.kind == "contact_maps":
        return (length // PAIR_BIN, length // PAIR_BIN), np.float32
    if bundle.store_bin == 1:
        return (length,), ml_dtypes.bfloat16
    return (length // bundle.resolutions[0],), np.float32
