"""Cloud Storage subscriptions: what is published stands in files of the suite's own Storage."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import grpc
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import pubsub_v1, storage
from google.pubsub_v1 import PublisherClient as PublisherServiceClient
from google.pubsub_v1 import SchemaServiceClient
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport
from google.pubsub_v1.types import Encoding, Schema, Subscription

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.clock import Clock
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.protos import pubsub_v1 as protos
from afterimage_emulator.pubsub.delivery.storage_files import object_name
from afterimage_emulator.suite import Suite

PROJECT = "demo-exports"
MOMENT = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
AVRO = json.dumps({"type": "record", "name": "Thing", "fields": [{"name": "id", "type": "int"}]})
WIDER = AVRO[:-2] + ', {"name": "note", "type": "string", "default": ""}]}'


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    """Storage and Pub/Sub, at a moment that only a test moves."""
    configuration = Configuration(root=tmp_path_factory.mktemp("exports"), project_id=PROJECT)
    made = Suite(configuration, only=("storage", "pubsub"), free_ports=True, clock=Clock(frozen_at=MOMENT))
    with BackgroundSuite(made) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment().items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def publisher(suite: BackgroundSuite) -> pubsub_v1.PublisherClient:
    return pubsub_v1.PublisherClient(credentials=AnonymousCredentials())


@pytest.fixture(scope="module")
def subscriber(suite: BackgroundSuite) -> Iterator[pubsub_v1.SubscriberClient]:
    with pubsub_v1.SubscriberClient(credentials=AnonymousCredentials()) as client:
        yield client


@pytest.fixture(scope="module")
def buckets(suite: BackgroundSuite) -> storage.Client:
    return storage.Client(project=PROJECT, credentials=AnonymousCredentials())


Make = Callable[..., tuple[str, str]]


@pytest.fixture
def make(
    request: pytest.FixtureRequest, publisher: pubsub_v1.PublisherClient, subscriber: pubsub_v1.SubscriberClient
) -> Iterator[Make]:
    """A topic and its subscription with these settings; both are gone when the test ends."""
    name = re.sub(r"\W", "-", request.node.name)
    topic, subscription = f"projects/{PROJECT}/topics/{name}", f"projects/{PROJECT}/subscriptions/{name}"

    def made(config: dict[str, Any], **more: Any) -> tuple[str, str]:
        settings = more.pop("topic", {})
        publisher.create_topic(request={"name": topic, **settings})
        subscriber.create_subscription(
            request={"name": subscription, "topic": topic, "cloud_storage_config": config, **more}
        )
        return topic, subscription

    yield made
    subscriber.delete_subscription(subscription=subscription)
    publisher.delete_topic(topic=topic)


def files(buckets: storage.Client, bucket: str) -> dict[str, bytes]:
    return {blob.name: blob.download_as_bytes() for blob in buckets.list_blobs(bucket)}


def backlog(suite: BackgroundSuite, subscription: str) -> int:
    return suite.call(lambda: len(suite.suite.services["pubsub"].broker.subscription(subscription).backlog))


def send(publisher: pubsub_v1.PublisherClient, topic: str, *messages: dict[str, Any]) -> None:
    PublisherServiceClient.publish(publisher, topic=topic, messages=list(messages))


def test_text_files_hold_a_line_for_each_message(
    suite: BackgroundSuite, publisher: pubsub_v1.PublisherClient, buckets: storage.Client, make: Make
) -> None:
    """A file is written when its time has come, and its messages are acknowledged; the name says when it was begun."""
    buckets.create_bucket("texts")
    config = {
        "bucket": "texts",
        "filename_prefix": "in/",
        "filename_suffix": ".txt",
        "max_duration": timedelta(seconds=90),
    }
    topic, subscription = make(config)
    send(publisher, topic, {"data": b"one"}, {"data": b"two", "attributes": {"a": "b"}})
    suite.advance_clock(60)
    send(publisher, topic, {"data": b"three"})
    assert files(buckets, "texts") == {}
    suite.advance_clock(30)
    suite.settled()
    ((name, content),) = files(buckets, "texts").items()
    assert content == b"one\ntwo\nthree\n"
    written = re.fullmatch(r"in/(.{25})_(.{36})\.txt", name)
    assert written is not None
    assert datetime.fromisoformat(written[1]) < suite.suite.clock.now() - timedelta(seconds=80)
    assert UUID(written[2])
    assert backlog(suite, subscription) == 0


def test_a_file_is_full_by_bytes_or_by_messages(
    suite: BackgroundSuite,
    publisher: pubsub_v1.PublisherClient,
    subscriber: pubsub_v1.SubscriberClient,
    buckets: storage.Client,
    make: Make,
) -> None:
    """Without waiting for the clock; what is over begins the next file."""
    buckets.create_bucket("full")
    topic, subscription = make({"bucket": "full", "max_messages": 1000, "max_bytes": 50_000})
    send(publisher, topic, *({"data": b"x"} for _ in range(1000)))
    suite.settled()
    assert list(files(buckets, "full").values()) == [b"x\n" * 1000]
    send(publisher, topic, {"data": b"y" * 50_000}, {"data": b"z"})
    suite.settled()
    assert sorted(map(len, files(buckets, "full").values())) == [2000, 50_001]
    assert backlog(suite, subscription) == 1
    with pytest.raises(exceptions.FailedPrecondition, match="writes to a bucket"):
        subscriber.pull(subscription=subscription, max_messages=1)


def test_messages_wait_for_their_bucket(
    suite: BackgroundSuite,
    publisher: pubsub_v1.PublisherClient,
    subscriber: pubsub_v1.SubscriberClient,
    buckets: storage.Client,
    make: Make,
) -> None:
    """The subscription shows that there is none; once it is made, everything is written."""
    topic, subscription = make({"bucket": "not-yet"})
    send(publisher, topic, {"data": b"x"})
    suite.advance_clock(301)
    shown = subscriber.get_subscription(subscription=subscription)
    assert shown.state == Subscription.State.RESOURCE_ERROR
    assert shown.cloud_storage_config.state == shown.cloud_storage_config.State.NOT_FOUND
    buckets.create_bucket("not-yet")
    suite.advance_clock(10)
    suite.advance_clock(300)
    suite.settled()
    assert list(files(buckets, "not-yet").values()) == [b"x\n"]
    assert subscriber.get_subscription(subscription=subscription).state == Subscription.State.ACTIVE


def test_what_a_seek_takes_back_is_not_written_twice(
    suite: BackgroundSuite,
    publisher: pubsub_v1.PublisherClient,
    subscriber: pubsub_v1.SubscriberClient,
    buckets: storage.Client,
    make: Make,
) -> None:
    """What was gathered and is purged stands in no file."""
    buckets.create_bucket("sought")
    topic, subscription = make({"bucket": "sought"})
    send(publisher, topic, {"data": b"purged"})
    subscriber.seek(request={"subscription": subscription, "time": suite.suite.clock.now() + timedelta(days=1)})
    send(publisher, topic, {"data": b"kept"})
    suite.advance_clock(300)
    suite.settled()
    assert list(files(buckets, "sought").values()) == [b"kept\n"]


@pytest.mark.parametrize("with_metadata", [False, True])
def test_avro_files_are_read_by_others(
    suite: BackgroundSuite,
    publisher: pubsub_v1.PublisherClient,
    buckets: storage.Client,
    make: Make,
    with_metadata: bool,
) -> None:
    """The data alone, or with all that stands beside it; a key is among the attributes."""
    bucket = f"avro-{with_metadata}".lower()
    buckets.create_bucket(bucket)
    topic, subscription = make({"bucket": bucket, "avro_config": {"write_metadata": with_metadata}})
    send(publisher, topic, {"data": b"\x00\xff", "attributes": {"a": "ü"}, "ordering_key": "k"}, {"data": b"two"})
    suite.advance_clock(300)
    suite.settled()
    (content,) = files(buckets, bucket).values()
    first, second = (dict(record) for record in fastavro.reader(io.BytesIO(content)) if isinstance(record, dict))
    if not with_metadata:
        assert (first, second) == ({"data": b"\x00\xff"}, {"data": b"two"})
        return
    assert first["data"] == b"\x00\xff"
    assert first["attributes"] == {"a": "ü", "ordering_key": "k"}
    assert (first["subscription_name"], second["attributes"]) == (subscription, {})
    assert first["message_id"].isdecimal()
    assert first["publish_time"] <= suite.suite.clock.now() - timedelta(seconds=300)


@pytest.mark.parametrize("encoding", [Encoding.JSON, Encoding.BINARY])
def test_avro_files_in_the_topics_schema_hold_its_records(
    suite: BackgroundSuite,
    publisher: pubsub_v1.PublisherClient,
    buckets: storage.Client,
    make: Make,
    encoding: Encoding,
) -> None:
    """In either encoding; each revision has a file of its own."""
    name = f"topic-schema-{encoding.name.lower()}"
    buckets.create_bucket(name)
    with grpc.insecure_channel(suite.address("pubsub")) as channel:
        schemas = SchemaServiceClient(transport=SchemaServiceGrpcTransport(channel=channel))
        made = Schema(type_=Schema.Type.AVRO, definition=AVRO)
        schema = schemas.create_schema(parent=f"projects/{PROJECT}", schema_id=name, schema=made)
        settings = {"schema": schema.name, "encoding": encoding}
        topic, _ = make(
            {"bucket": name, "avro_config": {"use_topic_schema": True}}, topic={"schema_settings": settings}
        )
        wider = Schema(name=schema.name, type_=Schema.Type.AVRO, definition=WIDER)
        schemas.commit_schema(name=schema.name, schema=wider)
    as_json = encoding == Encoding.JSON
    send(publisher, topic, {"data": b'{"id": 7}' if as_json else b"\x0e"})
    send(publisher, topic, {"data": b'{"id": 8, "note": "x"}' if as_json else b"\x10\x02x"})
    suite.advance_clock(300)
    suite.settled()
    found = [record for content in files(buckets, name).values() for record in fastavro.reader(io.BytesIO(content))]
    assert sorted(found, key=str) == [{"id": 7}, {"id": 8, "note": "x"}]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"bucket": "gs://b"}, "without `gs://`"),
        ({"max_duration": timedelta(seconds=59)}, "from 60 to 600"),
        ({"max_bytes": 999}, "`max_bytes`"),
        ({"max_messages": 999}, "`max_messages`"),
        ({"filename_suffix": "x/"}, "`filename_suffix`"),
        ({"filename_datetime_format": "YYYY"}, "once each"),
        ({"filename_datetime_format": "YYYY-MM-DD hh:mm:ss"}, "no part of a time"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    suite: BackgroundSuite,
    publisher: pubsub_v1.PublisherClient,
    subscriber: pubsub_v1.SubscriberClient,
    change: dict[str, Any],
    named: str,
) -> None:
    """By the field that is wrong."""
    topic = f"projects/{PROJECT}/topics/refused"
    if topic not in [found.name for found in publisher.list_topics(project=f"projects/{PROJECT}")]:
        publisher.create_topic(name=topic)
    wanted = {"name": f"projects/{PROJECT}/subscriptions/refused", "topic": topic}
    with pytest.raises(exceptions.InvalidArgument, match=re.escape(named)):
        subscriber.create_subscription(request={**wanted, "cloud_storage_config": {"bucket": "some-bucket", **change}})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", "p2031-02-03T04:05:06+00:00_{id}s"),
        ("YYYY/MM/DD/hh_mm_ssZ", "p2031/02/03/04_05_06Z_{id}s"),
        ("YY-MM-DDThh:mm:ss/", "p31-02-03T04:05:06/{id}s"),
    ],
)
def test_files_are_named_by_the_moment_they_begin(written: str, expected: str) -> None:
    """In the format that the subscription has, or in the platform's own; a separator at its end stands for `_`."""
    config = protos.CloudStorageConfig(filename_prefix="p", filename_suffix="s", filename_datetime_format=written)
    identifier = UUID(int=5)
    assert object_name(config, MOMENT, identifier) == expected.format(id=identifier)


def test_without_storage_beside_there_is_no_such_subscription(tmp_path: Path) -> None:
    """The error says what to start."""
    configuration = Configuration(root=tmp_path, project_id="demo-no-buckets")
    with BackgroundSuite(Suite(configuration, only=("pubsub",), free_ports=True)) as running:
        broker = running.suite.services["pubsub"].broker
        topic = protos.Topic(name="projects/demo-no-buckets/topics/things")
        wanted = protos.Subscription(name="projects/demo-no-buckets/subscriptions/things", topic=topic.name)
        wanted.cloud_storage_config.bucket = "somewhere"
        running.call(lambda: broker.create_topic(topic))
        with pytest.raises(Exception, match="start `storage` too"):
            running.call(lambda: broker.create_subscription(wanted))
