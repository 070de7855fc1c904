"""A stage whose code changed says so, and says which command settles it."""

from __future__ import annotations

from pathlib import Path

import pytest

from megabase.errors import InputError
from megabase.repository.stages import accept, bump, current_stages, recorded_stages, unrecorded


def test_every_stage_is_recorded_as_it_is(repo_root: Path) -> None:
    problems = unrecorded(repo_root)
    assert not problems, "\n" + "\n".join(problems)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project: two stages, one plain package, a config."""
    files = {
        "__init__.py": "",
        "bundles.py": "TOTAL = 1e8\n",
        "errors.py": "class InputError(Exception): ...\n",
        "metrics/__init__.py": "",
        "metrics/counts.py": "def half(x):\n    return x / 2\n",
        "signal/__init__.py": '"""Signal."""\n\nSTAGE_VERSION = 1\n',
        "signal/config.py": "SIZE = 3\n",
        "signal/build.py": (
            "from megabase.errors import InputError\nimport megabase.bundles\n\n\ndef build(x):\n    return x * 2\n"
        ),
        "store/__init__.py": "STAGE_VERSION = 4\n",
        "store/writer.py": (
            "def write(x):\n    from megabase.metrics import counts\n"
            "    from megabase.signal.build import build\n    return counts.half(build(x))\n"
        ),
    }
    for name, text in files.items():
        path = tmp_path / "src" / "megabase" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    accept(tmp_path, ("all",), "first version")
    assert unrecorded(tmp_path) == []
    return tmp_path


def _edit(project: Path, name: str, text: str) -> list[str]:
    (project / "src" / "megabase" / name).write_text(text)
    return unrecorded(project)


def test_changed_code_names_the_stage_and_both_commands(project: Path) -> None:
    (problem,) = _edit(project, "signal/build.py", "def build(x):\n    return x * 3\n")
    assert "the code of stage `signal` changed" in problem
    assert "megabase stages bump signal --note" in problem
    assert "megabase stages accept signal --note" in problem


@pytest.mark.parametrize(
    ("name", "text"),
    [
        # Comments, docstrings, quotes and layout.
        (
            "signal/build.py",
            '"""Doubles."""\n# why\nfrom megabase.errors import InputError\nimport megabase.bundles\n'
            'def build(x):\n    """Twice x."""\n    return (x *\n        2)\n',
        ),
        # Its values reach the rules as params, where Snakemake sees them.
        ("signal/config.py", "SIZE = 4\n"),
        # How an error is said changes no output.
        ("errors.py", "class InputError(ValueError): ...\n"),
        ("signal/__init__.py", '"""Other words."""\n\nSTAGE_VERSION = 1\n'),
    ],
)
def test_what_cannot_change_outputs_is_ignored(project: Path, name: str, text: str) -> None:
    assert _edit(project, name, text) == []


def test_code_of_no_stage_counts_for_the_stages_that_import_it(project: Path) -> None:
    (problem,) = _edit(project, "metrics/counts.py", "def half(x):\n    return x * 0.5\n")
    assert "`store`" in problem
    accept(project, ("all",), "the same value")
    # store reaches it too, but through signal, whose own version reruns both.
    (problem,) = _edit(project, "bundles.py", "TOTAL = 1e9\n")
    assert "`signal`" in problem


def test_accept_keeps_the_version_and_bump_raises_it(project: Path) -> None:
    _edit(project, "signal/build.py", "def build(x):\n    return x + x\n")
    accept(project, ("signal",), "same sum, written shorter")
    assert unrecorded(project) == []
    assert recorded_stages(project)["signal"].version == 1
    assert recorded_stages(project)["signal"].note == "same sum, written shorter"
    assert recorded_stages(project)["store"].note == "first version"

    _edit(project, "signal/build.py", "def build(x):\n    return x * 5\n")
    bump(project, ("signal",), "five, not two")
    assert unrecorded(project) == []
    assert current_stages(project)["signal"].version == recorded_stages(project)["signal"].version == 2
    assert current_stages(project)["store"].version == 4


def test_new_gone_and_hand_raised_stages(project: Path) -> None:
    (problem,) = _edit(project, "signal/__init__.py", "STAGE_VERSION = 7\n")
    assert "from version 1 to 7" in problem
    accept(project, ("signal",), "seven")
    (problem,) = _edit(project, "metrics/__init__.py", "STAGE_VERSION: int = 1\n")[:1]
    assert "`metrics` is new" in problem
    (project / "src/megabase/metrics/__init__.py").write_text("")
    (project / "src/megabase/signal/__init__.py").write_text("")
    assert any("`signal` is gone" in problem for problem in unrecorded(project))


@pytest.mark.parametrize(("names", "note"), [(("nothing",), "x"), (("signal",), " "), (("signal",), "a\tb")])
def test_what_cannot_be_recorded_is_refused(project: Path, names: tuple[str, ...], note: str) -> None:
    before = recorded_stages(project)
    with pytest.raises(InputError):
        accept(project, names, note)
    assert recorded_stages(project) == before
