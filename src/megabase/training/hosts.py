"""Several processes train one model: whose rows are whose, who writes, and what all do after the same update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped

from megabase.model.sharding import DATA


def first() -> bool:
    """Whether this process is the one that writes what all of them share."""
    return jax.process_index() == 0


def meet(place: str) -> None:
    """Waits until every process is here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(place)


def told(value: int) -> int:
    """The number that the first process has, in every process."""
    if jax.process_count() == 1:
        return value
    return int(multihost_utils.broadcast_one_to_all(np.int32(value)))


def own_rows(count: int, mesh: Mesh) -> list[int]:
    """Which of a batch's `count` rows this process's devices hold; the others it need not read.

    Follows from the mesh alone, so that the batch is the same on any number of hosts.
    """
    if count % mesh.shape[DATA]:
        return list(range(count))
    places = NamedSharding(mesh, PartitionSpec(DATA)).addressable_devices_indices_map((count,))
    return sorted({row for index in places.values() if index for row in range(count)[index[0]]})


def put(x: Any, place: NamedSharding) -> Array:
    """An array that every process has, on the devices of all of them."""
    if jax.process_count() == 1:
        return jax.device_put(x, place)
    own = np.asarray(x)
    return jax.make_array_from_callback(own.shape, place, lambda index: own[index])


def put_rows(own: Shaped[np.ndarray, "b *rest"], count: int, rows: Sequence[int], place: NamedSharding) -> Array:
    """An array of `count` rows on the devices of all processes, of which this one has `rows`."""

    def part(index: Any) -> np.ndarray:
        here = [rows.index(row) for row in range(count)[index[0]]]
        return own[(slice(here[0], here[-1] + 1), *index[1:])]

    return jax.make_array_from_callback((count, *own.shape[1:]), place, part)


class Agreement:
    """What any process wants, all do, and after the same update.

    Each update hands in what this process wants and gets what all wanted at the update before: the answer has arrived
    by then, so nobody waits for it.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._alone = jax.process_count() == 1
        self._place = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
        self._devices = mesh.size
        self._any: Callable[[Array], Array] = jax.jit(
            lambda wishes: wishes.max(axis=0), out_shardings=NamedSharding(mesh, PartitionSpec())
        )
        self._before: Any = None

    def __call__(self, *wishes: bool) -> list[bool]:
        """`wishes` of this process for this update; in return what all processes do after it."""
        if self._alone:
            return list(wishes)
        own = np.array([wishes], np.int32)
        everyone = jax.make_array_from_callback((self._devices, len(wishes)), self._place, lambda _: own)
        before, self._before = self._before, self._any(everyone)
        return [False] * len(wishes) if before is None else np.asarray(before).astype(bool).tolist()

    def forget(self) -> None:
        """What was wanted at the last update is done."""
        self._before = None
