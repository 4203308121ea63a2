"""The files of Cloud Storage subscriptions: what they are called, and what stands in them. Pure."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.schemas.avro_json import avro_bytes, avro_number
from afterimage_emulator.pubsub.schemas.registry import Revision
from afterimage_emulator.pubsub.topics.storage_config import FORMAT_PART
from afterimage_emulator.turns import Work

_ENDS: Final = ("-", "_", ":", "/")


def object_name(config: pubsub_v1.CloudStorageConfig, moment: datetime, identifier: uuid.UUID) -> str:
    written = config.filename_datetime_format
    if not written:
        return f"{config.filename_prefix}{moment:%Y-%m-%dT%H:%M:%S}+00:00_{identifier}{config.filename_suffix}"
    parts = {
        "YYYY": f"{moment:%Y}", "YY": f"{moment:%y}", "MM": f"{moment:%m}", "DD": f"{moment:%d}", "hh": f"{moment:%H}",
        "mm": f"{moment:%M}", "ss": f"{moment:%S}",
    }  # fmt: skip
    text = FORMAT_PART.sub(lambda found: parts.get(found[0], found[0]), written)
    between = "" if written.endswith(_ENDS) else "_"
    return f"{config.filename_prefix}{text}{between}{identifier}{config.filename_suffix}"


def text_file(messages: Iterable[pubsub_v1.PubsubMessage]) -> bytes:
    """What was published, a line each; nothing of what stands beside it."""
    return b"".join(message.data + b"\n" for message in messages)


def avro_file(
    messages: Sequence[pubsub_v1.PubsubMessage],
    *,
    subscription: str,
    with_metadata: bool,
    revision: Revision | None,
    sync: bytes,
) -> Work[bytes]:
    """An object container file. `revision` is the schema that the messages are written in, where they are."""
    schema = json.dumps(_file_schema(with_metadata, revision))
    records: list[bytes] = []
    for message in messages:
        records.append((yield from _record(message, subscription, with_metadata, revision)))
        yield 1
    header = avro_number(2) + _entry("avro.schema", schema) + _entry("avro.codec", "null") + b"\x00"
    block = b"".join(records)
    return b"Obj\x01" + header + sync + avro_number(len(records)) + avro_number(len(block)) + block + sync


def _file_schema(with_metadata: bool, revision: Revision | None) -> Any:
    data: Any = "bytes" if revision is None else json.loads(revision.shown.definition)
    if not with_metadata:
        if revision is not None:
            return data
        return {"type": "record", "name": "PubsubMessage", "namespace": "com.google.pubsub",
                "fields": [{"name": "data", "type": "bytes"}]}  # fmt: skip
    return {
        "type": "record",
        "name": "PubsubMessageWithMetadata",
        "namespace": "com.google.pubsub",
        "fields": [
            {"name": "subscription_name", "type": "string"},
            {"name": "message_id", "type": "string"},
            {"name": "publish_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "attributes", "type": {"type": "map", "values": "string"}},
            {"name": "data", "type": data},
        ],
    }


def _record(
    message: pubsub_v1.PubsubMessage, subscription: str, with_metadata: bool, revision: Revision | None
) -> Work[bytes]:
    if revision is None:
        data = avro_bytes(message.data)
    else:
        data = yield from revision.avro_binary(message.data, message.attributes["googclient_schemaencoding"])
    if not with_metadata:
        return data
    attributes = dict(message.attributes)
    if message.ordering_key:
        attributes["ordering_key"] = message.ordering_key
    pairs = b"".join(_entry(key, value) for key, value in attributes.items())
    return b"".join(
        (
            _text(subscription),
            _text(message.message_id),
            avro_number(message.publish_time.ToNanoseconds() // 1000),
            (avro_number(len(attributes)) + pairs if attributes else b"") + b"\x00",
            data,
        )
    )


def _entry(key: str, value: str) -> bytes:
    return _text(key) + _text(value)


def _text(value: str) -> bytes:
    return avro_bytes(value.encode())
