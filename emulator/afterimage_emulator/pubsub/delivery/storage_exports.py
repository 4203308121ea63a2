"""Cloud Storage subscriptions: messages are gathered and written to a bucket as files, and so acknowledged."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.delivery.storage_files import avro_file, object_name, text_file
from afterimage_emulator.pubsub.schemas.registry import Revision, Schemas
from afterimage_emulator.pubsub.topics.backlog import Entry
from afterimage_emulator.pubsub.topics.subscriptions import Subscription
from afterimage_emulator.status import StatusError
from afterimage_emulator.turns import worked_off

LOOK_AGAIN_SECONDS: Final = 10.0
_FOR_EVER_SECONDS: Final = 400 * 24 * 3600.0
_TAKEN_AT_ONCE: Final = 1_000
_log = logging.getLogger("afterimage_emulator.pubsub")


@dataclass(frozen=True, kw_only=True, slots=True)
class Buckets:
    """What the Storage beside can do."""

    exists: Callable[[str], bool]
    write: Callable[[str, str, bytes, str], Awaitable[None]]
    """Bucket, name, content and its type."""


class BucketExports:
    """One open file for each subscription that has a bucket; the suite's clock closes it."""

    def __init__(self, *, clock: Clock, activity: Activity, schemas: Schemas, buckets: Buckets) -> None:
        self._clock = clock
        self._activity = activity
        self._schemas = schemas
        self._buckets = buckets
        self._open: dict[Subscription, _OpenFile] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def update(self, subscription: Subscription) -> None:
        if not subscription.exports:
            self.stop(subscription)
            return
        if subscription not in self._open:
            self._open[subscription] = _OpenFile(subscription, clock=self._clock, write=self._write)
        self._open[subscription].look()

    def stop(self, subscription: Subscription) -> None:
        file = self._open.pop(subscription, None)
        if file is not None:
            file.end()

    async def close(self) -> None:
        for subscription in list(self._open):
            self.stop(subscription)
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _write(self, subscription: Subscription, opened: datetime, entries: Mapping[str, Entry]) -> bool:
        """False where there is no bucket to write to; the subscription shows which it is."""
        bucket = subscription.settings.cloud_storage_config.bucket
        found = self._buckets.exists(bucket)
        if found == subscription.is_broken:
            told = "is there again" if found else "does not exist: its messages wait"
            _log.warning("%s: the bucket `%s` %s", subscription.name, bucket, told)
        subscription.show_bucket(found=found)
        if found and entries:
            self._activity.begin(f"export of {subscription.name}")
            task = asyncio.get_running_loop().create_task(self._write_all(subscription, opened, entries))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        return found

    async def _write_all(self, subscription: Subscription, opened: datetime, entries: Mapping[str, Entry]) -> None:
        config = subscription.settings.cloud_storage_config
        left = dict(entries)
        try:
            for revision, ack_ids in self._by_revision(config, entries):
                messages = [pubsub_v1.PubsubMessage.FromString(entries[ack_id].raw) for ack_id in ack_ids]
                if config.HasField("avro_config"):
                    file = avro_file(
                        messages,
                        subscription=subscription.name,
                        with_metadata=config.avro_config.write_metadata,
                        revision=revision,
                        sync=uuid.uuid4().bytes,
                    )
                    content_type, body = "application/octet-stream", await worked_off(file, self._schemas.reading)
                else:
                    content_type, body = "text/plain", text_file(messages)
                await self._buckets.write(config.bucket, object_name(config, opened, uuid.uuid4()), body, content_type)
                subscription.backlog.acknowledge(ack_ids)
                for ack_id in ack_ids:
                    del left[ack_id]
            subscription.idleness.touch()
        except (StatusError, OSError) as error:
            _log.warning("%s could not write to `%s`: %s", subscription.name, config.bucket, error)
            self._clock.call_later(LOOK_AGAIN_SECONDS, lambda: subscription.backlog.modify(list(left), 0))
        finally:
            self._activity.end(f"export of {subscription.name}")

    def _by_revision(
        self, config: pubsub_v1.CloudStorageConfig, entries: Mapping[str, Entry]
    ) -> list[tuple[Revision | None, list[str]]]:
        """A file has one schema: messages of several revisions are written to as many files."""
        if not config.avro_config.use_topic_schema:
            return [(None, list(entries))]
        found: dict[Revision | None, list[str]] = {}
        for ack_id, entry in entries.items():
            attributes = pubsub_v1.PubsubMessage.FromString(entry.raw).attributes
            revision = self._schemas.avro_revision(
                attributes.get("googclient_schemaname", ""), attributes.get("googclient_schemarevisionid", "")
            )
            found.setdefault(revision, []).append(ack_id)
        return list(found.items())


class _OpenFile:
    """What has been gathered since the last file, and when it is enough."""

    def __init__(
        self,
        subscription: Subscription,
        *,
        clock: Clock,
        write: Callable[[Subscription, datetime, Mapping[str, Entry]], bool],
    ) -> None:
        self._subscription = subscription
        self._clock = clock
        self._write = write
        self._entries: dict[str, Entry] = {}
        self._size_bytes = 0
        self._opened_ns = 0
        self._timer: Timer | None = None
        self._forget = subscription.on_available(self._gather)

    def look(self) -> None:
        """Whether there is a bucket, at first and when the settings have changed; without one, again in a while."""
        if self._write(self._subscription, datetime.now(UTC), {}):
            self._gather()
        else:
            self._do_in(LOOK_AGAIN_SECONDS, self.look)

    def end(self) -> None:
        """What was gathered waits for whoever comes next."""
        self._forget()
        self._stop_timer()
        entries, self._entries = self._entries, {}
        self._subscription.backlog.modify(list(entries), 0)

    def _gather(self) -> None:
        if self._subscription.is_broken:
            return
        config = self._subscription.settings.cloud_storage_config
        while True:
            room = config.max_messages - len(self._entries) if config.max_messages else _TAKEN_AT_ONCE
            taken = self._subscription.backlog.take(
                count=min(room, _TAKEN_AT_ONCE), deadline_seconds=_FOR_EVER_SECONDS, settled=self._settled
            )
            if not taken:
                return
            if not self._entries:
                self._opened_ns = self._clock.now_ns()
                self._do_in(config.max_duration.ToNanoseconds() / NANOS_PER_SECOND, self._close)
            self._entries.update(taken)
            self._size_bytes += sum(len(entry.raw) for _, entry in taken)
            is_full = config.max_bytes and self._size_bytes >= config.max_bytes
            if (is_full or (config.max_messages and len(self._entries) >= config.max_messages)) and not self._written():
                return

    def _close(self) -> None:
        if self._written():
            self._gather()

    def _written(self) -> bool:
        opened = datetime.fromtimestamp(self._opened_ns // NANOS_PER_SECOND, UTC)
        if not self._write(self._subscription, opened, dict(self._entries)):
            self._do_in(LOOK_AGAIN_SECONDS, self._close)
            return False
        self._stop_timer()
        self._entries.clear()
        self._size_bytes = 0
        return True

    def _settled(self, ack_id: str, entry: Entry) -> None:
        """A seek has taken it back before it was written."""
        if self._entries.pop(ack_id, None) is not None:
            self._size_bytes -= len(entry.raw)

    def _do_in(self, seconds: float, what: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._clock.call_later(seconds, what)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
