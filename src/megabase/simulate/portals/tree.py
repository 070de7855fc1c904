"""A tree of static files: what FANTOM5, recount3 and the references are on the web."""

from __future__ import annotations

import base64
import html
import urllib.parse
from pathlib import Path

from megabase.simulate.catalog import Catalogue
from megabase.simulate.portals.messages import Request, Response, file_response, not_found, redirect, text

DAY = "2021-03-04"
"""Last change of every static file."""


class Tree:
    """Files and made-up texts by path; `listed` trees also show what is in a directory."""

    def __init__(self, catalogue: Catalogue, prefix: str, listed: bool) -> None:
        self.catalogue, self.prefix, self.listed = catalogue, prefix, listed
        self.files: dict[str, Path | str] = {}

    def __call__(self, request: Request) -> Response:
        found = self.files.get(request.path)
        if isinstance(found, Path):
            md5 = self.catalogue.md5(found)
            extra = {"x-goog-hash": f"md5={base64.b64encode(bytes.fromhex(md5)).decode()}"}
            return file_response(request, found, f'"{found.stat().st_size:x}-{md5[:12]}"', DAY, extra)
        if found is not None:
            return text(found)
        folder = request.path.rstrip("/") + "/"
        if self.listed and any(path.startswith(folder) for path in self.files):
            if not request.path.endswith("/"):
                return redirect(f"{request.origin}/{self.prefix}{urllib.parse.quote(folder)}", 301)
            return text(self._listing(folder), "text/html")
        return not_found(request.path)

    def _listing(self, folder: str) -> str:
        """A directory as Apache shows it: names as they are on disk, links percent-encoded (again, where they are)."""
        below = [path.removeprefix(folder) for path in self.files if path.startswith(folder)]
        names = sorted({name.split("/")[0] + "/" * ("/" in name) for name in below})
        rows = [
            '<tr><td valign="top"><img src="/icons/unknown.gif" alt="[   ]"></td>'
            f'<td><a href="{urllib.parse.quote(name)}">{html.escape(_shortened(name))}</a></td>'
            f'<td align="right">{DAY} 00:00  </td><td align="right">{self._size(folder + name)}</td></tr>'
            for name in names
        ]
        head = "".join(
            f'<th><a href="?C={column};O={order}">{title}</a></th>'
            for column, order, title in (("N", "D", "Name"), ("M", "A", "Last modified"), ("S", "A", "Size"))
        )
        parent = folder.rstrip("/").rsplit("/", 1)[0]
        up = f'<tr><td></td><td><a href="/{self.prefix}{urllib.parse.quote(parent)}/">Parent Directory</a></td></tr>'
        title = f"Index of /{self.prefix}{html.escape(folder.rstrip('/'))}"
        return (
            '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">\n'
            f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n<h1>{title}</h1>\n<table>\n"
            f"<tr><th>&nbsp;</th>{head}</tr>\n{up}\n" + "\n".join(rows) + "\n</table>\n</body></html>\n"
        )

    def _size(self, path: str) -> str:
        found = self.files.get(path)
        if found is None:
            return "  - "
        size = found.stat().st_size if isinstance(found, Path) else len(found.encode())
        return str(size) if size < 1024 else f"{size / 1024:.1f}K"


def _shortened(name: str, width: int = 50) -> str:
    """What Apache shows of a long name: only the link has all of it."""
    return name if len(name) <= width else f"{name[: width - 3]}..>"
