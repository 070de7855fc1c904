"""The rules that recreate the parameters and inputs of the expected values, loaded from where those lie."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def rules(shared: Path, name: str) -> ModuleType:
    """`fill` or `inputs` of the folder of expected values; nothing is written there."""
    folder = shared / "parity"
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = written
    return module
