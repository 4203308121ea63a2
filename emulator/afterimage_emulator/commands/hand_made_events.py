"""CloudEvents made from what somebody types: the structured form of each kind that functions know."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from afterimage_emulator.hub.structured_events import fresh_event_id

STORAGE_KINDS: Final = ("finalized", "deleted", "archived", "metadataUpdated")
FIRESTORE_KINDS: Final = ("created", "updated", "deleted", "written")
AUTH_TYPES: Final = ("service_account", "api_key", "system", "unauthenticated", "unknown")
"""Whom Firestore names as the cause of a change; a signed-in user of an app is `unknown`, with the uid as id."""

_ATTRIBUTE: Final = re.compile(r"[a-z0-9]{1,20}")
_OWN_MEMBERS: Final = frozenset(
    {"specversion", "id", "type", "source", "subject", "time", "datacontenttype", "dataschema", "data", "data_base64"}
)


class HandMadeEventError(ValueError):
    """What was typed makes no event; the message says why."""


def storage_event(
    *, kind: str, bucket: str, name: str, metadata: Mapping[str, object], now: datetime
) -> dict[str, object]:
    if name.startswith("gs://"):
        raise HandMadeEventError(f"`{name}`: give the object's name alone, and its bucket with --bucket")
    generation = str(int(now.timestamp() * 1e6))
    known = {
        "kind": "storage#object", "id": f"{bucket}/{name}/{generation}", "bucket": bucket, "name": name,
        "generation": generation, "metageneration": "1", "contentType": "application/octet-stream", "size": "0",
        "timeCreated": _stamp(now), "updated": _stamp(now), "storageClass": "STANDARD",
    }  # fmt: skip
    return _event(
        f"google.cloud.storage.object.v1.{kind}",
        now=now,
        source=f"//storage.googleapis.com/projects/_/buckets/{bucket}",
        subject=f"objects/{name}",
        data={**known, **metadata},
        bucket=bucket,
    )


def firestore_event(
    *,
    kind: str,
    project_id: str,
    database: str,
    path: str,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
    now: datetime,
    auth: tuple[str, str] | None = None,
) -> dict[str, object]:
    """`auth`: type and id of the caller, for the triggers that ask for it."""
    if len(path.strip("/").split("/")) % 2:
        raise HandMadeEventError(f"`{path}` is no path of a document: give collection/document, such as cards/one")
    needs_before, needs_after = kind in ("updated", "deleted"), kind in ("created", "updated")
    if (needs_before and before is None) or (needs_after and after is None) or (before is None and after is None):
        missing = "--before" if needs_before and before is None else "--data"
        raise HandMadeEventError(f"a document that was {kind} needs {missing}, its fields as JSON")
    name = f"projects/{project_id}/databases/{database}"
    from afterimage_emulator.protos import firestore_events_v1

    change = firestore_events_v1.DocumentEventData()
    if after is not None and kind != "deleted":
        change.value.ParseFromString(_document(f"{name}/documents/{path}", after, now))
    if before is not None and kind != "created":
        change.old_value.ParseFromString(_document(f"{name}/documents/{path}", before, now))
    data: bytes = change.SerializeToString()
    caller = {} if auth is None else {"authtype": auth[0], "authid": auth[1]}
    event = _event(
        f"google.cloud.firestore.document.v1.{kind}{'' if auth is None else '.withAuthContext'}",
        now=now,
        source=f"//firestore.googleapis.com/{name}",
        subject=f"documents/{path}",
        project=project_id,
        database=database,
        namespace="(default)",
        document=path,
        location="nam5",
        **caller,
    )
    return {**event, "datacontenttype": "application/protobuf", "data_base64": base64.b64encode(data).decode()}


def message_event(
    *, project_id: str, topic: str, text: str, attributes: Mapping[str, str], now: datetime
) -> dict[str, object]:
    if "/" in topic:
        raise HandMadeEventError(f"`{topic}`: give the topic's name alone, such as {topic.rpartition('/')[2]}")
    event = _event(
        "google.cloud.pubsub.topic.v1.messagePublished",
        now=now,
        source=f"//pubsub.googleapis.com/projects/{project_id}/topics/{topic}",
        topic=topic,
        project=project_id,
    )
    message = {
        "data": base64.b64encode(text.encode()).decode(), "attributes": dict(attributes),
        "messageId": event["id"], "message_id": event["id"],
        "publishTime": event["time"], "publish_time": event["time"],
    }  # fmt: skip
    subscription = f"projects/{project_id}/subscriptions/eventarc-{topic}"
    return {**event, "data": {"message": message, "subscription": subscription}}


def custom_event(
    *, event_type: str, source: str, subject: str | None, data: object, attributes: Mapping[str, str], now: datetime
) -> dict[str, object]:
    for name in attributes:
        if name in _OWN_MEMBERS:
            raise HandMadeEventError(
                f"`{name}` is a member of every event, not an attribute; --source, --subject and --data set theirs, "
                "and `send event FILE` takes a whole event"
            )
        if _ATTRIBUTE.fullmatch(name) is None:
            raise HandMadeEventError(f"`{name}` is no name of an attribute: up to 20 lower-case letters and digits")
    return _event(event_type, now=now, source=source, subject=subject, data=data) | dict(attributes)


def _event(event_type: str, *, now: datetime, **members: object) -> dict[str, object]:
    fixed = {"specversion": "1.0", "id": fresh_event_id(), "type": event_type, "time": _stamp(now)}
    return {**{name: value for name, value in members.items() if value is not None}, **fixed}


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _document(name: str, fields: Mapping[str, object], now: datetime) -> bytes:
    from afterimage_emulator.protos import firestore_v1

    types = firestore_v1
    document = types.Document(name=name)
    for key, value in fields.items():
        _set(document.fields[key], value)
    document.create_time.FromDatetime(now)
    document.update_time.FromDatetime(now)
    encoded: bytes = document.SerializeToString()
    return encoded


def _set(target: Any, value: Any) -> None:
    """JSON's own types; what JSON cannot say (a time, bytes, a reference) is sent by writing to Firestore instead."""
    if value is None:
        target.null_value = 0
    elif isinstance(value, bool):
        target.boolean_value = value
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise HandMadeEventError(f"`{value}` does not fit into 64 bits")
        target.integer_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for each in value:
            _set(target.array_value.values.add(), each)
    else:
        target.map_value.SetInParent()
        for key, each in value.items():
            _set(target.map_value.fields[key], each)


def read_object(text: str, option: str) -> dict[str, object]:
    """An option that takes a JSON object."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise HandMadeEventError(f"{option} `{text[:60]}` is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise HandMadeEventError(f"{option} must be a JSON object, not `{text[:60]}`")
    return value


def read_attributes(pairs: list[str]) -> dict[str, str]:
    """Options such as `--attribute colour=blue`."""
    read: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise HandMadeEventError(f"--attribute `{pair}` must look like NAME=VALUE")
        read[key] = value
    return read
