"""Which names buckets and objects may have (pure)."""

from __future__ import annotations

import re
from typing import Final

from afterimage_emulator.storage.errors import Reason, StorageError, invalid

OBJECT_NAME_LIMIT_BYTES: Final = 1024
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?")


def check_bucket_name(name: str) -> None:
    """3 to 63 characters of a-z 0-9 _ - with dots between parts (222 in total then)."""
    limit = 222 if "." in name else 63
    parts = name.split(".")
    if 3 <= len(name) <= limit and all(len(part) <= 63 and _BUCKET.fullmatch(part) for part in parts):
        return
    raise invalid(f"Invalid bucket name: '{name}'")


def check_object_name(name: str) -> None:
    """1 to 1,024 bytes of UTF-8, no line breaks, and neither `.` nor `..` alone."""
    if not name:
        raise StorageError(Reason.REQUIRED, "Required parameter: name")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise invalid("the object name is not valid Unicode; send it as UTF-8") from None
    if size > OBJECT_NAME_LIMIT_BYTES:
        raise invalid(f"the object name has {size} bytes; names have at most {OBJECT_NAME_LIMIT_BYTES}")
    if "\r" in name or "\n" in name:
        raise invalid("the object name has a line break; names have none")
    if name in (".", "..") or name.startswith(".well-known/acme-challenge/"):
        raise invalid(f"`{name}` cannot be an object name; choose another")
