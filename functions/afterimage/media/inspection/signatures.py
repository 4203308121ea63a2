"""What bytes are, read from the bytes alone: names, extensions and declared types are never believed."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

HEAD_BYTES: Final = 65_536
"""How much of a file `identify` looks at, and no more; a licence may stand before a drawing's first element."""


class Kind(StrEnum):
    """What a file is to its user."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileType:
    """A kind, the media type it is served as, and Pillow's name where Pillow reads it."""

    kind: Kind
    content_type: str
    pillow_format: str | None = None


UNKNOWN: Final = FileType(kind=Kind.OTHER, content_type="application/octet-stream")

_JPEG = FileType(kind=Kind.IMAGE, content_type="image/jpeg", pillow_format="JPEG")
_PNG = FileType(kind=Kind.IMAGE, content_type="image/png", pillow_format="PNG")
_GIF = FileType(kind=Kind.IMAGE, content_type="image/gif", pillow_format="GIF")
_WEBP = FileType(kind=Kind.IMAGE, content_type="image/webp", pillow_format="WEBP")
_AVIF = FileType(kind=Kind.IMAGE, content_type="image/avif", pillow_format="AVIF")
_BMP = FileType(kind=Kind.IMAGE, content_type="image/bmp", pillow_format="BMP")
_HEIC = FileType(kind=Kind.IMAGE, content_type="image/heic")
_SVG = FileType(kind=Kind.IMAGE, content_type="image/svg+xml")


def _other(content_type: str) -> FileType:
    return FileType(kind=Kind(content_type.partition("/")[0]), content_type=content_type)


def _plain(content_type: str) -> FileType:
    return FileType(kind=Kind.OTHER, content_type=content_type)


_STARTS: Final[tuple[tuple[bytes, FileType], ...]] = (
    (b"\xff\xd8\xff", _JPEG),
    (b"\x89PNG\r\n\x1a\n", _PNG),
    (b"GIF87a", _GIF),
    (b"GIF89a", _GIF),
    (b"II*\0", _other("image/tiff")),
    (b"MM\0*", _other("image/tiff")),
    (b"II+\0", _other("image/tiff")),
    (b"MM\0+", _other("image/tiff")),
    (b"\0\0\0\x0cjP  \r\n\x87\n", _other("image/jp2")),
    (b"\xff\x4f\xff\x51", _other("image/j2c")),
    (b"\0\0\0\x0cJXL \r\n\x87\n", _other("image/jxl")),
    (b"\xff\x0a", _other("image/jxl")),
    (b"8BPS", _other("image/vnd.adobe.photoshop")),
    (b"\0\0\1\0", _other("image/x-icon")),
    (b"\x1aE\xdf\xa3", _other("video/webm")),
    (b"fLaC", _other("audio/flac")),
    (b"ID3", _other("audio/mpeg")),
    (b"%PDF-", _plain("application/pdf")),
    (b"PK\3\4", _plain("application/zip")),
    (b"\x1f\x8b", _plain("application/gzip")),
    (b"7z\xbc\xaf'\x1c", _plain("application/x-7z-compressed")),
    (b"\x7fELF", _plain("application/x-executable")),
    (b"MZ", _plain("application/vnd.microsoft.portable-executable")),
    (b"#!", _plain("text/x-script")),
)

_RIFF: Final[Mapping[bytes, FileType]] = {
    b"WEBP": _WEBP,
    b"WAVE": _other("audio/wav"),
    b"AVI ": _other("video/x-msvideo"),
}

_BRANDS: Final[Mapping[bytes, FileType]] = {
    b"avif": _AVIF, b"avis": _AVIF,
    b"heic": _HEIC, b"heix": _HEIC, b"heim": _HEIC, b"heis": _HEIC, b"hevc": _HEIC, b"hevx": _HEIC,
    b"M4A ": _other("audio/mp4"), b"M4B ": _other("audio/mp4"),
    b"qt  ": _other("video/quicktime"),
    b"isom": _other("video/mp4"), b"iso2": _other("video/mp4"), b"iso4": _other("video/mp4"),
    b"iso5": _other("video/mp4"), b"iso6": _other("video/mp4"), b"mp41": _other("video/mp4"),
    b"mp42": _other("video/mp4"), b"avc1": _other("video/mp4"), b"dash": _other("video/mp4"),
    b"M4V ": _other("video/mp4"), b"MSNV": _other("video/mp4"), b"3gp4": _other("video/3gpp"),
    b"3gp5": _other("video/3gpp"), b"crx ": _other("image/x-canon-cr3"),
}  # fmt: skip

_SPACE: Final = string.whitespace.encode()
_LETTERS: Final = string.ascii_letters.encode()
_NAME_BYTES: Final = _LETTERS + string.digits.encode() + b"_:.-"
_BEFORE_MARKUP: Final[tuple[tuple[bytes, bytes], ...]] = ((b"<?xml", b">"), (b"<!--", b"-->"), (b"<!doctype", b">"))
"""What may stand before the first element: how each begins, in lower case, and how it ends."""


def identify(head: bytes) -> FileType:
    """The type of a file, from its first HEAD_BYTES bytes; it never looks at more."""
    head = head[:HEAD_BYTES]
    for start, file_type in _STARTS:
        if head.startswith(start):
            return file_type
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head[:4] == b"OggS":
        return _by_ogg_codec(head)
    if _is_bitmap(head):
        return _BMP
    if _is_mpeg_audio(head):
        return _other("audio/mpeg")
    if head[257:262] == b"ustar":
        return _plain("application/x-tar")
    return _by_markup(head)


def _by_brand(head: bytes) -> FileType:
    """The major brand decides; a generic one (`mif1`, `msf1`) defers to the compatible brands."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))]
    for brand in brands:
        if brand in _BRANDS:
            return _BRANDS[brand]
    return _HEIC if brands[0] in {b"mif1", b"msf1"} else UNKNOWN


def _by_ogg_codec(head: bytes) -> FileType:
    """The first packet names the codec, right behind the first page's lacing values."""
    payload = head[27 + head[26] :] if len(head) > 26 else b""
    if payload.startswith(b"OpusHead"):
        return _other("audio/opus")
    if payload.startswith(b"\x80theora"):
        return _other("video/ogg")
    return _other("audio/ogg")


def _is_bitmap(head: bytes) -> bool:
    """`BM` alone begins many a text; a bitmap also has a known header length."""
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in {12, 40, 52, 56, 64, 108, 124}


def _is_mpeg_audio(head: bytes) -> bool:
    """A frame header: eleven set bits, a layer, a bit rate and a sample rate that exist."""
    return (
        len(head) > 3
        and head[0] == 0xFF
        and head[1] & 0xE0 == 0xE0
        and head[1] & 0x18 != 0x08
        and head[1] & 0x06 != 0
        and head[2] & 0xF0 not in {0x00, 0xF0}
        and head[2] & 0x0C != 0x0C
    )


def _by_markup(head: bytes) -> FileType:
    name = _first_element(head.removeprefix(b"\xef\xbb\xbf"))
    if not name:
        return UNKNOWN
    element = name.rpartition(b":")[2].lower()
    return _SVG if element == b"svg" else _plain("text/html" if element == b"html" else "application/xml")


def _first_element(head: bytes) -> bytes:
    """The name of the first element; empty where something else than markup comes before one.

    Every step goes on behind what the last one read and none ever goes back, so the work grows with the length alone.
    """
    at = _behind(head, 0, _SPACE)
    while opened := next((pair for pair in _BEFORE_MARKUP if head[at : at + len(pair[0])].lower() == pair[0]), None):
        start, end = opened
        found = head.find(end, at + len(start))
        if found < 0:
            return b""
        at = _behind(head, found + len(end), _SPACE)
    if head[at : at + 1] != b"<":
        return b""
    at = _behind(head, at + 1, _SPACE)
    return head[at : _behind(head, at, _NAME_BYTES)] if at < len(head) and head[at] in _LETTERS else b""


def _behind(head: bytes, at: int, among: bytes) -> int:
    """The first position from `at` on that holds none of these bytes."""
    while at < len(head) and head[at] in among:
        at += 1
    return at
