"""Where activations lie when one sequence is divided over devices.

The mesh in context (`jax.set_mesh`) has the axes `data` (windows) and `sequence` (positions of a window). Without one
nothing here does anything. Halos of convolutions, sums of norms and the gathering of keys are the compiler's.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, Mesh, PartitionSpec
from jaxtyping import Array, Int32, Shaped

DATA, SEQUENCE = "data", "sequence"
"""Mesh axes: over windows, for throughput; over positions, because one window of 1 Mb does not fit one device."""


def mesh_in_context() -> AbstractMesh | None:
    """The mesh that activations are divided over, if there is one with a `sequence` axis of several devices."""
    mesh = jax.sharding.get_abstract_mesh()
    return mesh if not mesh.empty and mesh.shape.get(SEQUENCE, 1) > 1 else None


def platform() -> str:
    """What programs traced here are for: cpu, gpu or tpu. The mesh in context says so, which may stand for devices that
    this machine does not have."""
    device = jax.sharding.get_abstract_mesh().abstract_device
    return str(device.platform if device else jax.default_backend())


def one_processor() -> bool:
    """Whether programs traced here are for a processor, as one device. What is divided over several is left to XLA."""
    return platform() == "cpu" and jax.sharding.get_abstract_mesh().size <= 1


def spread(shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
    """An array that every device needs only its share of, over all devices: along its longest axis that they divide."""
    axes = [axis for axis, size in enumerate(shape) if size and size % mesh.size == 0]
    if not axes:
        return PartitionSpec()
    return PartitionSpec(*[None] * max(axes, key=lambda axis: shape[axis]), (DATA, SEQUENCE))


def divided(x: Shaped[Array, "B N *rest"]) -> Shaped[Array, "B N *rest"]:
    """`x` with its windows over `data` and its second axis over `sequence`, where it is long enough to divide."""
    mesh = mesh_in_context()
    if mesh is None or x.shape[1] % mesh.shape[SEQUENCE]:
        return x
    data = DATA if x.shape[0] % mesh.shape.get(DATA, 1) == 0 else None
    return jax.lax.with_sharding_constraint(x, PartitionSpec(data, SEQUENCE))


def gathered(x: Shaped[Array, "B S C"], positions: Int32[Array, "B K"]) -> Shaped[Array, "B K C"]:
    """`x` at arbitrary positions of each window; every device looks up those that it holds, and the results are added.

    Left to the compiler, all of `x` would be brought together on every device.
    """
    mesh = mesh_in_context()
    if mesh is None or x.shape[1] % mesh.shape[SEQUENCE]:
        return jnp.take_along_axis(x, positions[..., None], axis=1)
    data = DATA if x.shape[0] % mesh.shape.get(DATA, 1) == 0 else None
    own = x.shape[1] // mesh.shape[SEQUENCE]

    def look_up(x: Array, positions: Array) -> Array:
        local = positions - jax.lax.axis_index(SEQUENCE) * own
        here = (local >= 0) & (local < own)
        found = jnp.take_along_axis(x, jnp.where(here, local, 0)[..., None], axis=1)
        return jax.lax.psum(jnp.where(here[..., None], found, 0), SEQUENCE)

    return jax.shard_map(
        look_up, in_specs=(PartitionSpec(data, SEQUENCE), PartitionSpec(data)), out_specs=PartitionSpec(data)
    )(x, positions)
