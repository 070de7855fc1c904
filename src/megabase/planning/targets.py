"""Kinds of devices that a program can be compiled for without having one.

Read by the command line; imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import re

from megabase.errors import InputError


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is fixed about one kind of device."""

    memory: float
    """GiB that a program may use on each device: what libtpu 0.0.42 names as available when it refuses one that needs
    more (reference launch section 5). The rest of the nominal 8, 16, 16, 32, 16, 95, 32 or 96 is the system's own."""
    per_core: bool = False
    """Whether each of a chip's two cores is a device of its own; of the other kinds a chip is one device."""
    options: tuple[tuple[str, str], ...] = ()
    """What libtpu must be told to give the devices that real machines have."""


KINDS = {
    "v2": Kind(7.48, per_core=True),
    "v3": Kind(15.48, per_core=True),
    "v4": Kind(30.75, options=(("chip_config_name", "megacore"),)),
    "v5e": Kind(15.75),
    "v5p": Kind(95.73),
    "v6e": Kind(31.24),
    "tpu7x": Kind(94.74, per_core=True),
}


@dataclasses.dataclass(frozen=True)
class Target:
    """Devices to compile for: `v5p:2x2x2`, a kind of TPU and how its chips are laid out; or `cpu`, or `cpu:8`."""

    name: str
    """As it was given."""

    @property
    def kind(self) -> Kind | None:
        """None for processors, whose memory is what the machine has."""
        return KINDS.get(self.name.split(":")[0])

    @property
    def devices(self) -> int:
        """How many devices it has; `cpu` alone has as many as are asked for: 0."""
        _, _, layout = self.name.partition(":")
        count = 1
        for side in layout.split("x"):
            count *= int(side or 0)
        return count * (2 if self.kind and self.kind.per_core else 1)


def target_of(name: str) -> Target:
    """Raises InputError for a name that is no target."""
    kind, _, layout = name.partition(":")
    if not (
        re.fullmatch(r"cpu(:[1-9]\d*)?", name) or (kind in KINDS and re.fullmatch(r"[1-9]\d*(x[1-9]\d*)+", layout))
    ):
        remedy = f"give cpu:8, or a kind of TPU ({', '.join(KINDS)}) with its layout of chips, such as v5p:2x2x2"
        raise InputError(f"no target `{name}`", where="--target", remedy=remedy)
    return Target(name)


def mesh_sizes(text: str) -> dict[str, int]:
    """`data=1,sequence=8` as sizes by axis; an axis that is not named has one device.

    Raises InputError for another axis or size.
    """
    sizes = {"data": 1, "sequence": 1}
    for part in text.split(","):
        axis, _, size = part.partition("=")
        if axis not in sizes or not re.fullmatch(r"[1-9]\d*", size):
            remedy = "name the axes data and sequence, as in data=1,sequence=8"
            raise InputError(f"no mesh `{text}`", where="--mesh", remedy=remedy)
        sizes[axis] = int(size)
    return sizes
