"""Run as a program: dies at each step of writing in turn, writes again, and compares with what nobody interrupted.

Every attempt is a fork of one process, which itself opens nothing: what dies, dies at once, without any clean-up.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts
import zarr
from toy_world import World, write_world

from megabase.store import layout, writer
from megabase.store.layout import found_contents
from megabase.store.reader import Shards

# A process that dies takes nothing with it that the kernel has: no need to wait for the disk.
os.fsync = lambda file: None
layout._context = lambda: ts.Context({"file_io_sync": False})  # type: ignore[assignment]

DEAD = 9
_STEPS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "os.truncate", "shutil.copyfile"}


def forked(work: Callable[[], None]) -> int:
    """The exit status of `work` in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying_at(point: int, root: Path, work: Callable[[], None]) -> None:
    """Does `work`, but for what comes after its step `point`: a file opened, a name changed, rows written."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == point:
            os._exit(DEAD)

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        writing = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if (writing or event in _STEPS) and str(arguments[0]).startswith(str(root)):
            step()

    written = writer.write_rows

    def rows(*given: Any) -> None:
        step()
        written(*given)
        step()

    writer.write_rows = rows
    sys.addaudithook(heard)
    work()


def files(folder: Path) -> dict[str, str]:
    """The checksum of every file, by its name in the folder, but for the time in records."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.parent.name == "toy" and path.suffix == ".json":
                content = json.dumps(json.loads(content) | {"provenance": None}, sort_keys=True).encode()
            found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def changed_track(world: World) -> None:
    """One track has other values than when its block was written."""
    path = world.signal_record("RNA_SEQ", 0)
    given = json.loads(path.read_text())
    group = zarr.open_group(str(world.signal("RNA_SEQ") / "liver.minus.zarr"), mode="r+")
    content = hashlib.sha256()
    for chrom in sorted(group):
        group[chrom][:] = group[chrom][:][::-1]
        content.update(np.asarray(group[chrom][:]).tobytes())
    given["tracks"][1]["content"] = content.hexdigest()
    path.write_text(json.dumps(given))


def main(base: Path, every: int, first: int) -> None:
    """Prints how many points there were and what was wrong after any of them."""
    made = base / "made"
    assert forked(lambda: changed_track(write_world(made))) == 0
    works: dict[str, Callable[[World], None]] = {
        "block": lambda world: world.write_block("RNA_SEQ", 0),
        "frame": lambda world: world.write_frame(),
        "shards": lambda world: world.write_shards(),
    }
    counts, wrong = {}, []
    for name, work in works.items():
        whole = base / f"{name} whole"
        shutil.copytree(made, whole)
        before = files(whole)
        assert forked(lambda work=work, whole=whole: work(World(whole, {}, {}))) == 0
        expected = files(whole)
        own = {path for path in expected if expected[path] != before.get(path)}
        if name == "block" and not all("RNA_SEQ/0000" in path or "RNA_SEQ.0000" in path for path in own):
            wrong.append(f"more than the block of the changed track was written: {sorted(own)}")
        point, status = first, DEAD
        while status == DEAD:
            root = base / f"{name} {point}"
            shutil.copytree(made, root)
            world = World(root, {}, {})
            status = forked(lambda: dying_at(point, root, lambda: work(world)))  # noqa: B023
            said = checked(world)
            if status not in (0, DEAD) or said:
                wrong.append(f"{name}, step {point}: exit status {status}, {said}")
            if forked(lambda: work(world)) or files(root) != expected:  # noqa: B023
                differ = {path for path, content in files(root).items() if expected.get(path) != content}
                wrong.append(f"{name}, step {point}: {sorted(differ | (set(expected) - set(files(root))))}")
            shutil.rmtree(root)
            counts[name] = point
            point += every
    print(json.dumps({"points": counts, "wrong": wrong}))


def checked(world: World) -> list[str]:
    """What vouches for values that are not there, after a crash: records, and shards that open."""
    said = []
    for bundle, block in world.blocks:
        record, group = world.record(bundle, block), f"signal/{bundle}/{block:04d}"
        if bundle == "CONTACT_MAPS":
            group = f"contact_maps/{block:04d}"
        if record.exists() and found_contents(world.store, [group])[group] != json.loads(record.read_text())["content"]:
            said.append(f"{record.name} is not of its block")
    for split in ("train", "valid", "test"):
        if (world.shards("m", split) / "zarr.json").exists():
            status = forked(lambda split=split: Shards.open(world.shards("m", split)).read(0) and None)
            if status:
                said.append(f"{split} shards do not open")
    return said


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
