"""Which route a method and a path mean: literal segments before names, and what is allowed where a method is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from afterimage.api.errors import ApiError, ErrorCode
from afterimage.api.routes import Route

IDENTIFIER: Final = r"[A-Za-z0-9-][A-Za-z0-9_-]{0,127}"
"""What stands in a path for a name: nothing that could be read as another path, or that Firestore keeps to itself."""
_IDENTIFIER: Final = re.compile(IDENTIFIER)


class TableError(ValueError):
    """The table of routes contradicts itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Matched:
    """A route and what its names stand for in this path."""

    route: Route
    path: Mapping[str, str]


class RouteTable:
    """All routes; refuses to be made of rows that mean the same requests."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._by_length: dict[int, list[tuple[tuple[str, ...], dict[str, Route]]]] = {}
        for route in self.routes:
            self._enter(route)
        for shapes in self._by_length.values():
            # A literal segment sorts before a name, from the left.
            shapes.sort(key=lambda entry: tuple((part.startswith("{"), part) for part in entry[0]))

    def match(self, method: str, path: str) -> Matched:
        """The route of a request; or the ApiError that says what is there instead."""
        segments = _segments(path)
        wanted = "GET" if method == "HEAD" else method
        allowed: set[str] = set()
        for shape, methods in self._by_length.get(len(segments), ()):
            names = _names(shape, segments)
            if names is None:
                continue
            if wanted in methods:
                return Matched(route=methods[wanted], path=names)
            allowed |= set(methods)
        if allowed:
            listed = ", ".join(sorted(allowed | ({"HEAD"} if "GET" in allowed else set()) | {"OPTIONS"}))
            raise ApiError(
                ErrorCode.METHOD_NOT_ALLOWED,
                f"`{method[:32]}` is not served here",
                f"this path serves {listed}",
                headers={"Allow": listed},
            )
        raise ApiError(ErrorCode.NOT_FOUND, "there is no such path", "/docs lists every path that is served")

    def methods_at(self, path: str) -> frozenset[str]:
        """What a preflight is told."""
        segments = _segments(path)
        shapes = self._by_length.get(len(segments), ())
        return frozenset(
            method for shape, methods in shapes if _names(shape, segments) is not None for method in methods
        )

    def _enter(self, route: Route) -> None:
        shape = tuple(_segments(route.path))
        shapes = self._by_length.setdefault(len(shape), [])
        for other, methods in shapes:
            alike = all(a == b or (a[:1] == "{" and b[:1] == "{") for a, b in zip(shape, other, strict=True))
            if alike and route.method in methods:
                raise TableError(f"`{route.method} {route.path}` is in the table twice")
            if other == shape:
                methods[route.method] = route
                return
        shapes.append((shape, {route.method: route}))


def _segments(path: str) -> list[str]:
    """The parts of a path; one slash at its end means nothing."""
    return path.removeprefix("/").removesuffix("/").split("/")


def _names(shape: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for part, segment in zip(shape, segments, strict=True):
        if part.startswith("{"):
            if _IDENTIFIER.fullmatch(segment) is None:
                return None
            found[part[1:-1]] = segment
        elif part != segment:
            return None
    return found
