"""The official clients over REST, which their system tests run beside gRPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.pubsub_v1 import PublisherClient, SchemaServiceClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherRestTransport
from google.pubsub_v1.services.schema_service.transports import SchemaServiceRestTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberRestTransport

from tests.emulator.pubsub.serving import PROJECT, Serving, new_names


def test_every_call_of_the_official_clients_is_there_over_rest(pubsub: Serving) -> None:
    """Topics, subscriptions, snapshots, schemas and policies, by the addresses and bodies that the clients make."""
    at: dict[str, Any] = {
        "host": f"127.0.0.1:{pubsub.port}", "url_scheme": "http", "credentials": AnonymousCredentials()
    }  # fmt: skip
    publisher = PublisherClient(transport=PublisherRestTransport(**at))
    subscriber = SubscriberClient(transport=SubscriberRestTransport(**at))
    schemas = SchemaServiceClient(transport=SchemaServiceRestTransport(**at))
    topic, subscription = new_names("rest-client")
    snapshot, project = topic.replace("/topics/", "/snapshots/"), f"projects/{PROJECT}"
    schema = topic.replace("/topics/", "/schemas/")
    definition = {"type_": 2, "definition": '{"type": "record", "name": "R", "fields": []}'}
    labels, labelled = {"paths": ["labels"]}, {"labels": {"a": "b"}}
    sub = {"subscription": subscription}
    ids: list[str] = []

    def pull() -> None:
        ids.extend(received.ack_id for received in subscriber.pull(**sub, max_messages=5).received_messages)

    calls: tuple[Callable[[], Any], ...] = (
        lambda: schemas.create_schema(parent=project, schema_id=schema.rpartition("/")[2], schema=definition),
        lambda: schemas.commit_schema(name=schema, schema={"name": schema, **definition}),
        lambda: schemas.rollback_schema(name=schema, revision_id=schemas.get_schema(name=schema).revision_id),
        lambda: schemas.delete_schema_revision(name=f"{schema}@{schemas.get_schema(name=schema).revision_id}"),
        lambda: list(schemas.list_schemas(parent=project)),
        lambda: list(schemas.list_schema_revisions(name=schema)),
        lambda: schemas.validate_schema(parent=project, schema=definition),
        lambda: schemas.validate_message(request={"parent": project, "name": schema, "message": b"{}", "encoding": 1}),
        lambda: publisher.create_topic(name=topic),
        lambda: publisher.update_topic(request={"topic": {"name": topic, **labelled}, "update_mask": labels}),
        lambda: publisher.get_topic(topic=topic),
        lambda: list(publisher.list_topics(project=project)),
        lambda: subscriber.create_subscription(name=subscription, topic=topic, ack_deadline_seconds=30),
        lambda: subscriber.update_subscription(
            request={"subscription": {"name": subscription, **labelled}, "update_mask": labels}
        ),
        lambda: list(subscriber.list_subscriptions(project=project)),
        lambda: list(publisher.list_topic_subscriptions(topic=topic)),
        lambda: subscriber.create_snapshot(name=snapshot, subscription=subscription),
        lambda: subscriber.update_snapshot(request={"snapshot": {"name": snapshot, **labelled}, "update_mask": labels}),
        lambda: subscriber.get_snapshot(snapshot=snapshot),
        lambda: list(subscriber.list_snapshots(project=project)),
        lambda: list(publisher.list_topic_snapshots(topic=topic)),
        lambda: publisher.publish(topic=topic, messages=[{"data": b"x"}]),
        pull,
        lambda: subscriber.modify_ack_deadline(**sub, ack_ids=ids, ack_deadline_seconds=60),
        lambda: subscriber.acknowledge(**sub, ack_ids=ids),
        lambda: subscriber.seek(request={**sub, "snapshot": snapshot}),
        lambda: subscriber.modify_push_config(**sub, push_config={}),
        lambda: publisher.set_iam_policy(request={"resource": topic, "policy": {"bindings": []}}),
        lambda: publisher.get_iam_policy(request={"resource": topic}),
        lambda: publisher.test_iam_permissions(request={"resource": topic, "permissions": ["pubsub.topics.get"]}),
        lambda: publisher.detach_subscription(request=sub),
        lambda: subscriber.delete_snapshot(snapshot=snapshot),
        lambda: subscriber.delete_subscription(**sub),
        lambda: publisher.delete_topic(topic=topic),
        lambda: schemas.delete_schema(name=schema),
    )
    for call in calls:
        call()
    assert ids, "what was published was not pulled"
