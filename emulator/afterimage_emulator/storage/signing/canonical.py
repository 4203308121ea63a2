"""What exactly is signed: V4's canonical request and V2's string, rebuilt from a request as it arrived (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlencode

from afterimage_emulator.wire.http_messages import Headers

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
_UNRESERVED: Final = "-_.~"


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedRequest:
    """A request as the client wrote it, before anything was made of its host or path.

    `bucket` is set where the host names it; the path is then the object's alone.
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Headers
    bucket: str | None = None


def read_query(raw_query: str) -> list[tuple[str, str]]:
    """Names and values, percent-decoded; a plus stays a plus, as those who sign write spaces as %20."""
    pairs = (piece.partition("=") for piece in raw_query.split("&") if piece)
    return [(_decoded(name), _decoded(value)) for name, _, value in pairs]


def canonical_request(request: SignedRequest, *, signed_headers: Sequence[str], signature: str, host: str) -> str:
    """`signature` is the name of the parameter that is left out; `host` stands for the Host header's value."""
    lines = {name: host if name == "host" else header_value(request.headers, name) for name in signed_headers}
    payload = lines.get("x-goog-content-sha256") or lines.get("x-amz-content-sha256") or UNSIGNED_PAYLOAD
    return "\n".join(
        (
            request.method,
            canonical_path(request.path),
            canonical_query(pair for pair in request.query if pair[0].lower() != signature),
            "".join(f"{name}:{lines[name]}\n" for name in signed_headers),
            ";".join(signed_headers),
            payload,
        )
    )


def string_to_sign_v4(canonical: str, *, algorithm: str, date: str, scope: str) -> str:
    return "\n".join((algorithm, date, scope, hashlib.sha256(wire_bytes(canonical)).hexdigest()))


def strings_to_sign_v2(request: SignedRequest, *, expires: str) -> list[str]:
    """All that SDKs make of one request: they differ in the resource and in where `x-goog-resumable` stands.

    The first is the documented one; it is what a refusal shows.
    """
    headers = request.headers
    names = sorted({name for name, _ in headers.items() if name.startswith("x-goog-") and name not in _UNSIGNED_IN_V2})
    last = [name for name in names if name != "x-goog-resumable"] + ["x-goog-resumable"]
    orders = [names] if "x-goog-resumable" not in names or names == last else [names, last]
    head = [request.method, headers.get("content-md5") or "", headers.get("content-type") or "", expires]
    return [
        "\n".join((*head, *(f"{name}:{header_value(headers, name)}" for name in order), resource))
        for order in orders
        for resource in _resources_v2(request)
    ]


_UNSIGNED_IN_V2: Final = frozenset({"x-goog-encryption-key", "x-goog-encryption-key-sha256"})
_PARAMETERS_OF_V2: Final = frozenset({"googleaccessid", "expires", "signature"})
_NEVER_SIGNED_IN_V2: Final = ("response-content-type", "response-content-disposition", "generation")


def _resources_v2(request: SignedRequest) -> list[str]:
    """Path style, as documented; without the bucket, as Python signs what a host names; with the further parameters."""
    path = canonical_path(request.path)
    paths = [path] if request.bucket is None else [f"/{request.bucket}{path}", path]
    further = sorted((name.lower(), value.strip()) for name, value in request.query if is_further_v2(name))
    if further:
        paths += [f"{one}?{urlencode(further)}" for one in paths]
    return paths


def is_further_v2(name: str) -> bool:
    """Whether a parameter of a V2 URL is the client's own."""
    return name.lower() not in _PARAMETERS_OF_V2 and name.lower() not in _NEVER_SIGNED_IN_V2


def canonical_path(path: str) -> str:
    """Every byte but unreserved ones and slashes is percent-encoded, however the client wrote it."""
    return "/".join(quote(unquote_to_bytes(_wire_text(segment)), safe=_UNRESERVED) for segment in path.split("/"))


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    encoded = sorted((_encoded(name), _encoded(value)) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def header_value(headers: Headers, name: str) -> str:
    """Repeated headers are joined by commas; white space is trimmed, and runs of it are one space."""
    return ",".join(" ".join(value.split()) for value in headers.all(name))


def wire_bytes(text: str) -> bytes:
    """Header values are bytes read as latin-1; all else that is signed is ASCII."""
    return text.encode("latin-1", "replace")


def parameters(query: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    """By lower-case name: gsutil writes them in lower case, the SDKs do not."""
    found: dict[str, list[str]] = {}
    for name, value in query:
        found.setdefault(name.lower(), []).append(value)
    return found


def _encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe=_UNRESERVED)


def _decoded(text: str) -> str:
    return unquote_to_bytes(_wire_text(text)).decode("utf-8", "surrogateescape")


def _wire_text(text: str) -> bytes:
    return text.encode("latin-1", "replace")
