"""Search and object pages as ENCODE and 4DN both have them: the same software runs both portals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from megabase.simulate.portals.messages import Request, Response, as_json, text

Item = dict[str, Any]
_CONTROLS = ("type", "format", "limit", "from", "field", "frame", "sort", "searchTerm", "datastore", "soft")
"""Query keys that say what to answer, and filter nothing but the type."""
_PAGE = 25
"""Hits of a search that names no limit."""


def wants_json(request: Request) -> bool:
    """Whether a request asks for JSON; people with browsers get a page."""
    return request.first("format") == "json" or "application/json" in request.headers.get("accept", "")


def search(request: Request, items: Iterable[Item]) -> Response:
    """`/search/`: repeated keys mean any of them, `key!=value` none of them, `*` any value at all.

    No hits are a 404 whose body is still the JSON of a search.
    """
    hits = [item for item in items if _matches(item, request)]
    first, limit = int(request.first("from") or 0), request.first("limit")
    shown = hits[first:] if limit == "all" else hits[first : first + int(limit or _PAGE)]
    fields = [value for key, value in request.query if key == "field"]
    graph = [_subset(item, fields) if fields else item for item in shown]
    found = {
        "@type": ["Search"],
        "@graph": graph,
        "total": len(hits),
        "facets": [],
        "notification": "Success" if hits else "No results found",
    }
    return _reply(request, found, 200 if hits else 404)


def item_page(request: Request, item: Item | None) -> Response:
    """The page of one object."""
    if item is None:
        missing = {
            "@type": ["HTTPNotFound", "Error"],
            "status": "error",
            "code": 404,
            "title": "Not Found",
            "description": "The resource could not be found.",
            "detail": request.path,
        }
        return as_json(missing, 404)
    return _reply(request, item, 200)


def _reply(request: Request, value: Item, status: int) -> Response:
    if wants_json(request):
        return as_json(value, status)
    return text(f"<!DOCTYPE html><html><body><pre>{json.dumps(value)}</pre></body></html>\n", "text/html", status)


def values(item: Any, dotted: str) -> Iterator[str]:
    """Everything at a dotted path, through lists, as search terms."""
    if isinstance(item, list):
        for one in item:
            yield from values(one, dotted)
    elif not dotted:
        if item is not None and not isinstance(item, Mapping):
            yield str(item).lower() if isinstance(item, bool) else str(item)
        elif isinstance(item, Mapping) and item:
            yield str(item.get("@id", "object"))
    elif isinstance(item, Mapping):
        head, _, rest = dotted.partition(".")
        if head in item:
            yield from values(item[head], rest)


def _matches(item: Item, request: Request) -> bool:
    types = {value for key, value in request.query if key == "type"}
    if types and not types & {*item["@type"], "*"}:
        return False
    wanted: dict[str, set[str]] = {}
    for key, value in request.query:
        if key.removesuffix("!") not in _CONTROLS:
            wanted.setdefault(key, set()).add(value)
    for key, asked in wanted.items():
        found = set(values(item, key.removesuffix("!")))
        hit = bool(found) if "*" in asked else bool(found & asked)
        if hit == key.endswith("!"):
            return False
    return True


def _subset(item: Item, fields: Iterable[str]) -> Item:
    """The item with the named fields only, which may be dotted; `@id` and `@type` are always there."""
    kept: Item = {}
    for field in ("@id", "@type", *fields):
        _keep(item, field, kept)
    return kept


def _keep(item: Item, dotted: str, kept: Item) -> None:
    head, _, rest = dotted.partition(".")
    if head not in item:
        return
    value = item[head]
    if not rest:
        kept[head] = value
    elif isinstance(value, Mapping):
        _keep(dict(value), rest, kept.setdefault(head, {}))
    elif isinstance(value, list):
        parts = kept.setdefault(head, [{} for _ in value])
        for one, part in zip(value, parts, strict=True):
            if isinstance(one, Mapping):
                _keep(dict(one), rest, part)
