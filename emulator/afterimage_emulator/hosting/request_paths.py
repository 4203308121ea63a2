"""Reads the path of a request once: the names of folders and file, and the text that globs are asked about (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from afterimage_emulator.status import Code, StatusError

_SLASHES: Final = re.compile(r"[/\\]+")
_SEPARATING: Final = re.compile(r"(%(?:2[346bcfBCF]|3[abdfABDF]|40))")
"""Encoded signs that would mean something else if they were decoded: a `%2F` is no slash."""
_HALF_ENCODED: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AS_THEY_ARE: Final = "/;?:@&=+$,#!~*'()%-._"


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestPath:
    parts: tuple[str, ...]
    """As they were sent, still encoded: what redirects lead back to."""
    names: tuple[str, ...] | None
    """Decoded; None where this can be the path of no file."""
    has_slash: bool
    """Whether it ends with one."""
    text: str
    """Decoded, but for encoded signs that separate, and with one slash where several stood."""

    @property
    def location(self) -> str:
        """The path without its last slash."""
        return "/" + "/".join(self.parts)


def read_path(raw: str) -> RequestPath:
    """Raises `StatusError(INVALID_ARGUMENT)` for what no browser sends."""
    if not raw.startswith("/"):  # `OPTIONS *`, or the absolute form that proxies are sent
        raise StatusError(Code.INVALID_ARGUMENT, f"`{raw[:100]}` is no path of a site: begin it with a slash")
    parts = tuple(part for part in raw.split("/") if part)
    pieces = _SEPARATING.split(raw)
    text = "".join(piece if at % 2 else _decoded(piece) for at, piece in enumerate(pieces))
    return RequestPath(
        parts=parts,
        names=file_names(tuple(_decoded(part) for part in parts)),
        has_slash=raw.endswith("/"),
        text=_SLASHES.sub("/", text),
    )


def file_names(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """The same, unless one of them leads somewhere else or cannot be a name."""
    impossible = any(name in ("", ".", "..") or any(sign in name for sign in "/\\\0") for name in names)
    return None if impossible else names


def encoded(location: str) -> str:
    """An address as a header carries it; what is encoded already stays so."""
    return quote(location, safe=_AS_THEY_ARE)


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    if _HALF_ENCODED.search(text):
        raise StatusError(Code.INVALID_ARGUMENT, f"`{text[:100]}` in the path has a `%` without its two digits")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise StatusError(
            Code.INVALID_ARGUMENT, f"`{text[:100]}` in the path is not UTF-8 after percent-decoding"
        ) from None
