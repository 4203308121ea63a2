"""Reading a stored file for inspection: whole where it is a picture within limits, otherwise only parts of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from afterimage.media.inspection.containers import played_of
from afterimage.media.inspection.inspect import Inspection, Verdict, gunzip, inspect_image, is_mismatch
from afterimage.media.inspection.signatures import HEAD_BYTES, UNKNOWN, FileType, Kind, identify
from afterimage.media.limits import Limits
from afterimage.store.files import FileStore, StoredFile

READ_AT_ONCE: Final = 1 << 20
"""Up to this size one request for all is cheaper than a look at the head first."""


def inspect_original(originals: FileStore, original: StoredFile, limits: Limits) -> tuple[Inspection, bytes | None]:
    """The verdict on a stored file, and the content of a picture that is accepted."""
    if original.content_encoding == "gzip":
        return _inspect_packed(originals, original, limits)
    is_small = original.size <= READ_AT_ONCE
    data = originals.read(original, 0, None if is_small else HEAD_BYTES) if original.size else b""
    file_type = identify(data)
    if file_type.kind in {Kind.VIDEO, Kind.AUDIO}:
        return _inspect_playable(originals, original, file_type, data if is_small else b""), None
    if file_type.pillow_format is not None and original.size > limits.image_bytes:
        return _too_large(original, file_type, limits), None
    if file_type.pillow_format is not None and not is_small:
        data = originals.read(original)
    return inspect_image(data, declared_type=original.content_type, limits=limits), data


def _inspect_packed(originals: FileStore, original: StoredFile, limits: Limits) -> tuple[Inspection, bytes | None]:
    """A file stored with gzip encoding is unpacked as far as a picture may be large."""
    unpacked = gunzip(originals.read(original), limits.image_bytes) if original.size <= limits.image_bytes else None
    if unpacked is None:
        reason = f"stored with gzip encoding, but it does not unpack within {limits.image_bytes} bytes"
        return Inspection(verdict=Verdict.QUARANTINE, reason=reason, file_type=UNKNOWN), None
    return inspect_image(unpacked, declared_type=original.content_type, limits=limits), unpacked


def _inspect_playable(originals: FileStore, original: StoredFile, file_type: FileType, data: bytes) -> Inspection:
    """Video and sound: the type and, where the container says them, duration and size; no posters or waveforms."""

    def read(start: int, end: int) -> bytes:
        end = min(end, original.size)
        if start >= end:
            return b""
        return data[start:end] if data else originals.read(original, start, end)

    mismatch = is_mismatch(original.content_type, file_type)
    if original.content_type.lower().startswith("image/"):
        reason = f"declared {original.content_type}, but the bytes are {file_type.content_type}"
        return Inspection(verdict=Verdict.QUARANTINE, reason=reason, file_type=file_type, mismatch=mismatch)
    found = Inspection(verdict=Verdict.ACCEPT, file_type=file_type, mismatch=mismatch)
    played = played_of(file_type.content_type, original.size, read)
    note = "its container does not say how long it plays" if played.duration_seconds is None else None
    return replace(found, duration_seconds=played.duration_seconds, width=played.width, height=played.height, note=note)


def _too_large(original: StoredFile, file_type: FileType, limits: Limits) -> Inspection:
    reason = f"{original.size} bytes; at most {limits.image_bytes} can be worked on"
    return Inspection(verdict=Verdict.UNSUPPORTED, reason=reason, file_type=file_type)
