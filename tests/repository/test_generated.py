"""Generated files are what their sources say, and the generator sees what it should."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from megabase.config import _with_likenesses
from megabase.errors import InputError
from megabase.repository.environments import STAGES, environment_files, read_lock, stage_pins
from megabase.repository.generate import generated_files
from megabase.repository.manual import description, filled
from megabase.repository.schemas import config_schema


def test_generated_files_are_current(repo_root: Path) -> None:
    stale = [name for name, text in generated_files(repo_root).items() if _text(repo_root / name) != text]
    assert not stale, f"run `make generate`: {', '.join(stale)}"


def test_no_generated_file_is_left_over(repo_root: Path) -> None:
    made = set(generated_files(repo_root))
    there = {
        str(path.relative_to(repo_root))
        for folder in ("envs", "config/schemas")
        for path in (repo_root / folder).iterdir()
    }
    assert there <= made


def test_every_config_fits_the_schema(repo_root: Path) -> None:
    schema = config_schema()
    for path in (repo_root / "config").glob("*.yaml"):
        if path.name != "default.yaml":
            under = ["default.yaml", *(["demo.yaml"] if path.name.startswith("demo_") else [])]
            merged: dict[str, Any] = {}
            for name in (*under, path.name):
                merged = merge(merged, yaml.safe_load((repo_root / "config" / name).read_text()))
            # Models have the keys of the one that they are like.
            jsonschema.validate(_with_likenesses(merged), schema)


def merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key: merge(under[key], over[key]) for key in under.keys() & over.keys() if isinstance(over[key], dict)}
    return under | over | both


def test_the_schema_refuses_unknown_keys(repo_root: Path) -> None:
    demo = yaml.safe_load((repo_root / "config" / "demo.yaml").read_text())
    with pytest.raises(jsonschema.ValidationError, match="stepz"):
        jsonschema.validate(demo | {"training": {"stepz": 3}}, config_schema())


def test_every_key_is_documented(repo_root: Path) -> None:
    schema = config_schema()
    sections = {"Config": schema, **schema["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, field in section["properties"].items()
        if not description(field, sections)
    ]
    assert not silent


def test_a_section_without_a_table_is_named() -> None:
    with pytest.raises(InputError, match=r"no table of .*NetworkConfig"):
        filled("<!-- keys of StoreConfig -->\n<!-- end of keys -->", "README.md")
    with pytest.raises(InputError, match="no settings `Stor`"):
        filled("<!-- keys of Stor -->\n<!-- end of keys -->", "README.md")


LOCK = """\
alpha==1.0 \\
    --hash=sha256:00
    # via
    #   mega (pyproject.toml)
    #   gamma
Beta_x==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:00
    # via alpha
gamma==3.0 \\
    --hash=sha256:00
    # via mega (pyproject.toml)
libtpu==4.0 \\
    --hash=sha256:00
    # via alpha
"""


def test_the_pins_of_a_stage_are_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(LOCK)
    pins = read_lock(lock)
    assert stage_pins(pins, ("alpha",)) == ["alpha==1.0", "Beta_x==2.0 ; sys_platform == 'win32'"]
    assert stage_pins(pins, ("gamma",)) == ["alpha==1.0", "Beta_x==2.0 ; sys_platform == 'win32'", "gamma==3.0"]
    with pytest.raises(InputError, match="no delta"):
        stage_pins(pins, ("delta",))


def test_environments_hold_the_locked_versions(repo_root: Path) -> None:
    locked = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (repo_root / "requirements.lock").read_text(), re.MULTILINE))
    for stage, needs in STAGES.items():
        environment = yaml.safe_load(environment_files(repo_root)[f"envs/{stage}.yaml"])
        pins = dict(re.findall(r"([A-Za-z0-9._-]+)==([^\s;]+)", " ".join(environment["dependencies"][-1]["pip"])))
        assert {name.lower() for name in needs} <= {name.lower() for name in pins}, stage
        assert pins["numpy"] == locked["numpy"]
        assert not any(name.startswith(("nvidia", "libtpu")) for name in pins)


def test_the_rules_ask_for_environments_that_exist(repo_root: Path) -> None:
    named = {
        name
        for path in (repo_root / "workflow/rules").glob("*.smk")
        for name in re.findall(r"envs/(\w+)\.yaml", path.read_text())
    }
    assert named
    assert named <= set(STAGES)


def test_the_lock_names_no_host_and_covers_the_project(repo_root: Path) -> None:
    text = (repo_root / "requirements.lock").read_text()
    assert "://" not in text
    assert "index-url" not in text.split("\n", 2)[2]
    names = {pin.name for pin in read_lock(repo_root / "requirements.lock")}
    project = tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]
    for extra in ((), *project["optional-dependencies"].values()):
        for requirement in extra or project["dependencies"]:
            assert re.split(r"[<>=!~\[; ]", requirement)[0].lower().replace("_", "-") in names


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
