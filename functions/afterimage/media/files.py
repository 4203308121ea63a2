"""Reading a stored file for inspection: whole where it is a picture within limits, otherwise only its head."""

from __future__ import annotations

from afterimage.media.inspect import Inspection, Verdict, gunzip, inspect_image
from afterimage.media.limits import Limits
from afterimage.media.signatures import HEAD_BYTES, UNKNOWN, identify
from afterimage.media.stores import Original, Originals


def inspect_original(originals: Originals, original: Original, limits: Limits) -> tuple[Inspection, bytes | None]:
    """The verdict on a stored file, and its content where that has been read whole."""
    declared = original.content_type
    if original.size > limits.image_bytes:
        head = originals.read(original, 0, HEAD_BYTES)
        return _too_large(head, original, limits), None
    data = originals.read(original)
    if original.content_encoding == "gzip":
        unpacked = gunzip(data, limits.image_bytes)
        if unpacked is None:
            return _broken_gzip(limits), None
        data = unpacked
    return inspect_image(data, declared_type=declared, limits=limits), data


def _too_large(head: bytes, original: Original, limits: Limits) -> Inspection:
    file_type = identify(head)
    reason = (
        f"{original.size} bytes; at most {limits.image_bytes} can be worked on"
        if file_type.pillow_format
        else f"nothing is derived from {file_type.content_type}"
    )
    return Inspection(verdict=Verdict.UNSUPPORTED, reason=reason, file_type=file_type)


def _broken_gzip(limits: Limits) -> Inspection:
    return Inspection(
        verdict=Verdict.QUARANTINE,
        reason=f"stored with gzip encoding, but it does not unpack within {limits.image_bytes} bytes",
        file_type=UNKNOWN,
    )
