"""Messages as proto3 JSON, as REST and WebChannel carry them."""

from __future__ import annotations

import functools
import json
import re
from typing import Final, TypeVar

from google.protobuf import json_format

from afterimage_emulator.firestore.documents.resource_paths import invalid_argument
from afterimage_emulator.protos.message import Message

M = TypeVar("M", bound=Message)
_BYTES_FIELDS: Final = frozenset(
    {
        *("bytesValue", "bytes_value", "transaction", "retryTransaction", "retry_transaction"),
        *("resumeToken", "resume_token", "streamToken", "stream_token"),
    }
)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_REMEMBERED_TEXTS: Final = 256
_REMEMBERED_BYTES: Final = 16 * 1024


def message_from_json(body: object, message: M) -> M:
    """`message`, filled from what JSON held."""
    if not isinstance(body, dict):
        raise invalid_argument("Invalid JSON payload received. The request body must be an object.")
    try:
        _check_bytes(body)
        json_format.ParseDict(body, message)
    except (json_format.ParseError, RecursionError) as error:
        raise invalid_argument(f"Invalid JSON payload received. {error}") from None
    return message


class JsonTexts:
    """Messages of one class as JSON in ASCII: what clients count in UTF-16 units is what servers count in bytes."""

    def __init__(self, message_class: type[Message]) -> None:
        self._message_class = message_class
        # A change that many listeners show is the same bytes for each of them.
        self._remembered = functools.lru_cache(maxsize=_REMEMBERED_TEXTS)(self._worded)

    def of(self, serialized: bytes) -> str:
        return (self._remembered if len(serialized) <= _REMEMBERED_BYTES else self._worded)(serialized)

    def _worded(self, serialized: bytes) -> str:
        body = json_format.MessageToDict(self._message_class.FromString(serialized))
        return json.dumps(body, separators=(",", ":"))


def _check_bytes(body: object) -> None:
    """Refuses what is no base64: the parser drops what it does not know, and other bytes would be stored."""
    for name, value in body.items() if isinstance(body, dict) else ():
        if name in _BYTES_FIELDS and isinstance(value, str) and not _BASE64.fullmatch(value):
            raise invalid_argument(
                f"Invalid JSON payload received. Invalid value at `{name}`: `{value[:40]}` is no base64."
            )
        if isinstance(value, dict | list):
            _check_bytes(value)
    for element in body if isinstance(body, list) else ():
        if isinstance(element, dict):
            _check_bytes(element)
