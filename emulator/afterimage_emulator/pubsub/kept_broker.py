"""What Pub/Sub keeps of itself: which key stands for what, its value, and all of it taken back at the next start."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.durable.plain_values import written
from afterimage_emulator.protos import iam_v1, pubsub_v1
from afterimage_emulator.protos.message import Message
from afterimage_emulator.pubsub.topics.backlog import Entry
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.pubsub.topics.snapshots import Snapshot
from afterimage_emulator.status import StatusError

Found = Mapping[str, bytes]
"""By what stands in the key behind its kind."""
_log = logging.getLogger("afterimage_emulator.pubsub")


class KeptBroker:
    """Messages are told where they come and go; everything else is looked up by its name."""

    def __init__(self, keeping: KeptEntries, broker: Broker) -> None:
        self._broker = broker
        self._readers: Mapping[str, Callable[[str], bytes | None]] = {
            "topic": lambda name: _bytes(broker.find_topic(name)),
            "subscription": self._read_subscription,
            "schema": self._read_schema,
            "snapshot": self._read_snapshot,
            "policy": lambda resource: _bytes(broker.policies.find(resource)),
            "number": lambda _: str(broker.last_number).encode(),
        }
        keeping.hold(read=self._read, restore=self._take_back)

    # -- reading

    def _read(self, key: str) -> bytes | None:
        kind, _, name = key.partition("/")
        reader = self._readers.get(kind)
        return None if reader is None else reader(name)  # messages are gone with all else at a reset

    def _read_subscription(self, name: str) -> bytes | None:
        subscription = self._broker.find_subscription(name)
        if subscription is None:
            return None
        return (b"f" if subscription.for_function else b"-") + subscription.settings.SerializeToString(
            deterministic=True
        )

    def _read_schema(self, name: str) -> bytes | None:
        schema = self._broker.schemas.find(name)
        return None if schema is None else written([_text(revision.shown) for revision in schema.revisions])

    def _read_snapshot(self, name: str) -> bytes | None:
        snapshot = self._broker.snapshots.find(name)
        if snapshot is None:
            return None
        messages = [base64.b64encode(entry.raw).decode() for entry in snapshot.unacknowledged]
        return written({"shown": _text(snapshot.shown), "last": snapshot.last_number, "messages": messages})

    # -- taking back

    def _take_back(self, entries: Mapping[str, bytes]) -> None:
        found: dict[str, dict[str, bytes]] = {}
        for key, value in entries.items():
            kind, _, rest = key.partition("/")
            found.setdefault(kind, {})[rest] = value
        broker = self._broker
        for name, value in found.get("schema", {}).items():
            broker.schemas.adopt(name, [_parsed(pubsub_v1.Schema, text) for text in json.loads(value)])
        for value in found.get("topic", {}).values():
            broker.adopt_topic(pubsub_v1.Topic.FromString(value))
        # Snapshots first: without them a topic that retains nothing would forget what they need.
        for value in found.get("snapshot", {}).values():
            broker.snapshots.adopt(_snapshot(json.loads(value)))
        for topic, logged in _by_owner(found.get("log", {})).items():
            if topic in broker.snapshots.logs:
                for entry in _in_order(logged):
                    broker.snapshots.logs[topic].add(entry, entry.published_ns)
        self._take_subscriptions(found)
        for resource, value in found.get("policy", {}).items():
            broker.policies.adopt(resource, iam_v1.Policy.FromString(value))
        last = int(found.get("number", {}).get("last", b"0"))
        broker.last_number = last or broker.last_number

    def _take_subscriptions(self, found: Mapping[str, Found]) -> None:
        """One that cannot be made as this suite is started stays where it is kept, with its messages."""
        messages, acknowledged = _by_owner(found.get("message", {})), _by_owner(found.get("acked", {}))
        attempts = found.get("attempts", {})
        for name, value in found.get("subscription", {}).items():
            settings = pubsub_v1.Subscription.FromString(value[1:])
            try:
                subscription = self._broker.create_subscription(settings, restored=True)
            except StatusError as error:
                _log.warning("`%s` waits for another start: %s", name, error.message)
                continue
            if value[:1] == b"f":
                subscription.serve_function()
            if settings.detached:
                self._broker.detach(subscription)
            for entry in _in_order(messages.get(name, {})):
                entry.attempt = int(attempts.get(f"{name}#{entry.number}", b"0"))
                subscription.accept(entry, pubsub_v1.PubsubMessage.FromString(entry.raw).attributes)
            for entry in _in_order(acknowledged.get(name, {})):
                subscription.kept.add(entry, 0)


def _by_owner(found: Found) -> dict[str, dict[int, bytes]]:
    owned: dict[str, dict[int, bytes]] = {}
    for key, raw in found.items():
        owner, _, number = key.rpartition("#")
        owned.setdefault(owner, {})[int(number)] = raw
    return owned


def _in_order(messages: Mapping[int, bytes]) -> Iterable[Entry]:
    return [_entry(raw) for _, raw in sorted(messages.items())]


def _entry(raw: bytes) -> Entry:
    message = pubsub_v1.PubsubMessage.FromString(raw)
    return Entry(raw, message.ordering_key, message.publish_time.ToNanoseconds(), 0, int(message.message_id))


def _snapshot(said: Mapping[str, Any]) -> Snapshot:
    kept: Sequence[Entry] = [_entry(base64.b64decode(raw)) for raw in said["messages"]]
    return Snapshot(_parsed(pubsub_v1.Snapshot, said["shown"]), kept, said["last"])


def _bytes(message: Message | None) -> bytes | None:
    return None if message is None else message.SerializeToString(deterministic=True)


def _text(message: Message) -> str:
    return base64.b64encode(message.SerializeToString(deterministic=True)).decode()


def _parsed(kind: Any, text: str) -> Any:
    return kind.FromString(base64.b64decode(text))
