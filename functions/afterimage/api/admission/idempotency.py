"""Idempotency keys: the same request twice is one operation, and the same key for another request is refused.

What is kept of a key is a digest of its request. No answer is kept: a repeat runs the handler again, with the same
operation id, and a handler whose ids all come from it finds its effect done and answers with how things stand now.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

from afterimage.api.errors import ApiError, ErrorCode
from afterimage.paths import idempotency_path
from afterimage.store.documents import ConflictError, DocumentStore, compare_and_set

KEPT_FOR: Final = timedelta(hours=24)
MOST_KEY_CHARACTERS: Final = 255


def operation_without_key() -> str:
    return secrets.token_hex(16)


def operation_of(documents: DocumentStore, *, uid: str, route: str, key: str, request: bytes, now: datetime) -> str:
    """The id of the operation that a key names for this caller at this route; ApiError if it named another request."""
    if not 0 < len(key) <= MOST_KEY_CHARACTERS or not key.isascii() or not key.isprintable():
        raise ApiError(
            ErrorCode.INVALID_REQUEST,
            "`Idempotency-Key` cannot be used",
            f"send 1 to {MOST_KEY_CHARACTERS} printable ASCII characters",
        )
    operation = hashlib.sha256("\n".join([uid, route, key]).encode()).hexdigest()[:32]
    digest = hashlib.sha256(request).hexdigest()
    path = idempotency_path(operation)
    fields = {"request": digest, "expires_at": now + KEPT_FOR}
    try:
        compare_and_set(documents, path, fields, None)
    except ConflictError:
        found = documents.read(path)
        # The lifetime of a key is Firestore's to end, up to a day late: until then its request stands.
        if found is not None and found.fields["request"] != digest:
            raise ApiError(
                ErrorCode.IDEMPOTENCY_KEY_REUSED,
                "`Idempotency-Key` was sent with another request",
                "send a key of its own with each request",
            ) from None
    return operation
