"""What the documents point at exists, and the words that would date or place them do not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest


def documents(root: Path) -> list[Path]:
    listed = [
        *root.glob("*.md"),
        *(root / "docs").glob("*.md"),
        *(root / "config").glob("*.md"),
        *(root / "profiles").glob("*.md"),
    ]
    assert len(listed) >= 7
    return listed


def test_links_lead_somewhere(repo_root: Path) -> None:
    broken = []
    for document in documents(repo_root):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
            if "://" not in target and not (document.parent / target).exists():
                broken.append(f"{document.relative_to(repo_root)}: {target}")
    assert not broken


def test_make_targets_and_commands_that_are_named_exist(repo_root: Path) -> None:
    from megabase import cli

    targets = set(re.findall(r"^([a-z-]+):", (repo_root / "Makefile").read_text(), re.MULTILINE))
    for document in documents(repo_root):
        text = document.read_text()
        for target in re.findall(r"`make ([a-z-]+)", text) + re.findall(r"^ *make ([a-z-]+)", text, re.MULTILINE):
            assert target in targets, f"{document.name}: make {target}"
        for command in re.findall(r"\bmegabase ([a-z]+)(?= |`)", " ".join(re.findall(r"`[^`\n]+`", text))):
            assert callable(getattr(cli, command, None)), f"{document.name}: megabase {command}"


def test_folders_that_the_house_names_are_described(repo_root: Path) -> None:
    index = (repo_root / "docs" / "index.md").read_text()
    packages = [path.parent.name for path in (repo_root / "src" / "megabase").glob("*/__init__.py")]
    missing = [name for name in packages if f"`{name}/`" not in index]
    assert not missing, f"docs/index.md does not describe {missing}"


def test_files_stay_short_enough_to_read(repo_root: Path) -> None:
    code = [
        path
        for folder in ("src", "tests", "workflow")
        for path in (repo_root / folder).rglob("*")
        if path.suffix in (".py", ".smk")
    ]
    long = {
        str(path.relative_to(repo_root)): lines for path in code if (lines := len(path.read_text().splitlines())) > 500
    }
    assert not long


def test_nothing_tracked_names_a_machine(repo_root: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("needs a git checkout to know which files belong to the project")
    # Written apart, so that this file does not find itself.
    forbidden = re.compile("|".join(["/" + "work/", "/" + "root/", "/" + r"home/\w", "/" + "Users/"]))
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = repo_root / name
        if (
            path.suffix in (".md", ".py", ".smk", ".yaml", ".yml", ".toml", ".json", ".lock", ".tsv", ".cff", "")
            and path.is_file()
        ):
            found += [
                f"{name}: {line}" for line in path.read_text(errors="ignore").splitlines() if forbidden.search(line)
            ]
    assert not found
