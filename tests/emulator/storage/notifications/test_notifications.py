"""Notifications to the suite's Pub/Sub, through the official clients of both services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import pubsub_v1, storage
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.suite import Suite

PROJECT = "demo-notified"


class Notified:
    """A bucket, a topic, and a subscription that hears what the topic is told."""

    def __init__(self, suite: BackgroundSuite, number: int) -> None:
        addresses = suite.suite.addresses()
        self.origin = f"http://{addresses['storage']}"
        channel = grpc.insecure_channel(str(addresses["pubsub"]))
        self.publisher = pubsub_v1.PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        self.subscriber = pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        self.topic = f"topic-{number}"
        self.path = f"projects/{PROJECT}/topics/{self.topic}"
        self.subscription = f"projects/{PROJECT}/subscriptions/subscription-{number}"
        self.publisher.create_topic(name=self.path)
        self.subscriber.create_subscription(name=self.subscription, topic=self.path)
        self.client = storage.Client(
            project=PROJECT, credentials=AnonymousCredentials(), client_options={"api_endpoint": self.origin}
        )
        self.bucket = self.client.create_bucket(f"notified-{number}")
        self.url = f"{self.origin}/storage/v1/b/{self.bucket.name}/notificationConfigs"

    def heard(self, count: int) -> list[Any]:
        """So many messages, in their order."""
        messages: list[Any] = []
        while len(messages) < count:
            answer = self.subscriber.pull(subscription=self.subscription, max_messages=100, timeout=30)
            messages += [received.message for received in answer.received_messages]
            ids = [received.ack_id for received in answer.received_messages]
            if ids:
                self.subscriber.acknowledge(subscription=self.subscription, ack_ids=ids)
        return messages


@pytest.fixture(scope="module")
def suite() -> Iterator[BackgroundSuite]:
    with BackgroundSuite(Suite(only=("storage", "pubsub"), project_id=PROJECT, free_ports=True)) as running:
        yield running


_count = iter(range(1000))


@pytest.fixture
def notified(suite: BackgroundSuite) -> Notified:
    return Notified(suite, next(_count))


def test_a_life_is_told_to_the_topic(notified: Notified) -> None:
    """Written, changed, overwritten, deleted: each with its attributes, the resource as payload, and own attributes."""
    notification = notified.bucket.notification(
        topic_name=notified.topic,
        topic_project=PROJECT,
        custom_attributes={"team": "blue", "eventType": "mine"},
        payload_format="JSON_API_V1",
    )
    notification.create()
    first = notified.bucket.blob("a")
    first.upload_from_string("1", content_type="text/plain")
    first.metadata = {"k": "v"}
    first.patch()
    second = notified.bucket.blob("a")
    second.upload_from_string("2")
    second.delete()
    messages = notified.heard(5)
    told = [(message.attributes["eventType"], message.attributes["objectGeneration"]) for message in messages]
    old, new = str(first.generation), str(second.generation)
    assert told == [
        ("OBJECT_FINALIZE", old),
        ("OBJECT_METADATA_UPDATE", old),
        ("OBJECT_FINALIZE", new),
        ("OBJECT_DELETE", old),
        ("OBJECT_DELETE", new),
    ]
    attributes = dict(messages[0].attributes)
    assert attributes.pop("eventTime").endswith("Z")
    assert attributes == {
        "notificationConfig": f"projects/_/buckets/{notified.bucket.name}/notificationConfigs/"
        f"{notification.notification_id}",
        "eventType": "OBJECT_FINALIZE",
        "payloadFormat": "JSON_API_V1",
        "bucketId": notified.bucket.name,
        "objectId": "a",
        "objectGeneration": old,
        "team": "blue",
    }
    assert messages[2].attributes["overwroteGeneration"] == old
    assert messages[3].attributes["overwrittenByGeneration"] == new
    assert "overwrittenByGeneration" not in messages[4].attributes
    resource = json.loads(messages[1].data)
    assert (resource["kind"], resource["metadata"], resource["contentType"]) == (
        "storage#object",
        {"k": "v"},
        "text/plain",
    )
    assert "timeDeleted" not in json.loads(messages[4].data)


def test_archiving_is_told_and_prefixes_and_types_choose(notified: Notified) -> None:
    """Only what the configuration names; a payload of NONE is empty; a versioned bucket archives."""
    notified.bucket.versioning_enabled = True
    notified.bucket.patch()
    notification = notified.bucket.notification(
        topic_name=notified.topic,
        topic_project=PROJECT,
        event_types=["OBJECT_ARCHIVE", "OBJECT_UNHEARD_OF"],
        blob_name_prefix="in/",
        payload_format="NONE",
    )
    notification.create()
    for name in ("out/a", "in/a"):
        for content in "12":
            notified.bucket.blob(name).upload_from_string(content)
    notified.bucket.blob("in/a").delete()
    messages = notified.heard(2)
    assert [(message.attributes["eventType"], message.attributes["objectId"]) for message in messages] == [
        ("OBJECT_ARCHIVE", "in/a"),
        ("OBJECT_ARCHIVE", "in/a"),
    ]
    assert ["overwrittenByGeneration" in message.attributes for message in messages] == [True, False]
    assert messages[0].data == b""
    assert requests.get(f"{notified.url}/{notification.notification_id}", timeout=30).json()["event_types"] == [
        "OBJECT_ARCHIVE"
    ]


def test_configurations_are_listed_and_deleted(notified: Notified) -> None:
    """Their ids are the bucket's metageneration, and never come again; after the end nothing is told."""
    assert "items" not in requests.get(notified.url, timeout=30).json()
    made = [
        notified.bucket.notification(topic_name=notified.topic, topic_project=PROJECT, payload_format="NONE")
        for _ in range(2)
    ]
    for one in made:
        one.create()
    assert [one.notification_id for one in notified.bucket.list_notifications()] == ["2", "3"]
    assert made[0].exists()
    made[0].delete()
    assert not made[0].exists()
    with pytest.raises(exceptions.NotFound):
        made[0].delete()
    made[1].delete()
    notified.bucket.blob("a").upload_from_string("x")
    again = notified.bucket.notification(topic_name=notified.topic, topic_project=PROJECT, payload_format="NONE")
    again.create()
    assert again.notification_id == "6"
    notified.bucket.blob("b").upload_from_string("x")
    [message] = notified.heard(1)
    assert message.attributes["objectId"] == "b"


def test_a_topic_that_goes_is_told_nothing(notified: Notified) -> None:
    """The upload is done all the same, as in production."""
    notified.bucket.notification(topic_name=notified.topic, topic_project=PROJECT, payload_format="NONE").create()
    notified.publisher.delete_topic(topic=notified.path)
    notified.bucket.blob("a").upload_from_string("x")
    assert notified.bucket.blob("a").exists()


def test_configurations_that_cannot_be_are_refused(notified: Notified) -> None:
    """400 with the field's name, and the bucket tells nobody."""
    good: dict[str, Any] = {"topic": f"//pubsub.googleapis.com/{notified.path}", "payload_format": "NONE"}
    bad: list[dict[str, Any]] = [
        {"payload_format": "NONE"},
        {"topic": good["topic"]},
        {**good, "topic": "nonsense"},
        {**good, "topic": f"projects/{PROJECT}/topics/no-such-topic"},
        {**good, "payload_format": "XML"},
        {**good, "event_types": "OBJECT_DELETE"},
        {**good, "event_types": 0},
        {**good, "object_name_prefix": 0},
        {**good, "custom_attributes": {"a": 1}},
        {**good, "custom_attributes": {"a": "x" * 1025}},
        {**good, "custom_attributes": {f"{number}": "x" for number in range(11)}},
        {**good, "custom_attributes": {"": "x"}},
        {**good, "object_name_prefix": "x" * 1025},
        {**good, "object_name_prefix": 5},
    ]
    for body in bad:
        answer = requests.post(notified.url, json=body, timeout=30)
        assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) in (
            (400, "invalid"),
            (400, "required"),
        ), body
    assert "items" not in requests.get(notified.url, timeout=30).json()
    for _ in range(10):
        assert requests.post(notified.url, json=good, timeout=30).status_code == 200
    assert "overlapping" in requests.post(notified.url, json=good, timeout=30).text
    absent = requests.post(notified.url.replace(notified.bucket.name, "no-such-bucket"), json=good, timeout=30)
    assert absent.status_code == 404
    assert notified.client.get_service_account_email().endswith("gserviceaccount.com")
