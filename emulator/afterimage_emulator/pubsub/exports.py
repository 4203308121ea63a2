"""All of the broker's state as plain JSON, and back: what an export writes, and what an import reads."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import json_format

from afterimage_emulator.protos import iam_v1, pubsub_v1
from afterimage_emulator.pubsub.topics.backlog import Entry
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.pubsub.topics.snapshots import Snapshot
from afterimage_emulator.pubsub.topics.subscriptions import Subscription


def broker_state(broker: Broker) -> dict[str, Any]:
    """What is out with subscribers waits again for whoever imports it."""
    return {
        "lastNumber": broker.last_number,
        "schemas": [
            {"name": schema.name, "revisions": [_json(revision.shown) for revision in schema.revisions]}
            for schema in broker.schemas.all()
        ],
        "topics": [_json(topic) for topic in broker.all_topics()],
        "kept": {topic: _entries(log) for topic, log in broker.snapshots.logs.items()},
        "subscriptions": [
            {
                "settings": _json(subscription.settings),
                "messages": _entries(subscription.backlog.entries()),
                "acknowledged": _entries(subscription.kept),
                "lastUsedNs": subscription.idleness.last_used_ns,
                "forFunction": subscription.for_function,
            }
            for subscription in broker.all_subscriptions()
        ],
        "snapshots": [
            {
                "shown": _json(snapshot.shown),
                "lastNumber": snapshot.last_number,
                "messages": _entries(snapshot.unacknowledged),
            }
            for snapshot in broker.snapshots.all()
        ],
        "policies": {resource: _json(policy) for resource, policy in broker.policies.all().items()},
    }


def restore_broker(broker: Broker, body: Mapping[str, Any]) -> None:
    """Exports of earlier versions have topics and subscriptions alone."""
    for exported in body.get("schemas", ()):
        shown = [_read(each, pubsub_v1.Schema()) for each in exported["revisions"]]
        broker.schemas.adopt(exported["name"], shown)
    for topic in body["topics"]:
        broker.adopt_topic(_read(topic, pubsub_v1.Topic()))
    # Snapshots first: without them a topic that retains nothing would forget what they need.
    for exported in body.get("snapshots", ()):
        shown = _read(exported["shown"], pubsub_v1.Snapshot())
        broker.snapshots.adopt(Snapshot(shown, _read_entries(exported["messages"]), exported["lastNumber"]))
    for topic, kept in body.get("kept", {}).items():
        if topic in broker.snapshots.logs:
            for entry in _read_entries(kept):
                broker.snapshots.logs[topic].add(entry, entry.published_ns)
    for exported in body["subscriptions"]:
        _read_subscription(broker, exported)
    for resource, policy in body.get("policies", {}).items():
        broker.policies.adopt(resource, _read(policy, iam_v1.Policy()))
    broker.last_number = max(broker.last_number, body.get("lastNumber", 0), _highest(broker.all_subscriptions()))


def _read_subscription(broker: Broker, exported: Mapping[str, Any]) -> None:
    settings = _read(exported["settings"], pubsub_v1.Subscription())
    used_ns = exported.get("lastUsedNs")
    subscription = broker.create_subscription(settings, last_used_ns=used_ns, restored=True)
    if exported.get("forFunction"):
        subscription.serve_function()
    if settings.detached:
        broker.detach(subscription)
    for entry in _read_entries(exported["messages"]):
        subscription.accept(entry, pubsub_v1.PubsubMessage.FromString(entry.raw).attributes)
    for entry in _read_entries(exported.get("acknowledged", ())):
        subscription.kept.add(entry, 0)


def _highest(subscriptions: Iterable[Subscription]) -> int:
    return max((entry.number for each in subscriptions for entry in each.backlog.entries()), default=0)


def _entries(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    return [
        {"raw": base64.b64encode(entry.raw).decode(), "published_ns": entry.published_ns, "attempt": entry.attempt}
        for entry in entries
    ]


def _read_entries(kept: Iterable[Mapping[str, Any]]) -> list[Entry]:
    found = []
    for each in kept:
        raw = base64.b64decode(each["raw"])
        message = pubsub_v1.PubsubMessage.FromString(raw)
        number = int(message.message_id) if message.message_id.isdecimal() else 0
        found.append(Entry(raw, message.ordering_key, each["published_ns"], each.get("attempt", 0), number))
    return found


def _json(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(message)
    return found


def _read(body: Mapping[str, Any], message: Any) -> Any:
    return json_format.ParseDict(body, message, ignore_unknown_fields=True)
