"""A CloudEvent in structured mode (one JSON object) as the suite's own event."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from afterimage_emulator.events import CloudEvent
from afterimage_emulator.status import Code, StatusError

_KNOWN: Final = frozenset(
    {"specversion", "id", "type", "source", "subject", "time", "datacontenttype", "data", "data_base64"}
)


def read_structured_event(body: Mapping[str, Any], *, now: datetime) -> CloudEvent:
    """`id` and `time` may be left out; every member that CloudEvents does not define is an attribute."""
    for name, value in body.items():
        if name not in ("data", "data_base64") and not isinstance(value, str | int | bool):
            raise _wrong(f"`{name}` must be text, a whole number or a boolean, not `{json.dumps(value)[:60]}`")
    for name in ("type", "source"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise _wrong(f"the event has no `{name}`; a CloudEvent in JSON names its `type` and its `source`")
    if body.get("specversion", "1.0") != "1.0":
        raise _wrong(f"`specversion` must be `1.0`, not `{body['specversion']}`")
    subject = body.get("subject")
    return CloudEvent(
        id=str(body.get("id") or fresh_event_id()),
        source=body["source"],
        type=body["type"],
        time=str(body.get("time") or now.isoformat(timespec="microseconds").replace("+00:00", "Z")),
        subject=None if subject is None else str(subject),
        content_type=str(body.get("datacontenttype") or "application/json"),
        data=_data(body),
        attributes={name: _text(value) for name, value in body.items() if name not in _KNOWN},
    )


def fresh_event_id() -> str:
    import uuid  # a suite that is sent no event by hand starts without it

    return str(uuid.uuid4())


def _data(body: Mapping[str, Any]) -> bytes:
    if "data_base64" in body:
        try:
            return base64.b64decode(body["data_base64"], validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise _wrong("`data_base64` is not base64") from None
    return b"" if "data" not in body else json.dumps(body["data"], ensure_ascii=False).encode()


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong(message: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, message)
