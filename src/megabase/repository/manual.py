"""The tables of `config/README.md`: one row per key, from the settings dataclasses and their docstrings."""

from __future__ import annotations

import json
import re
from typing import Any

from megabase.errors import InputError
from megabase.repository.schemas import config_schema

_TABLE = re.compile(r"(<!-- keys of (\w+) -->\n).*?(<!-- end of keys -->)", re.DOTALL)


def filled(manual: str, where: object) -> str:
    """`manual` with every table between `<!-- keys of SECTION -->` and `<!-- end of keys -->` written anew.

    SECTION is the name of a settings dataclass. Raises InputError for one that does not exist, and for one that has no
    table.
    """
    schema = config_schema()
    sections = {"Config": schema, **schema["$defs"]}
    shown = [name for _, name, _ in _TABLE.findall(manual)]
    for name in shown:
        if name not in sections:
            raise InputError(f"no settings `{name}`", where=where, remedy=f"choose from {', '.join(sections)}")
    if missing := [name for name in sections if name not in shown]:
        marks = f"`<!-- keys of {missing[0]} -->` and `<!-- end of keys -->`"
        raise InputError(f"no table of {', '.join(missing)}", where=where, remedy=f"add a section with {marks}")
    return _TABLE.sub(lambda found: f"{found[1]}{_table(sections[found[2]], sections)}{found[3]}", manual)


def _table(section: dict[str, Any], sections: dict[str, Any]) -> str:
    required = section.get("required", [])
    rows = ["| key | value | default | what it is |", "|---|---|---|---|"]
    for key, field in section["properties"].items():
        default = "required" if key in required else _default(field)
        rows.append(f"| `{key}` | {_allowed(field)} | {default} | {_cell(description(field, sections))} |")
    return "\n".join(rows) + "\n"


def description(field: dict[str, Any], sections: dict[str, Any]) -> str:
    """What a key is: its own words, or those of the section it holds where pydantic found them to be the same."""
    return field.get("description") or sections.get(_section(field), {}).get("description", "")


def _section(field: dict[str, Any]) -> str:
    return field.get("$ref", "").rsplit("/", 1)[-1]


def _default(field: dict[str, Any]) -> str:
    if "default" not in field or "$ref" in field:
        return ""
    default = field["default"]
    if default is None:
        return "none"
    if isinstance(default, int | float) and not isinstance(default, bool):
        return f"{default:,}" if isinstance(default, int) else f"{default:g}"
    if default == "":
        return "empty"
    if _section(field.get("additionalProperties") or {}):
        return ", ".join(f"`{name}`" for name in default) or "`{}`"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _allowed(field: dict[str, Any]) -> str:
    """What a key may hold, in words: `integer, from 1`, `one of a, b`, `list of text`."""
    if section := _section(field):
        return f"`{section}`"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_allowed(option) for option in field["anyOf"]))
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" if value else "empty" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    match field.get("type"):
        case "array" if "prefixItems" in field:
            return "list: " + ", ".join(_allowed(item) for item in field["prefixItems"])
        case "array":
            return f"list of {_allowed(field.get('items', {}))}"
        case "object":
            named = field.get("patternProperties") or {"": field.get("additionalProperties", {})}
            return f"names to {' or '.join(_allowed(values) for values in named.values())}"
        case "null":
            return "nothing"
        case "string":
            return "text"
        case "boolean":
            return "true or false"
        case kind:
            return _number(kind or "anything", field)


def _number(kind: str, field: dict[str, Any]) -> str:
    words = [kind]
    for bound, word in (
        ("minimum", "from"),
        ("exclusiveMinimum", "above"),
        ("maximum", "to"),
        ("exclusiveMaximum", "below"),
        ("multipleOf", "multiple of"),
    ):
        if bound in field:
            words.append(f"{word} {field[bound]:g}")
    return " ".join(words)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
