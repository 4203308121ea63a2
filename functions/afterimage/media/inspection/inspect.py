"""What a stored file really is, and whether it may go on: a verdict with a reason that a user can be shown.

Only headers are read here; pixels are decoded once, by `render`, which has its own say about broken ones.
"""

from __future__ import annotations

import io
import warnings
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from afterimage.media.animation import frame_before_animation
from afterimage.media.inspection.gif_blocks import count_frames
from afterimage.media.inspection.jpeg_scans import scans_of
from afterimage.media.inspection.signatures import FileType, Kind, identify
from afterimage.media.inspection.workload import OverloadError, png_chunks, refuse_overload
from afterimage.media.limits import Limits

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION_TAG: Final = 0x0112


class Verdict(StrEnum):
    ACCEPT = "accept"
    QUARANTINE = "quarantine"
    """Not what it claims to be, or broken: kept, and shown to nobody."""
    UNSUPPORTED = "unsupported"
    """Sound as far as anybody can tell, but nothing is derived from it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """A verdict, and everything the headers say."""

    verdict: Verdict
    reason: str | None = None
    file_type: FileType
    mismatch: bool = False
    """The declared type is another kind of file than the bytes are."""
    width: int | None = None
    height: int | None = None
    """As displayed: the orientation is already taken into account."""
    frames: int | None = None
    """Counted up to one more than the limit, which is enough to know that it is beyond."""
    orientation: int | None = None
    has_alpha: bool | None = None
    duration_seconds: float | None = None
    note: str | None = None

    @property
    def is_turned(self) -> bool:
        """Whether what is wide in the file is high as it is shown."""
        return self.orientation in {5, 6, 7, 8}


def inspect_image(data: bytes, *, declared_type: str, limits: Limits) -> Inspection:
    """Looks at a whole image file."""
    file_type = identify(data)
    mismatch = is_mismatch(declared_type, file_type)

    def verdict(verdict: Verdict, reason: str) -> Inspection:
        return Inspection(verdict=verdict, reason=reason, file_type=file_type, mismatch=mismatch)

    if not data:
        return verdict(Verdict.QUARANTINE, "the file is empty")
    if file_type.pillow_format is None:
        return _undecoded(file_type, declared_type, mismatch)
    if len(data) > limits.image_bytes:
        return verdict(Verdict.UNSUPPORTED, f"{len(data)} bytes; at most {limits.image_bytes} can be worked on")
    try:
        refuse_overload(data, file_type.pillow_format)
        with open_image(io.BytesIO(data), file_type.pillow_format, limits) as image:
            return _inspect_header(image, file_type, mismatch, limits, data)
    except OverloadError as error:
        return verdict(Verdict.UNSUPPORTED, str(error))
    except Exception as error:
        if type(error).__name__ == "DecompressionBombError":
            return verdict(Verdict.UNSUPPORTED, f"more than the {limits.pixels} pixels that can be worked on")
        return verdict(Verdict.QUARANTINE, f"not a readable {file_type.content_type}: {_first_line(error)}")


def open_image(file: io.BytesIO, pillow_format: str, limits: Limits) -> Image:
    """Opens without decoding, as the one format that the bytes were identified as: no other decoder gets to try.

    Pillow checks the number of pixels again whenever a picture grows, as a GIF's later frames can make it.
    """
    # The plugins are imported to be registered; left to itself, Pillow would import all its formats.
    from PIL import AvifImagePlugin, Image, WebPImagePlugin  # noqa: F401

    # It refuses at twice this number and warns from there up; a process has one memory size, so this never varies.
    Image.MAX_IMAGE_PIXELS = limits.pixels // 2
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    return Image.open(file, formats=(pillow_format,))


def is_mismatch(declared_type: str, file_type: FileType) -> bool:
    """Whether a declared type names something else than the bytes are; a type that says nothing is no lie."""
    declared = declared_type.partition(";")[0].strip().lower()
    if declared in {"", "application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded"}:
        return False
    return _same(declared) != _same(file_type.content_type)


def gunzip(data: bytes, limit: int) -> bytes | None:
    """The content of a file stored with gzip encoding; None if it is broken or longer than the limit."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(data, limit + 1)
    except zlib.error:
        return None
    return content if unpacker.eof and len(content) <= limit else None


def _undecoded(file_type: FileType, declared_type: str, mismatch: bool) -> Inspection:
    """Files that are not decoded here: a false picture is quarantined, an honest other thing is just unsupported."""
    claims_image = declared_type.lower().startswith("image/")
    if file_type.kind is not Kind.IMAGE and claims_image:
        verdict, reason = Verdict.QUARANTINE, f"declared {declared_type}, but the bytes are {file_type.content_type}"
    else:
        verdict, reason = Verdict.UNSUPPORTED, f"nothing is derived from {file_type.content_type}"
    return Inspection(verdict=verdict, reason=reason, file_type=file_type, mismatch=mismatch)


def _inspect_header(image: Image, file_type: FileType, mismatch: bool, limits: Limits, data: bytes) -> Inspection:
    width, height = image.size
    frames = _frames(image, data, limits)
    orientation = _orientation(image, data)
    shown = (height, width) if orientation in {5, 6, 7, 8} else (width, height)
    verdict, reason = Verdict.ACCEPT, None
    most = limits.pixels_with_alpha if has_alpha(image) else limits.pixels
    if width * height > most:
        verdict, reason = Verdict.UNSUPPORTED, f"{width} × {height} pixels; at most {most} can be worked on"
    return Inspection(
        verdict=verdict,
        reason=reason,
        file_type=file_type,
        mismatch=mismatch,
        width=shown[0],
        height=shown[1],
        frames=frames,
        orientation=orientation,
        has_alpha=has_alpha(image),
        note=_note(data, file_type),
    )


def _note(data: bytes, file_type: FileType) -> str | None:
    """A picture that lacks nothing but the marker at its end is shown, and this is said of it."""
    scans = scans_of(data) if file_type.pillow_format == "JPEG" else None
    return None if scans is None or scans.has_end_marker else "its end marker is missing"


def has_alpha(image: Image) -> bool:
    return image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info


def _frames(image: Image, data: bytes, limits: Limits) -> int:
    if image.format == "GIF":
        return count_frames(data, limits.frames)
    # A multi-picture JPEG is one photograph with companions (depth, gain map), not an animation.
    if image.format in {"MPO", "JPEG"}:
        return 1
    return max(1, int(getattr(image, "n_frames", 1)) - frame_before_animation(image))


def _orientation(image: Image, data: bytes) -> int:
    """1 to 8, as browsers turn the original; anything else a camera may have written counts as upright.

    Browsers hear EXIF in JPEG and PNG and the container's own turn in AVIF, no tag in WebP, and XMP in none.
    """
    from PIL import Image as Images

    if image.format == "WEBP":
        return 1
    # Pillow falls back to XMP where EXIF is silent.
    for name in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(name, None)
    if image.format == "PNG" and "exif" not in image.info:
        image.info["exif"] = _late_png_exif(data)
    try:
        # The base class's own: PNG's decodes the whole picture first, in case the tag comes late.
        found = Images.Image.getexif(image).get(_ORIENTATION_TAG, 1)
    except Exception:
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _late_png_exif(data: bytes) -> bytes:
    """The content of a PNG's `eXIf` chunk, which may stand behind the pixels."""
    return next((data[start:end] for kind, start, end in png_chunks(data) if kind == b"eXIf"), b"")


def _same(content_type: str) -> str:
    """One spelling for types that mean the same thing."""
    return _ALIASES.get(content_type, content_type)


_ALIASES: Final = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/apng": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "image/heif": "image/heic",
    "audio/ogg": "audio/opus",
    "application/ogg": "audio/opus",
    "audio/x-wav": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "application/x-gzip": "application/gzip",
    "text/xml": "application/xml",
}


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    # Pillow names the in-memory file by its address, which would differ from delivery to delivery.
    line = text[0] if text else type(error).__name__
    return "the bytes are not what the signature promises" if "BytesIO object at" in line else line[:200]
