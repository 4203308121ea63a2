"""Finds the handler of an HTTP request by its method and its percent-encoded path.

Patterns are written `/v1/projects/{project}/topics/{topic}:publish`; `{name}` takes one segment, `{name=**}` the rest.
Parameters arrive percent-decoded, so a `%2F` inside a name stays inside it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse
from afterimage_emulator.wire.observers import ToldOnce
from afterimage_emulator.wire.offered import Offered

_PARAMETER = re.compile(r"\{(\w+)(=\*\*)?\}")


@dataclass(frozen=True, slots=True)
class Refusing:
    """A handler that only says no, and why: the table of routes tells it too."""

    reason: str
    answer: HttpHandler

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        return await self.answer(request)


class Router:
    """Routes in the order they were added: the first that fits answers, so literal routes go first."""

    def __init__(self) -> None:
        self._routes: list[tuple[frozenset[str], str, HttpHandler]] = []
        self._offered: list[Offered] = []
        self._told = ToldOnce()

    def add(self, methods: str, pattern: str, handler: HttpHandler, *, differs: str = "") -> None:
        """`methods` is one verb or several with spaces between, `*` for any; see `Refusing` for what only says no.

        `differs` says in what the answer is not production's.
        """
        refused = handler.reason if isinstance(handler, Refusing) else ""
        self._routes.append((frozenset(methods.split()), pattern, handler))
        self._offered.append(Offered(wire="HTTP", name=f"{methods} {pattern}", refused=refused, differs=differs))

    def offered(self) -> Sequence[Offered]:
        """The table, for whoever asks what there is."""
        return self._offered

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        allowed: set[str] = set()
        for methods, pattern, handler in self._routes:
            matched = _compiled(pattern).fullmatch(request.raw_path)
            if matched is None:
                continue
            if "*" in methods or request.method in methods or (request.method == "HEAD" and "GET" in methods):
                request.params = {name: _decode(value) for name, value in matched.groupdict().items()}
                return await handler(request)
            allowed |= methods
        if allowed:
            return HttpResponse(405, [("allow", ", ".join(sorted(allowed)))])
        self._told.tell(
            (request.method, tuple(request.raw_path.split("/", 4)[:4])),  # of addresses with ids in them, the first
            f"nothing here answers `{request.method} {request.raw_path[:200]}`; look at the port and the path, or at "
            "what `afterimage-emulator capabilities` lists",
        )
        raise StatusError(Code.NOT_FOUND, f"no route for `{request.method} {request.raw_path}`")


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Made when a request first comes by it: a suite that starts has dozens of routes, and most are never asked."""
    parts: list[str] = []
    position = 0
    for parameter in _PARAMETER.finditer(pattern):
        parts.append(re.escape(pattern[position : parameter.start()]))
        parts.append(f"(?P<{parameter[1]}>{'.*' if parameter[2] else '[^/]+?'})")
        position = parameter.end()
    parts.append(re.escape(pattern[position:]))
    return re.compile("".join(parts), re.DOTALL)


def _decode(value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise StatusError(
            Code.INVALID_ARGUMENT, f"`{value}` in the path is not UTF-8 after percent-decoding"
        ) from error
