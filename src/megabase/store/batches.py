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
from megabase.store.reader import PAIR_BIN, Example, Shards


class Batch(TypedDict):
    """Arrays of one update; T is the width of a head, tracks that an organism lacks are masked at the end."""

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
        `organism_weights`: relative shares; without them organisms are drawn in proportion to their windows."""
        self._shards = list(shards.values())
        self._batch, self._seed = batch, seed
        self._max_shift, self._reverse = max_shift, reverse_complement
        shares = [
            (organism_weights or {}).get(name, 0 if organism_weights else len(own)) for name, own in shards.items()
        ]
        self._shares = np.asarray(shares, float) / sum(shares)
        self._bundles = {BUNDLES[name].head: BUNDLES[name] for name in BUNDLES if BUNDLES[name].head in widths}
        self._widths = dict(widths)
        # One organism whose tracks all cover everything needs no mask by track; the shape is the same for every step.
        self._by_track = {
            head: any(
                bundle.name not in own.tracks or not own.tracks[bundle.name]["covered"].isna().all()
                for own in self._shards
            )
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
        return Batch(
            sequence=np.stack([example.sequence for example in examples]),
            organism_index=np.array([own.organism_index for own in shards], np.int32),
            targets={head: np.stack([self._target(example, head) for example in examples]) for head in self._bundles},
            masks={head: np.stack([self._mask(example, head) for example in examples]) for head in self._bundles},
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

    def _target(self, example: Example, head: str) -> np.ndarray:
        width = self._widths[head]
        if head not in example.targets:
            return _absent(self._bundles[head], len(example.sequence), width)
        target = example.targets[head]
        padding = [(0, 0)] * (target.ndim - 1) + [(0, width - target.shape[-1])]
        return np.pad(target, padding) if width > target.shape[-1] else target

    def _mask(self, example: Example, head: str) -> Bool[np.ndarray, "positions T_or_1"]:
        width = self._widths[head]
        bundle = self._bundles[head]
        if head not in example.masks:
            rows = len(_absent(bundle, len(example.sequence), 1))
            return np.zeros((rows, width if self._by_track[head] else 1), bool)
        mask = example.masks[head]
        if not self._by_track[head]:
            return mask
        tracks = example.targets[head].shape[-1]
        full = np.zeros((len(mask), width), bool)
        full[:, :tracks] = mask
        return full


def prefetched(batches: Callable[[int], Batch], start: int, stop: int, ahead: int) -> Iterator[tuple[int, Batch]]:
    """(step, batch) for steps [start, stop) in order, up to `ahead` prepared by a thread; its errors come out here."""
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


def _absent(bundle: Bundle, length: int, width: int) -> np.ndarray:
    if bundle.kind == "contact_maps":
        return np.zeros((length // PAIR_BIN, length // PAIR_BIN, width), np.float32)
    if bundle.store_bin == 1:
        return np.zeros((length, width), ml_dtypes.bfloat16)
    return np.zeros((length // bundle.resolutions[0], width), np.float32)
