"""The table of routes for people: the rows in docs/api.md, and a page that a browser shows without any network."""

from __future__ import annotations

import html
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from afterimage.api.dispatch import RouteTable
from afterimage.api.errors import STATUS_OF
from afterimage.api.routes import AppCheck, Route

BEGIN: Final = "<!-- the table of routes, written by `python -m afterimage.api docs` -->"
END: Final = "<!-- the end of the table of routes -->"
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1f;"
    "background:#fff}code{font:14px ui-monospace,monospace;background:#f1f1f4;padding:.1em .3em;border-radius:.2em}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.4rem .6rem;"
    "border-bottom:1px solid #ddd}@media(prefers-color-scheme:dark){body{background:#16161a;color:#e6e6ea}"
    "code{background:#26262c}td,th{border-color:#333}}"
)


def markdown_of(table: RouteTable) -> str:
    """The rows of docs/api.md, room by room."""
    lines = [BEGIN]
    for room, routes in _rooms(table):
        lines += ["", f"### {room}", "", "| route | what | who | App Check | answers |", "|---|---|---|---|---|"]
        lines += [f"| `{route.method} {route.path}` | {route.summary} | {_who(route)} |" for route in routes]
    return "\n".join([*lines, "", END])


def with_routes(page: str, table: RouteTable) -> str:
    """A page of documentation with the rows between its two marks written anew."""
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError("the page has no marks to write the table between")
    return before + markdown_of(table) + after


def page_of(table: RouteTable) -> str:
    """A page of HTML that loads nothing."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Afterimage: the API</title><style>{_STYLE}</style><h1>The API</h1>",
        "<p>Machines read <a href=openapi.json>openapi.json</a>. Errors have one shape: ",
        "<code>{success, error, detail, code}</code>.</p>",
    ]
    for room, routes in _rooms(table):
        parts.append(f"<h2>{html.escape(room)}</h2><table><tr><th>route<th>what<th>who<th>App Check<th>answers</tr>")
        for route in routes:
            cells = [f"`{route.method} {route.path}`", route.summary, *_who(route).split(" | ")]
            parts.append("<tr>" + "".join(f"<td>{_with_code(cell)}" for cell in cells) + "</tr>")
        parts.append("</table>")
    return "".join(parts)


def _rooms(table: RouteTable) -> Iterator[tuple[str, list[Route]]]:
    for room, routes in groupby(sorted(table.routes, key=lambda route: route.room), key=lambda route: route.room):
        yield room, list(routes)


def _who(route: Route) -> str:
    checked = {AppCheck.EXEMPT: "no", AppCheck.REQUIRED: "yes", AppCheck.CONSUMED: "consumed"}[route.app_check]
    statuses = sorted({STATUS_OF[code] for code in route.all_refusals})
    return f"{route.access.value} | {checked} | {route.status}; " + " ".join(map(str, statuses))


def _with_code(text: str) -> str:
    pieces = html.escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))
