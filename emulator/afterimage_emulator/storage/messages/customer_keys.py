"""Keys that customers bring: read from headers, checked, and known afterwards by their hash alone (pure).

Bytes lie on the suite's disk as they came; what is kept is the promise that nobody reads them without the key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

from afterimage_emulator.storage.errors import Reason, SpecificError
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.wire.http_messages import Headers

OF_OBJECT: Final = "x-goog-encryption-"
OF_SOURCE: Final = "x-goog-copy-source-encryption-"
KEY_HEADERS: Final = frozenset(
    f"{prefix}{name}" for prefix in (OF_OBJECT, OF_SOURCE) for name in ("algorithm", "key", "key-sha256")
)
_KEY_BYTES: Final = 32


def customer_key(headers: Headers, prefix: str = OF_OBJECT) -> str | None:
    """The hash of the key that a request shows, in base64; None where it shows none."""
    algorithm, key, digest = (headers.get(f"{prefix}{name}") for name in ("algorithm", "key", "key-sha256"))
    if algorithm is key is digest is None:
        return None
    if algorithm != "AES256":
        raise _refused(
            Reason.KEY_ALGORITHM_INVALID,
            "CustomerEncryptionAlgorithmIsInvalid",
            f"The encryption algorithm `{(algorithm or '')[:60]}` is not AES256",
        )
    raw = _decoded(key)
    if raw is None or len(raw) != _KEY_BYTES:
        raise _refused(
            Reason.KEY_FORMAT_INVALID,
            "CustomerEncryptionKeyFormatIsInvalid",
            f"Missing an encryption key, or it is not base64 encoded, or it does not have {_KEY_BYTES} bytes.",
        )
    counted = base64.b64encode(hashlib.sha256(raw).digest()).decode()
    if digest is None or not hmac.compare_digest(digest.strip().encode(), counted.encode()):
        raise _refused(
            Reason.KEY_HASH_INVALID,
            "CustomerEncryptionKeySha256IsInvalid",
            "Missing a SHA256 hash of the encryption key, or it is not base64 encoded, or it does not match the "
            "encryption key.",
        )
    return counted


def check_customer_key(record: ObjectRecord, shown: str | None) -> None:
    """Whoever reads bytes shows the key that they came with, and none where they came without."""
    kept = record.metadata.customer_key_sha256
    if kept is None and shown is not None:
        raise _refused(
            Reason.NOT_ENCRYPTED,
            "ResourceNotEncryptedWithCustomerEncryptionKey",
            "The target object is not encrypted by a customer-supplied encryption key.",
        )
    if kept is not None and shown is None:
        raise _refused(
            Reason.KEY_REQUIRED,
            "ResourceIsEncryptedWithCustomerEncryptionKey",
            "The target object is encrypted by a customer-supplied encryption key.",
        )
    if kept is not None and shown is not None and not hmac.compare_digest(kept, shown):
        raise _refused(
            Reason.KEY_INCORRECT,
            "CustomerEncryptionKeyIsIncorrect",
            "The provided encryption key is incorrect.",
        )


def _decoded(key: str | None) -> bytes | None:
    try:
        return base64.b64decode((key or "").strip(), validate=True)
    except (ValueError, binascii.Error):
        return None


def _refused(reason: Reason, code: str, message: str) -> SpecificError:
    return SpecificError(reason, code, message)
