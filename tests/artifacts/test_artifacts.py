"""Outputs are whole or absent; hashes depend on content alone."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from megabase.artifacts import (
    atomic_directory,
    atomic_path,
    canonical_json,
    digest,
    file_sha256,
    provenance,
    write_json,
    write_text,
)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("before")
    with pytest.raises(RuntimeError), atomic_path(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with atomic_directory(target) as partial:
        (partial / "a").write_text("1")
    with pytest.raises(RuntimeError), atomic_directory(target) as partial:
        (partial / "a").write_text("2")
        raise RuntimeError
    assert (target / "a").read_text() == "1"
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_write_is_not_mistaken_for_the_file(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    program = (
        "import sys, time\nfrom megabase.artifacts import atomic_path\n"
        "with atomic_path(sys.argv[1]) as partial:\n"
        "    partial.write_text('half'); print('writing', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "writing\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not target.exists()


def test_unchanged_text_keeps_its_time(tmp_path: Path) -> None:
    target = tmp_path / "slice.tsv"
    write_text(target, "a", only_if_changed=True)
    before = target.stat().st_mtime_ns
    time.sleep(0.01)
    write_text(target, "a", only_if_changed=True)
    assert target.stat().st_mtime_ns == before
    write_text(target, "b", only_if_changed=True)
    assert target.stat().st_mtime_ns > before


def test_digest_ignores_order_and_sees_values() -> None:
    @dataclasses.dataclass
    class Point:
        x: int
        y: int

    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert canonical_json(Point(1, 2)) == '{"x":1,"y":2}'
    with pytest.raises(ValueError):
        digest(float("nan"))
    with pytest.raises(TypeError, match="no canonical JSON"):
        digest({1, 2})


def test_file_sha256_is_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_json_and_provenance_are_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "p.json", provenance(("numpy",), source="abc"))
    record = json.loads((tmp_path / "p.json").read_text())
    assert record["inputs"] == {"source": "abc"} and "numpy" in record["packages"]
