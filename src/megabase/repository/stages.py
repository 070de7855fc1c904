"""Which code makes a stage's outputs, and whether it changed since the stage's version was last looked at.

Snakemake reruns a stage when its `STAGE_VERSION` changes. So that nobody forgets it, `resources/stages.tsv` records for
each stage the digest of its code; `tests/repository/test_stage_versions.py` fails when code and record differ.
"""

from __future__ import annotations

import ast
import csv
import dataclasses
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

from megabase.artifacts import write_text
from megabase.errors import InputError

TABLE = "resources/stages.tsv"
_COLUMNS = ("stage", "version", "code", "note")
_HEADER = """\
# The code that each stage's version stands for. Written by `megabase stages accept` and `megabase stages bump`.
# code: digest of the syntax trees of the stage's package and of what it imports from packages that are no stage;
# comments, docstrings and formatting do not count.
"""

# How things are said, checked and written, not what is in them.
_APART = ("artifacts", "cli", "commands", "config", "errors", "logs", "repository", "settings")


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage at one moment."""

    stage: str
    version: int
    code: str
    note: str = ""


def current_stages(root: Path) -> dict[str, Stage]:
    """Every package with a `STAGE_VERSION`, as the code is now."""
    source = root / "src" / "megabase"
    versions = {
        init.parent.name: version for init in sorted(source.glob("*/__init__.py")) if (version := _version(init))
    }
    return {name: Stage(name, version, _digest(name, source, set(versions))) for name, version in versions.items()}


def recorded_stages(root: Path) -> dict[str, Stage]:
    """Every row of the record; none where there is no record yet."""
    table = root / TABLE
    if not table.exists():
        return {}
    lines = [line for line in table.read_text().splitlines() if line and not line.startswith("#")]
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return {row["stage"]: Stage(row["stage"], int(row["version"]), row["code"], row["note"]) for row in rows}


def unrecorded(root: Path) -> list[str]:
    """One line for each stage whose code, version or existence differs from the record, naming the command to run."""
    current, recorded = current_stages(root), recorded_stages(root)
    problems = []
    for name in sorted(current.keys() | recorded.keys()):
        now, then = current.get(name), recorded.get(name)
        if now is None:
            problems.append(f"stage `{name}` is gone: remove its row from {TABLE}")
        elif then is None:
            problems.append(f'stage `{name}` is new: run `megabase stages accept {name} --note "first version"`')
        elif now.version != then.version:
            problems.append(
                f"stage `{name}` went from version {then.version} to {now.version}: "
                f'run `megabase stages accept {name} --note "what changed in its outputs"`'
            )
        elif now.code != then.code:
            problems.append(
                f"the code of stage `{name}` changed. If its outputs change: "
                f'`megabase stages bump {name} --note "what changed"`. If they stay the same: '
                f'`megabase stages accept {name} --note "why they stay the same"`'
            )
    return problems


def accept(root: Path, names: tuple[str, ...], note: str) -> list[Stage]:
    """Records the code of these stages (`all`: of every one that differs) as it is now, and returns the new rows."""
    current, recorded = current_stages(root), recorded_stages(root)
    if not note.strip() or re.search(r"[\t\r\n]", note):
        raise InputError("the note is empty or has tabs or line breaks", where="--note", remedy="give one line of text")
    if names == ("all",):
        names = tuple(name for name, now in current.items() if not _same(now, recorded.get(name)))
    for name in names:
        if name not in current:
            raise InputError(f"no stage `{name}`", where="stages", remedy=f"choose from {', '.join(current)} or all")
    changed = {name: dataclasses.replace(current[name], note=note.strip()) for name in names}
    kept = {name: row for name, row in recorded.items() if name in current}
    _write(root / TABLE, kept | changed)
    return list(changed.values())


def bump(root: Path, names: tuple[str, ...], note: str) -> list[Stage]:
    """Raises the `STAGE_VERSION` of these stages by one, so that they rerun everywhere, and records them."""
    current = current_stages(root)
    for name in names:
        if name not in current:
            raise InputError(f"no stage `{name}`", where="stages", remedy=f"choose from {', '.join(current)}")
        init = root / "src" / "megabase" / name / "__init__.py"
        raised = f"STAGE_VERSION = {current[name].version + 1}"
        write_text(init, re.sub(r"^STAGE_VERSION\b.*=.*\d+", raised, init.read_text(), count=1, flags=re.MULTILINE))
    return accept(root, names, note)


def _same(now: Stage, then: Stage | None) -> bool:
    return then is not None and (now.version, now.code) == (then.version, then.code)


def _write(table: Path, stages: dict[str, Stage]) -> None:
    text = io.StringIO(_HEADER)
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
    writer.writerow(_COLUMNS)
    writer.writerows(dataclasses.astuple(stages[name]) for name in sorted(stages))
    write_text(table, text.getvalue())


def _version(init: Path) -> int | None:
    for statement in ast.parse(init.read_text()).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and _names_version(statement) and statement.value:
            return int(ast.literal_eval(statement.value))
    return None


def _names_version(statement: ast.stmt) -> bool:
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == "STAGE_VERSION" for target in targets)


def _digest(stage: str, source: Path, stages: set[str]) -> str:
    """Code of the stage's package, and of all modules outside any stage that it reaches by imports.

    What it imports from another stage stands upstream: that stage's own version reruns it, and this one after it.
    """
    modules = {
        ".".join(("megabase", *path.relative_to(source).with_suffix("").parts)): path for path in source.rglob("*.py")
    }
    reached: set[str] = set()
    waiting = [name for name in modules if _part(name) == stage]
    while waiting:
        name = waiting.pop()
        counts = not name.endswith(".config") and _part(name) not in _APART and _part(name) not in stages - {stage}
        if counts and name not in reached:
            reached.add(name)
            waiting += _imports(modules[name], name, modules)
    hashed = hashlib.sha256()
    for name in sorted(reached):
        if plain := _plain(ast.parse(modules[name].read_text())):
            hashed.update(f"{name}\n{plain}\n".encode())
    return hashed.hexdigest()[:16]


def _part(module: str) -> str:
    """`megabase.signal.build` -> `signal`; the package itself -> ``."""
    return module.removeprefix("megabase").removeprefix(".").split(".")[0]


def _imports(path: Path, name: str, modules: dict[str, Path]) -> Iterator[str]:
    """The modules of this project that `path` names in its imports, wherever in the file they stand."""
    package = name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            named = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for target in named:
            for module in (target, f"{target}.__init__"):
                if module in modules and module != "megabase.__init__":
                    yield module


def _plain(tree: ast.Module) -> str:
    """The tree as text that is the same in every Python version: no positions, no empty fields, no docstrings.

    Empty for a file that holds nothing else than its version and docstrings.
    """
    tree.body = [statement for statement in tree.body if not _names_version(statement)]
    return _node(tree) if any(not _is_text(statement) for statement in tree.body) else ""


def _node(value: object) -> str:
    if isinstance(value, list):
        return f"[{','.join(_node(item) for item in value if not _is_text(item))}]"
    if isinstance(value, ast.AST):
        fields = [(name, child) for name, child in ast.iter_fields(value) if child is not None and child != []]
        kept = [(name, child) for name, child in fields if name not in ("ctx", "kind", "type_comment")]
        return f"{type(value).__name__}({','.join(f'{name}={_node(child)}' for name, child in kept)})"
    return repr(value)


def _is_text(statement: object) -> bool:
    """A string that stands alone: a docstring."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
