"""What an HTTP request and an HTTP response look like to a service, whatever carried them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import parse_qsl

from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.turns import elsewhere
from afterimage_emulator.wire.link_free_files import open_below

DEFAULT_BODY_LIMIT_BYTES = 16 * 1024 * 1024
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Headers:
    """Header fields in their order; names compare without case. Values are str, decoded as latin-1."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = [(name.lower(), value) for name, value in items]

    def get(self, name: str, default: str | None = None) -> str | None:
        wanted = name.lower()
        for key, value in self._items:
            if key == wanted:
                return value
        return default

    def all(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for key, value in self._items if key == wanted]

    def items(self) -> Sequence[tuple[str, str]]:
        return self._items

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __repr__(self) -> str:
        return f"Headers({self._items!r})"


class Body(Protocol):
    """A request's body as it arrives. Reading is what lets the client send more: unread bytes stay in the socket.

    Iterating raises `StatusError(CANCELLED)` when the client goes away before the body's end, and
    `StatusError(DEADLINE_EXCEEDED)` when it stalls for longer than the server's patience.
    """

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def read(self, limit_bytes: int = DEFAULT_BODY_LIMIT_BYTES) -> bytes:
        """The whole body; more than the limit raises `StatusError(RESOURCE_EXHAUSTED)`."""
        ...


def _refuse_constant(name: str) -> object:
    """NaN and infinities are Python's own: no answer that repeats them would be JSON."""
    raise ValueError(f"`{name}` is no JSON number")


@dataclass(slots=True)
class HttpRequest:
    """One request. `raw_path` is still percent-encoded: only the route knows which slashes belong to a name."""

    method: str
    raw_path: str
    raw_query: str
    headers: Headers
    body: Body
    peer: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    """What the router took from the path, percent-decoded."""
    version_1_0: bool = False
    keep_alive: bool = True

    read_bytes: int = 0
    """How long the text was that `json` has read."""

    _query: dict[str, list[str]] | None = None

    @property
    def query(self) -> dict[str, list[str]]:
        if self._query is None:
            self._query = {}
            for key, value in parse_qsl(self.raw_query, keep_blank_values=True):
                self._query.setdefault(key, []).append(value)
        return self._query

    def query_value(self, name: str) -> str | None:
        values = self.query.get(name)
        return values[-1] if values else None

    async def json(self, limit_bytes: int = DEFAULT_BODY_LIMIT_BYTES) -> Any:
        """The body as JSON; an empty body is None, a broken one INVALID_ARGUMENT naming the place."""
        raw = await self.body.read(limit_bytes)
        if not raw:
            return None
        self.read_bytes = len(raw)
        try:
            return await elsewhere(len(raw), _value_of, raw)
        except UnicodeEncodeError:
            raise StatusError(
                Code.INVALID_ARGUMENT, "the request body is not JSON: a string holds half of a surrogate pair"
            ) from None
        except (ValueError, RecursionError) as error:
            raise StatusError(Code.INVALID_ARGUMENT, f"the request body is not JSON: {error}") from error


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A response body read straight from a file: `length` bytes from `offset`.

    Below `folder`, where one is given, no link is followed.
    """

    path: Path
    offset: int
    length: int
    folder: Path | None = None

    def opened(self) -> BinaryIO:
        return self.path.open("rb") if self.folder is None else open_below(self.folder, self.path)


@dataclass(slots=True)
class HttpResponse:
    """One response. The server adds content-length (or chunks), date and connection headers itself.

    For a HEAD request give the same response as for GET: the server sends its headers alone.
    """

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | FileSlice | AsyncIterator[bytes] = b""

    def with_header(self, name: str, value: str) -> HttpResponse:
        self.headers.append((name, value))
        return self


class ConnectionCutError(Exception):
    """Raised instead of an answer, or in the midst of one, to end the connection as a broken network would."""

    def __init__(self, *, resets: bool = False) -> None:
        """`resets`: what was sent and not read yet is lost too."""
        super().__init__("the connection is cut on purpose")
        self.resets = resets


HttpHandler = Callable[[HttpRequest], Awaitable[HttpResponse]]


def _value_of(raw: bytes) -> Any:
    text = raw.decode("utf-8-sig")
    value = json.loads(text, parse_constant=_refuse_constant)
    if _SURROGATE.search(text):  # half of a pair has no UTF-8: it could neither be stored nor answered
        json.dumps(value, ensure_ascii=False).encode()
    return value


def is_read(request: HttpRequest) -> bool:
    """Whether it asks for something and is not to change anything."""
    return request.method in _READS


def json_response(value: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> HttpResponse:
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return HttpResponse(status, [("content-type", "application/json; charset=UTF-8"), *headers], body)


def text_response(text: str, status: int = 200) -> HttpResponse:
    return HttpResponse(status, [("content-type", "text/plain; charset=utf-8")], text.encode())
