"""Which files may be kept: pictures, films, sounds, documents and code. Judged by name first, then by the bytes. Pure.

The bytes decide. A name or a declared type only has to agree with them, and lets some files be refused before any byte
travels. Markup (HTML, XML, SVG) is kept as source text: it is never served as something that a browser would run.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from afterimage.artifacts.refusals import RefusalKind, RefusedError
from afterimage.media.inspection.inspect import is_mismatch
from afterimage.media.inspection.signatures import HEAD_BYTES, FileType, Kind, identify

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
PACKABLE: Final = frozenset({TEXT, JSON, "image/bmp", "image/tiff", "audio/wav", "application/x-tar"})
"""Types that packing makes clearly smaller; everything else is packed already by its own format."""

_BINARY: Final[Mapping[str, str]] = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "avif": "image/avif", "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff", "heic": "image/heic",
    "psd": "image/vnd.adobe.photoshop", "ico": "image/x-icon", "jxl": "image/jxl",
    "mp4": "video/mp4", "m4v": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "mkv": "video/webm",
    "avi": "video/x-msvideo", "3gp": "video/3gpp", "ogv": "video/ogg",
    "mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac", "m4a": "audio/mp4", "opus": "audio/opus",
    "oga": "audio/ogg",
    "pdf": "application/pdf", "zip": "application/zip", "docx": "application/zip", "xlsx": "application/zip",
    "pptx": "application/zip", "odt": "application/zip", "ods": "application/zip", "odp": "application/zip",
    "epub": "application/zip", "gz": "application/gzip", "tgz": "application/gzip", "tar": "application/x-tar",
    "7z": "application/x-7z-compressed",
}  # fmt: skip
"""What the bytes behind an extension have to be; an extension that is not here promises text."""
_RUNS: Final = frozenset({
    "exe", "dll", "msi", "com", "scr", "sys", "so", "dylib", "elf", "bin", "apk", "ipa", "app", "deb", "rpm", "dmg",
    "iso", "img", "jar", "class", "o", "a", "wasm",
})  # fmt: skip
_NEVER: Final = frozenset({"application/x-executable", "application/vnd.microsoft.portable-executable"})
_MARKUP: Final = frozenset({"image/svg+xml", "text/html", "application/xml", "text/x-script"})
_MARKUP_NAMES: Final = frozenset({"svg", "html", "htm", "xhtml", "xml"})
_DECLARED_KINDS: Final = ("image/", "video/", "audio/", "text/")
_DECLARED: Final = frozenset(_BINARY.values()) | {
    JSON, "application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded",
    "application/xml", "application/javascript", "application/x-javascript",
    "application/ecmascript", "application/yaml", "application/toml", "application/x-yaml", "application/sql",
    "application/typescript", "application/x-sh", "application/x-python", "application/x-httpd-php",
    "application/xhtml+xml", "application/x-gzip", "application/ogg", "application/epub+zip", "application/rtf",
    "application/msword", "application/x-ndjson", "application/ld+json", "application/geo+json",
}  # fmt: skip
_OFFICE: Final = ("application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument.")


@dataclass(kw_only=True)
class TextReader:
    """Reads bytes piece by piece, and says in the end whether all of them were text."""

    is_text: bool = True

    def __post_init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def take(self, piece: bytes, *, is_last: bool = False) -> None:
        if not self.is_text:
            return
        try:
            self._decoder.decode(piece, is_last)
        except UnicodeDecodeError:
            self.is_text = False
            return
        if b"\0" in piece:
            self.is_text = False


def refuse_by_name(name: str, declared_type: str) -> None:
    """Refuses what can be known before any byte has come."""
    extension = _extension(name)
    if extension in _RUNS:
        raise _refused(f"`{name}` would be a program: pictures, films, sounds, documents and code are kept")
    declared = declared_type.partition(";")[0].strip().lower()
    if not declared:
        return
    known = declared in _DECLARED or declared.startswith((*_DECLARED_KINDS, *_OFFICE))
    if not known:
        raise _refused(f"`{declared[:80]}` is no type that is kept: pictures, films, sounds, documents and code are")
    if declared == "image/svg+xml" and extension != "svg":
        raise _refused(f"`{name}` is declared a drawing: name it `.svg`, then it is kept as source text")
    expected = _BINARY.get(extension)
    if expected and declared.startswith(("image/", "video/", "audio/")) and _main(declared) != _main(expected):
        raise _refused(f"`{name}` is declared `{declared}`, but its name says `{expected}`: let both say the same")


def declared_or_named(name: str, declared_type: str) -> str:
    """The type that a file's bytes are sent under; it decides nothing."""
    return declared_type or _BINARY.get(_extension(name), "application/octet-stream")


def kept_type(name: str, declared_type: str, head: bytes, *, is_text: bool) -> str:
    """The type that a content is kept under, or a refusal. `head` is its beginning, `is_text` about all of it."""
    found = identify(head[:HEAD_BYTES])
    if found.content_type in _NEVER:
        raise _refused(f"`{name}` is a program ({found.content_type}), which is not kept")
    extension = _extension(name)
    expected = _BINARY.get(extension)
    if _is_source(found) and is_text:
        if expected or _declares_media(declared_type, extension):
            raise _refused(f"`{name}` should be {expected or declared_type}, but its bytes are text")
        return JSON if extension == "json" else TEXT
    if found.kind is Kind.OTHER and found.content_type == "application/octet-stream":
        raise _refused(f"`{name}` is none of the files that are kept: pictures, films, sounds, documents and code are")
    if _is_source(found):
        raise _refused(f"`{name}` begins as text and does not go on as UTF-8; save it as UTF-8")
    if expected is None and "." in name and extension not in {"", "bak", "tmp"}:
        raise _refused(f"`{name}` should be text by its name, but its bytes are {found.content_type}")
    if expected and is_mismatch(expected, found) and not _may_stand_for(expected, found.content_type):
        raise _refused(f"`{name}` should be {expected} by its name, but its bytes are {found.content_type}")
    if _declares_media(declared_type, extension) and is_mismatch(declared_type, found):
        raise _refused(f"`{name}` is declared `{declared_type}`, but its bytes are {found.content_type}")
    return found.content_type


def _is_source(found: FileType) -> bool:
    return found.content_type in _MARKUP or found.content_type == "application/octet-stream"


def _declares_media(declared_type: str, extension: str) -> bool:
    declared = declared_type.lower()
    return declared.startswith(("image/", "video/", "audio/")) and extension not in _MARKUP_NAMES


def _may_stand_for(expected: str, found: str) -> bool:
    """Containers that are told apart by more than their beginning: a film's name may stand on another film's bytes."""
    return _main(expected) == _main(found) == "video" or {expected, found} <= {"audio/opus", "audio/ogg", "video/ogg"}


def _main(content_type: str) -> str:
    return content_type.partition("/")[0]


def _extension(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""


def _refused(sentence: str) -> RefusedError:
    return RefusedError(RefusalKind.INVALID_FILE_TYPE, sentence)
