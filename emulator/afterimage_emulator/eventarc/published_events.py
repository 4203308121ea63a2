"""Events as programs publish them, CloudEvents in the JSON of their protocol buffer, read whole or refused. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from afterimage_emulator.events import CHANNEL_ATTRIBUTE, CloudEvent
from afterimage_emulator.status import Code, StatusError

_NAME: Final = re.compile(r"[a-z0-9]{1,100}")
_OF_EVERY_EVENT: Final = frozenset({"id", "source", "type", "specversion", "dataschema", "data", "data_base64"})
_MADE_OF_TEXT: Final = frozenset({"time", "subject", "datacontenttype"})
_TEXTS: Final = ("ceString", "ceUri", "ceUriRef", "ceTimestamp", "ceBytes")
_KINDS: Final = (*_TEXTS, "ceBoolean", "ceInteger")


def published_events(body: object, *, channel: str, now: datetime) -> list[CloudEvent]:
    """All of a request's events: where one cannot be read, none is published."""
    events = body.get("events") if isinstance(body, Mapping) else None
    if not isinstance(events, list):
        raise _refused("`events` must be a list of CloudEvents")
    return [_event(event, f"events[{number}]", channel=channel, now=now) for number, event in enumerate(events)]


def google_events(body: object, *, now: datetime) -> list[CloudEvent]:
    """Events in CloudEvents' own JSON, of no channel: all of a request's, or none where one cannot be read."""
    events = body.get("events") if isinstance(body, Mapping) else None
    if not isinstance(events, list):
        raise _refused("`events` must be a list of CloudEvents")
    return [_google_event(event, f"events[{number}]", now=now) for number, event in enumerate(events)]


def _google_event(event: object, place: str, *, now: datetime) -> CloudEvent:
    if not isinstance(event, Mapping):
        raise _refused(f"`{place}` must be a CloudEvent, an object with `id`, `source` and `type`")
    if event.get("specversion", "1.0") != "1.0":
        raise _refused(f"`{place}.specversion` must be `1.0`")
    attributes: dict[str, str] = {}
    for name, value in event.items():
        if name in _OF_EVERY_EVENT:
            continue
        if _NAME.fullmatch(name) is None or name == CHANNEL_ATTRIBUTE or not isinstance(value, str | int | bool):
            raise _refused(f"`{place}.{name}` must be a text, a number or a boolean under a CloudEvents name")
        if name in _MADE_OF_TEXT and not isinstance(value, str):
            raise _refused(f"`{place}.{name}` must be a text")
        attributes[name] = value if isinstance(value, str) else json.dumps(value)
    return _made(event, place, attributes, data=_google_data(event, place), now=now)


def _made(
    event: Mapping[str, object], place: str, attributes: Mapping[str, str], *, data: bytes, now: datetime
) -> CloudEvent:
    further = dict(attributes)
    time, subject = further.pop("time", None), further.pop("subject", None)
    content_type = further.pop("datacontenttype", "application/json")
    return CloudEvent(
        id=_text(event, "id", place),
        source=_text(event, "source", place),
        type=_text(event, "type", place),
        time=_stamp(now if time is None else _moment(time, place)),
        subject=subject,
        content_type=content_type,
        data=data,
        attributes=further,
    )


def _google_data(event: Mapping[str, object], place: str) -> bytes:
    if "data_base64" in event:
        try:
            return base64.b64decode(str(event["data_base64"]), validate=True)
        except binascii.Error:
            raise _refused(f"`{place}.data_base64` is not base64") from None
    return b"" if event.get("data") is None else json.dumps(event["data"], ensure_ascii=False).encode()


def _event(event: object, place: str, *, channel: str, now: datetime) -> CloudEvent:
    if not isinstance(event, Mapping):
        raise _refused(f"`{place}` must be a CloudEvent, an object with `id`, `source` and `type`")
    if event.get("specVersion", "1.0") != "1.0":
        raise _refused(f"`{place}.specVersion` must be `1.0`")
    given = event.get("attributes") or {}
    if not isinstance(given, Mapping):
        raise _refused(f"`{place}.attributes` must be an object")
    attributes = {name: _attribute(name, value, f"{place}.attributes") for name, value in given.items()}
    if CHANNEL_ATTRIBUTE in attributes:
        raise _refused(f"`{place}.attributes.{CHANNEL_ATTRIBUTE}` is the suite's own; give the attribute another name")
    return _made(event, place, {**attributes, CHANNEL_ATTRIBUTE: channel}, data=_data(event, place), now=now)


def _text(event: Mapping[str, object], name: str, place: str) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not value:
        raise _refused(f"`{place}.{name}` must be a text that is not empty")
    return value


def _attribute(name: object, value: object, place: str) -> str:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise _refused(f"`{place}.{name}` has no CloudEvents name: use up to 100 lower-case letters and digits")
    if not isinstance(value, Mapping) or len(value) != 1 or next(iter(value)) not in _KINDS:
        raise _refused(f"`{place}.{name}` must have one of {', '.join(f'`{kind}`' for kind in _KINDS)}")
    kind, content = next(iter(value.items()))
    if kind == "ceBoolean" and isinstance(content, bool):
        return "true" if content else "false"
    if kind == "ceInteger" and isinstance(content, int) and not isinstance(content, bool):
        return str(content)
    if kind in _TEXTS and isinstance(content, str):
        return content
    raise _refused(f"`{place}.{name}.{kind}` has a value of another kind")


def _moment(text: str, place: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _refused(f"`{place}.attributes.time` must be a time such as `2026-01-31T12:00:00.000Z`, not `{text}`")
    return moment


def _stamp(moment: datetime) -> str:
    """With a fraction, always: firebase-functions takes no time without one."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _data(event: Mapping[str, object], place: str) -> bytes:
    if "protoData" in event:
        raise _refused(f"`{place}.protoData` is not supported here: send `textData` or `binaryData`")
    text, binary = event.get("textData"), event.get("binaryData")
    if text is not None and binary is not None:
        raise _refused(f"`{place}` has `textData` and `binaryData`: send one of them")
    if isinstance(text, str):
        return text.encode()
    if isinstance(binary, str):
        try:
            return base64.b64decode(binary, validate=True)
        except binascii.Error:
            raise _refused(f"`{place}.binaryData` is not base64") from None
    if text is None and binary is None:
        return b""
    raise _refused(f"`{place}`'s data must be a text")


def _refused(message: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, message)
