"""What kind of content a file is, by its name: one table, since systems differ in theirs (pure)."""

from __future__ import annotations

import mimetypes
from pathlib import PurePosixPath
from typing import Final

_OWN: Final = {
    ".avif": "image/avif", ".css": "text/css", ".csv": "text/csv", ".flac": "audio/flac", ".gz": "application/gzip",
    ".heic": "image/heic", ".ico": "image/x-icon", ".js": "text/javascript", ".m4a": "audio/mp4",
    ".map": "application/json", ".md": "text/markdown", ".mjs": "text/javascript", ".opus": "audio/ogg",
    ".otf": "font/otf", ".rss": "application/rss+xml",
    ".ts": "video/mp2t", ".ttf": "font/ttf", ".wasm": "application/wasm", ".webm": "video/webm",
    ".webmanifest": "application/manifest+json", ".webp": "image/webp", ".woff": "font/woff", ".woff2": "font/woff2",
    ".xml": "application/xml",
}  # fmt: skip
_KNOWN: Final = {**mimetypes.MimeTypes(filenames=()).types_map[True], **_OWN}
_TEXTS: Final = frozenset({"application/json", "application/manifest+json", "application/xml", "image/svg+xml"})
_PACKABLE: Final = _TEXTS | {
    "application/wasm",
    "application/rss+xml",
    "font/ttf",
    "font/otf",
    "image/x-icon",
    "image/bmp",
}


def content_type(name: str) -> str:
    kind = _KNOWN.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind in _TEXTS else kind


def is_packable(kind: str) -> bool:
    """Whether compression makes such content smaller."""
    bare = kind.partition(";")[0]
    return bare.startswith("text/") or bare in _PACKABLE
