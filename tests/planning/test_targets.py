"""Names of targets and meshes."""

from __future__ import annotations

import pytest

from megabase.errors import InputError
from megabase.planning.targets import KINDS, mesh_sizes, target_of


@pytest.mark.parametrize(
    ("name", "devices"),
    [("cpu", 0), ("cpu:8", 8), ("v5p:2x2x2", 8), ("v5e:2x4", 8), ("v3:2x2", 8), ("v4:2x2x1", 4), ("tpu7x:2x2x1", 8)],
)
def test_a_target_has_devices(name: str, devices: int) -> None:
    assert target_of(name).devices == devices
    assert (target_of(name).kind is None) == name.startswith("cpu")


@pytest.mark.parametrize("name", ["", "gpu", "cpu:0", "cpu:x", "v5p", "v5p:", "v5p:8", "v9:2x2", "v5e:2x0", "v3:2x2 "])
def test_what_is_no_target_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"--target: no target `.*`; give cpu:8, or a kind of TPU \(v2, v3,"):
        target_of(name)


def test_less_memory_is_available_than_a_chip_has() -> None:
    nominal = {"v2": 8, "v3": 16, "v4": 32, "v5e": 16, "v5p": 96, "v6e": 32, "tpu7x": 96}
    assert all(0.9 * nominal[name] < kind.memory < nominal[name] for name, kind in KINDS.items())


@pytest.mark.parametrize(
    ("text", "sizes"),
    [("data=1,sequence=8", (1, 8)), ("sequence=4", (1, 4)), ("sequence=2,data=4", (4, 2)), ("data=2", (2, 1))],
)
def test_a_mesh_has_sizes(text: str, sizes: tuple[int, int]) -> None:
    assert tuple(mesh_sizes(text).values()) == sizes


@pytest.mark.parametrize("text", ["", "8", "model=2", "data=0", "sequence=", "data=1;sequence=8", "data=1.5"])
def test_what_is_no_mesh_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--mesh: no mesh"):
        mesh_sizes(text)
