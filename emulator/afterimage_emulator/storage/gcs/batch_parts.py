"""Reads a batch of JSON calls, one request in each part of a multipart/mixed body, and writes the answers (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.wire.http_messages import HttpResponse

CALLS_LIMIT: Final = 1000
_BOUNDARY: Final = re.compile(r""";\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE)
_REQUEST_LINE: Final = re.compile(r"([A-Z]{1,10}) (\S{1,16000})(?: HTTP/[0-9.]{1,5})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchedCall:
    """One call. `content_id` is how some clients match answers; others count."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    content_id: str | None


def read_batch(content_type: str | None, body: bytes) -> list[BatchedCall]:
    """Clients differ: lines may end in LF alone, and neither lengths nor Content-IDs need be there."""
    found = _BOUNDARY.search(content_type or "")
    if not (content_type or "").lower().lstrip().startswith("multipart/mixed") or found is None:
        raise invalid(f"Failed to parse batch request: `{(content_type or '')[:100]}` is no multipart/mixed")
    boundary = (found[1] or found[2]).encode("latin-1", "replace")
    pieces = (b"\n" + body.replace(b"\r\n", b"\n")).split(b"\n--" + boundary)
    calls: list[BatchedCall] = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            break
        if len(calls) >= CALLS_LIMIT:
            raise invalid(f"The batch request holds more than {CALLS_LIMIT} calls; send several")
        calls.append(_call(piece))
    else:
        raise invalid("Failed to parse batch request: the body ends before its closing boundary")
    if not calls:
        raise invalid("Failed to parse batch request: it holds no call")
    return calls


def _call(piece: bytes) -> BatchedCall:
    end, _, part = piece.partition(b"\n")
    if end.strip():
        raise invalid("Failed to parse batch request: a boundary is followed by something else")
    if part.startswith(b"\n"):
        part_head, inside = b"", part[1:]
    else:
        part_head, _, inside = part.partition(b"\n\n")
    of_part = dict(_headers(part_head))
    if not of_part.get("content-type", "application/http").lower().startswith("application/http"):
        raise invalid("Failed to parse batch request: a part is not application/http")
    head, _, body = inside.lstrip(b"\n").partition(b"\n\n")
    line, _, rest = head.partition(b"\n")
    request = _REQUEST_LINE.fullmatch(line.decode("latin-1").strip())
    if request is None:
        raise invalid(f"Failed to parse batch request: `{line[:100].decode('latin-1')}` is no request line")
    try:
        place = urlsplit(request[2])
    except ValueError:
        raise invalid(f"Failed to parse batch request: `{request[2][:100]}` is no address") from None
    return BatchedCall(
        method=request[1],
        path=place.path,
        query=place.query,
        headers=_headers(rest),
        body=body.strip(b"\n"),
        content_id=of_part.get("content-id"),
    )


def _headers(head: bytes) -> tuple[tuple[str, str], ...]:
    found = []
    for line in head.decode("latin-1").split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            found.append((name.strip().lower(), value.strip()))
    return tuple(found)


def write_batch(answers: Sequence[tuple[BatchedCall, HttpResponse]], boundary: str) -> bytes:
    parts: list[bytes] = []
    for call, answer in answers:
        body = answer.body if isinstance(answer.body, bytes) else b""
        head = [f"--{boundary}", "Content-Type: application/http"]
        if call.content_id is not None:
            head.append(f"Content-ID: {_response_id(call.content_id)}")
        head += ["", f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
        head += [f"{name.title()}: {value}" for name, value in (*answer.headers, ("content-length", str(len(body))))]
        parts.append("\r\n".join((*head, "", "")).encode("latin-1", "replace") + body + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def _response_id(content_id: str) -> str:
    inside = content_id.removeprefix("<")
    return f"<response-{inside}" if inside != content_id else f"response-{content_id}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
