"""Which ids and names Firestore and Cloud Storage take, and how an object's name becomes a document's id."""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

OBJECT_NAME_LIMIT_BYTES: Final = 1024
"""The longest name Cloud Storage takes."""
DOCUMENT_ID_LIMIT_BYTES: Final = 1500
"""The longest document id Firestore takes."""
_RESERVED_ID = re.compile(r"__.*__", re.DOTALL)


def object_id(bucket: str, name: str) -> str:
    """The id of an object's record: any client can compute it before it uploads, and listen."""
    return urlsafe_b64encode(f"{bucket}/{name}".encode()).rstrip(b"=").decode("ascii")


def parse_object_id(identifier: str) -> tuple[str, str] | None:
    """Bucket and name of an object's record; None for an id that `object_id` would write in another way."""
    try:
        bucket, slash, name = urlsafe_b64decode(identifier + "=" * (-len(identifier) % 4)).decode().partition("/")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (bucket, name) if bucket and slash and name and object_id(bucket, name) == identifier else None


def is_document_id(text: str) -> bool:
    """Whether Firestore takes the text as one segment of a path."""
    return (
        0 < len(text.encode()) <= DOCUMENT_ID_LIMIT_BYTES
        and "/" not in text
        and text not in {".", ".."}
        and _RESERVED_ID.fullmatch(text) is None
    )
