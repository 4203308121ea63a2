"""What a message may be, and how it is told in push bodies and events. Pure."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any, Final

from afterimage_emulator.clock import NANOS_PER_SECOND
from afterimage_emulator.events import CloudEvent
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.resource_names import project_of, short_name
from afterimage_emulator.status import Code, StatusError

MESSAGE_PUBLISHED: Final = "google.cloud.pubsub.topic.v1.messagePublished"
_LIMIT_BYTES: Final = 10 * 1024 * 1024


def time_text(moment_ns: int) -> str:
    """As in events and push bodies: UTC, always with a fraction, since the Python SDK fails without one."""
    seconds, nanos = divmod(moment_ns, NANOS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos // 1_000_000:03d}Z"


def message_json(message: pubsub_v1.PubsubMessage, now_ns: int) -> dict[str, Any]:
    """A message as push bodies and events hold it: with both spellings of id and time."""
    body: dict[str, Any] = {
        "data": base64.b64encode(message.data).decode(),
        "messageId": message.message_id,
        "message_id": message.message_id,
        "publishTime": time_text(now_ns),
        "publish_time": time_text(now_ns),
    }
    if message.attributes:
        body["attributes"] = dict(message.attributes)
    if message.ordering_key:
        body["orderingKey"] = message.ordering_key
    return body


def event_attributes(topic: str) -> dict[str, str]:
    return {"topic": short_name(topic), "project": project_of(topic)}


def event_of_message(topic: str, message: pubsub_v1.PubsubMessage, now_ns: int) -> CloudEvent:
    subscription = f"projects/{project_of(topic)}/subscriptions/eventarc-{short_name(topic)}"
    data = {"message": message_json(message, now_ns), "subscription": subscription}
    return CloudEvent(
        id=message.message_id,
        source=f"//pubsub.googleapis.com/{topic}",
        type=MESSAGE_PUBLISHED,
        time=time_text(now_ns),
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(),
        attributes=event_attributes(topic),
    )


def check_message(message: pubsub_v1.PubsubMessage) -> None:
    if not message.data and not message.attributes:
        raise StatusError(
            Code.INVALID_ARGUMENT, "The message is empty: give it non-empty data or at least one attribute."
        )
    if len(message.attributes) > 100:  # before each is looked at: there may be millions
        raise StatusError(Code.INVALID_ARGUMENT, "a message has at most 100 attributes")
    size = len(message.data)
    for key, value in message.attributes.items():
        if not key or len(key.encode()) > 256 or len(value.encode()) > 1024:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"the attribute `{key[:60]}` is too long: keys have 1 to 256 bytes, values up to 1024",
            )
        size += len(key) + len(value)
    if size > _LIMIT_BYTES:
        raise StatusError(Code.INVALID_ARGUMENT, f"The value for message is too large: {size:,} of 10 MB are allowed.")
    if len(message.ordering_key.encode()) > 1024:
        raise StatusError(Code.INVALID_ARGUMENT, "an ordering key has at most 1024 bytes")
