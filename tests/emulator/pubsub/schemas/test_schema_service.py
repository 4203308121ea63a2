"""Schemas as google-cloud-pubsub sees them: their whole life, and topics that hold messages against them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.protobuf import field_mask_pb2
from google.pubsub_v1 import PublisherClient as PublisherServiceClient
from google.pubsub_v1 import SchemaServiceClient
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport
from google.pubsub_v1.types import Encoding, Schema, SchemaView

from afterimage_emulator.protos import pubsub_v1 as pubsub_protos
from tests.emulator.pubsub.serving import PROJECT, Serving, new_names

PARENT = f"projects/{PROJECT}"
AVRO = json.dumps({"type": "record", "name": "Thing", "fields": [{"name": "id", "type": "int"}]})
WIDER = json.dumps(
    {
        "type": "record",
        "name": "Thing",
        "fields": [{"name": "id", "type": "int"}, {"name": "note", "type": "string", "default": ""}],
    }
)
PROTO = 'syntax = "proto3"; message Thing { int64 id = 1; }'


@pytest.fixture
def schemas(pubsub: Serving) -> Iterator[SchemaServiceClient]:
    with grpc.insecure_channel(f"127.0.0.1:{pubsub.port}") as channel:
        yield SchemaServiceClient(transport=SchemaServiceGrpcTransport(channel=channel))


def create(schemas: SchemaServiceClient, definition: str = AVRO, kind: int = Schema.Type.AVRO) -> Schema:
    identifier = new_names("schema")[0].rpartition("/")[2]
    return schemas.create_schema(
        parent=PARENT, schema_id=identifier, schema=Schema(name="ignored", type_=kind, definition=definition)
    )


def commit(schemas: SchemaServiceClient, name: str, definition: str, kind: int = Schema.Type.AVRO) -> Schema:
    return schemas.commit_schema(name=name, schema=Schema(name=name, type_=kind, definition=definition))


def test_a_schema_is_made_committed_rolled_back_listed_and_deleted(schemas: SchemaServiceClient) -> None:
    """Each revision has its own id and is found by it; lists show no definitions unless they are asked for."""
    first = create(schemas)
    assert first.name.startswith(f"{PARENT}/schemas/")
    second = commit(schemas, first.name, WIDER)
    assert first.revision_id != second.revision_id
    assert len(second.revision_id) == 8
    assert schemas.get_schema(name=first.name).definition == WIDER
    assert schemas.get_schema(name=f"{first.name}@{first.revision_id}").definition == AVRO
    basic = schemas.get_schema(request={"name": first.name, "view": SchemaView.BASIC})
    assert (basic.definition, basic.revision_id) == ("", second.revision_id)
    third = schemas.rollback_schema(name=first.name, revision_id=first.revision_id)
    assert third.definition == AVRO
    ids = [first.revision_id, second.revision_id, third.revision_id]
    assert len(set(ids)) == 3
    pages = schemas.list_schema_revisions(request={"name": first.name, "page_size": 2})
    assert [revision.revision_id for revision in pages] == ids[::-1]
    listed = {schema.name: schema for schema in schemas.list_schemas(parent=PARENT)}
    assert (listed[first.name].revision_id, listed[first.name].definition) == (ids[2], "")
    full = schemas.list_schemas(request={"parent": PARENT, "view": SchemaView.FULL})
    assert {schema.name: schema.definition for schema in full}[first.name] == AVRO
    left = schemas.delete_schema_revision(name=f"{first.name}@{ids[2]}")
    assert left.revision_id == ids[1]
    schemas.delete_schema_revision(name=f"{first.name}@{ids[1]}")
    with pytest.raises(exceptions.FailedPrecondition):
        schemas.delete_schema_revision(name=f"{first.name}@{ids[0]}")
    schemas.delete_schema(name=first.name)
    for name in (first.name, f"{first.name}@{ids[0]}"):
        with pytest.raises(exceptions.NotFound):
            schemas.get_schema(name=name)


def test_what_cannot_be_a_schema_or_a_revision_is_refused(schemas: SchemaServiceClient) -> None:
    """With the platform's codes; an incompatible revision names the one that it would break."""
    made = create(schemas)
    identifier = made.name.rpartition("/")[2]
    with pytest.raises(exceptions.AlreadyExists):
        schemas.create_schema(
            parent=PARENT, schema_id=identifier, schema=Schema(type_=Schema.Type.AVRO, definition=AVRO)
        )
    for definition, kind in (("{", Schema.Type.AVRO), ("", Schema.Type.AVRO), (AVRO, 0), (AVRO, 1), ("x" * 400_000, 2)):
        with pytest.raises(exceptions.InvalidArgument, match="Invalid schema definition"):
            create(schemas, definition, kind)
        with pytest.raises(exceptions.InvalidArgument, match="Invalid schema definition"):
            schemas.validate_schema(parent=PARENT, schema=Schema(type_=kind, definition=definition))
    schemas.validate_schema(parent=PARENT, schema=Schema(type_=Schema.Type.AVRO, definition=AVRO))
    longest = json.dumps({"type": "record", "name": "R", "fields": [{"name": "x" * 100_000, "type": "nothing"}]})
    with pytest.raises(exceptions.InvalidArgument, match="x…"):
        create(schemas, longest)
    narrower = json.dumps({"type": "record", "name": "Thing", "fields": []})
    wider = commit(schemas, made.name, WIDER)
    with pytest.raises(exceptions.InvalidArgument, match=f"previous revision: {wider.revision_id}"):
        commit(schemas, made.name, narrower)
    with pytest.raises(exceptions.InvalidArgument, match="cannot change"):
        commit(schemas, made.name, PROTO, Schema.Type.PROTOCOL_BUFFER)
    with pytest.raises(exceptions.NotFound):
        schemas.rollback_schema(name=made.name, revision_id="00000000")
    for _ in range(18):
        commit(schemas, made.name, AVRO)
    with pytest.raises(exceptions.ResourceExhausted):
        commit(schemas, made.name, AVRO)


def test_a_message_is_tried_against_a_schema_by_name_or_by_definition(schemas: SchemaServiceClient) -> None:
    """In both encodings, without publishing anything."""
    made = create(schemas, PROTO, Schema.Type.PROTOCOL_BUFFER)
    own = Schema(type_=Schema.Type.PROTOCOL_BUFFER, definition=PROTO)
    for spec in ({"name": made.name}, {"name": f"{made.name}@{made.revision_id}"}, {"schema": own}):
        for message, encoding, fits in (
            (b'{"id": "7"}', Encoding.JSON, True),
            (b"\x08\x07", Encoding.BINARY, True),
            (b"{", Encoding.JSON, False),
            (b"\x10\x07", Encoding.BINARY, False),
        ):
            asked = {"parent": PARENT, "message": message, "encoding": encoding, **spec}
            if fits:
                schemas.validate_message(request=asked)
            else:
                with pytest.raises(exceptions.InvalidArgument, match="failed schema validation"):
                    schemas.validate_message(request=asked)
    with pytest.raises(exceptions.InvalidArgument, match="`encoding`"):
        schemas.validate_message(request={"parent": PARENT, "message": b"", "name": made.name})


def test_a_topic_takes_what_fits_a_revision_of_its_range(
    publisher: pubsub_v1.PublisherClient, subscriber: pubsub_v1.SubscriberClient, schemas: SchemaServiceClient
) -> None:
    """One bad message fails its whole request; what is taken says which revision it was held against."""
    made = create(schemas)
    wider = commit(schemas, made.name, WIDER)
    topic, subscription = new_names()
    settings: dict[str, Any] = {"schema": made.name, "encoding": Encoding.JSON, "last_revision_id": made.revision_id}
    publisher.create_topic(request={"name": topic, "schema_settings": settings})
    subscriber.create_subscription(name=subscription, topic=topic)
    narrow, wide = {"data": b'{"id": 1}'}, {"data": b'{"id": 1, "note": "x"}'}
    with pytest.raises(exceptions.InvalidArgument, match="Invalid data in message"):
        PublisherServiceClient.publish(publisher, topic=topic, messages=[narrow, wide])
    settings["last_revision_id"] = wider.revision_id
    mask = field_mask_pb2.FieldMask(paths=["schema_settings.last_revision_id"])
    publisher.update_topic(request={"topic": {"name": topic, "schema_settings": settings}, "update_mask": mask})
    PublisherServiceClient.publish(publisher, topic=topic, messages=[narrow, wide])
    received = subscriber.pull(subscription=subscription, max_messages=10).received_messages
    assert [dict(message.message.attributes) for message in received] == [
        {
            "googclient_schemaname": made.name,
            "googclient_schemarevisionid": revision.revision_id,
            "googclient_schemaencoding": "JSON",
        }
        for revision in (made, wider)
    ]
    schemas.delete_schema(name=made.name)
    assert publisher.get_topic(topic=topic).schema_settings.schema == "_deleted-schema_"
    with pytest.raises(exceptions.FailedPrecondition, match="schema is deleted"):
        PublisherServiceClient.publish(publisher, topic=topic, messages=[narrow])
    mask = field_mask_pb2.FieldMask(paths=["schema_settings"])
    publisher.update_topic(request={"topic": {"name": topic}, "update_mask": mask})
    PublisherServiceClient.publish(publisher, topic=topic, messages=[{"data": b"anything"}])


def test_others_are_answered_while_a_long_message_is_read(
    pubsub: Serving, publisher: pubsub_v1.PublisherClient, schemas: SchemaServiceClient
) -> None:
    """Long messages are read in turns, one after another; a short one, and whoever else asks, goes between them."""
    definition = {"type": "record", "name": "R", "fields": [{"name": "all", "type": {"type": "array", "items": "int"}}]}
    made = create(schemas, json.dumps(definition))
    topic, _ = new_names()
    publisher.create_topic(request={"name": topic, "schema_settings": {"schema": made.name, "encoding": 1}})
    long, short = b'{"all":[' + b"1," * 200_000 + b"1]}", b'{"all":[]}'

    async def all_at_once() -> list[str]:
        ended: list[str] = []

        async def publish(name: str, data: bytes) -> None:
            await pubsub.service.broker.publish_in_turns(topic, [pubsub_protos.PubsubMessage(data=data)])
            ended.append(name)

        await asyncio.gather(publish("long", long), publish("longer", long), publish("short", short))
        return ended

    assert pubsub.run(all_at_once()) == ["short", "long", "longer"]


def test_a_dead_letter_topic_that_does_not_take_a_message_leaves_it_where_it_is(
    publisher: pubsub_v1.PublisherClient, subscriber: pubsub_v1.SubscriberClient, schemas: SchemaServiceClient
) -> None:
    """Its schema refuses the message, or would take too long to be asked: pulling goes on, and nothing is lost."""
    definition = {"type": "record", "name": "R", "fields": [{"name": "all", "type": {"type": "array", "items": "int"}}]}
    made = create(schemas, json.dumps(definition))
    letters, _ = new_names("letters")
    publisher.create_topic(request={"name": letters, "schema_settings": {"schema": made.name, "encoding": 1}})
    for data in (b"no JSON", b'{"all":[' + b"1," * 50_000 + b"1]}"):
        topic, subscription = new_names()
        publisher.create_topic(name=topic)
        policy = {"dead_letter_topic": letters, "max_delivery_attempts": 5}
        subscriber.create_subscription(
            request={
                "name": subscription,
                "topic": topic,
                "dead_letter_policy": policy,
                "retry_policy": {"minimum_backoff": {}},
            }
        )
        PublisherServiceClient.publish(publisher, topic=topic, messages=[{"data": data}])
        for attempt in range(1, 8):
            [received] = subscriber.pull(subscription=subscription, max_messages=1).received_messages
            assert (received.message.data, received.delivery_attempt) == (data, attempt)
            subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=0)


def test_a_topic_names_a_schema_that_is_there(
    publisher: pubsub_v1.PublisherClient, schemas: SchemaServiceClient
) -> None:
    """With an encoding, and with revisions in their order."""
    made = create(schemas)
    wider = commit(schemas, made.name, WIDER)
    topic, _ = new_names()
    upside_down = {"first_revision_id": wider.revision_id, "last_revision_id": made.revision_id}
    for settings, error in (
        ({"schema": f"{PARENT}/schemas/missing", "encoding": 1}, exceptions.NotFound),
        ({"schema": made.name}, exceptions.InvalidArgument),
        ({"schema": made.name, "encoding": 1, "first_revision_id": "00000000"}, exceptions.NotFound),
        ({"schema": made.name, "encoding": 1, **upside_down}, exceptions.InvalidArgument),
    ):
        with pytest.raises(error):
            publisher.create_topic(request={"name": topic, "schema_settings": settings})


def test_rest_has_schemas_too(pubsub: Serving) -> None:
    """Every method by its address, with the same errors."""
    identifier = new_names("rest-schema")[0].rpartition("/")[2]
    definition = {"type": "AVRO", "definition": AVRO}
    status, made = pubsub.rest("POST", f"{PARENT}/schemas?schemaId={identifier}", definition)
    assert (status, made["type"], made["definition"]) == (200, "AVRO", AVRO)
    name, first = made["name"], made["revisionId"]
    wider = {"name": name, "schema": {"name": name, "type": "AVRO", "definition": WIDER}}
    status, second = pubsub.rest("POST", f"{name}:commit", wider)
    assert status == 200
    assert pubsub.rest("GET", f"{name}?view=BASIC")[1].get("definition") is None
    assert pubsub.rest("GET", f"{name}@{first}")[1]["definition"] == AVRO
    assert len(pubsub.rest("GET", f"{name}:listRevisions")[1]["schemas"]) == 2
    status, third = pubsub.rest("POST", f"{name}:rollback", {"revisionId": first})
    assert (status, third["definition"]) == (200, AVRO)
    assert pubsub.rest("DELETE", f"{name}@{second['revisionId']}:deleteRevision")[0] == 200
    message = {"message": base64.b64encode(b'{"id": 1}').decode(), "encoding": "JSON"}
    assert pubsub.rest("POST", f"{PARENT}/schemas:validateMessage", {"name": name, **message}) == (200, {})
    assert pubsub.rest("POST", f"{PARENT}/schemas:validate", {"schema": definition}) == (200, {})
    assert pubsub.rest("POST", f"{PARENT}/schemas:validate", {"schema": {"type": "AVRO"}})[0] == 400
    assert any(each["name"] == name for each in pubsub.rest("GET", f"{PARENT}/schemas?pageSize=1000")[1]["schemas"])
    assert pubsub.rest("DELETE", name) == (200, {})
    assert pubsub.rest("GET", name)[0] == 404


def test_schemas_come_back_from_an_export_as_they_were(
    pubsub: Serving,
    publisher: pubsub_v1.PublisherClient,
    subscriber: pubsub_v1.SubscriberClient,
    schemas: SchemaServiceClient,
    tmp_path: Path,
) -> None:
    """Revisions with their ids and times; topics go on holding messages against theirs, and commits are compared."""
    made = create(schemas)
    wider = commit(schemas, made.name, WIDER)
    proto = create(schemas, PROTO, Schema.Type.PROTOCOL_BUFFER)
    gone = create(schemas)
    topics = [new_names("restored")[0] for _ in range(3)]
    subscription = new_names("restored")[1]
    settings = (
        {"schema": made.name, "encoding": Encoding.JSON, "last_revision_id": made.revision_id},
        {"schema": proto.name, "encoding": Encoding.BINARY},
        {"schema": gone.name, "encoding": Encoding.JSON},
    )
    for topic, each in zip(topics, settings, strict=True):
        publisher.create_topic(request={"name": topic, "schema_settings": each})
    schemas.delete_schema(name=gone.name)
    subscriber.create_subscription(name=subscription, topic=topics[0])
    PublisherServiceClient.publish(publisher, topic=topics[0], messages=[{"data": b'{"id": 1}'}])
    before = list(schemas.list_schema_revisions(request={"name": made.name, "view": SchemaView.FULL}))
    pubsub.run(pubsub.service.export_to(tmp_path))
    pubsub.call(pubsub.service.reset)
    with pytest.raises(exceptions.NotFound):
        schemas.get_schema(name=made.name)
    pubsub.run(pubsub.service.import_from(tmp_path))
    assert list(schemas.list_schema_revisions(request={"name": made.name, "view": SchemaView.FULL})) == before
    assert schemas.get_schema(name=f"{made.name}@{wider.revision_id}").definition == WIDER
    [received] = subscriber.pull(subscription=subscription, max_messages=5).received_messages
    assert received.message.attributes["googclient_schemarevisionid"] == made.revision_id
    with pytest.raises(exceptions.InvalidArgument, match="schema validation"):
        PublisherServiceClient.publish(publisher, topic=topics[0], messages=[{"data": b'{"id": 1, "note": ""}'}])
    PublisherServiceClient.publish(publisher, topic=topics[1], messages=[{"data": b"\x08\x01"}])
    with pytest.raises(exceptions.InvalidArgument, match="schema validation"):
        PublisherServiceClient.publish(publisher, topic=topics[1], messages=[{"data": b"\x10\x01"}])
    with pytest.raises(exceptions.FailedPrecondition, match="schema is deleted"):
        PublisherServiceClient.publish(publisher, topic=topics[2], messages=[{"data": b"{}"}])
    with pytest.raises(exceptions.InvalidArgument, match="incompatible"):
        commit(schemas, proto.name, PROTO.replace("int64", "string"), Schema.Type.PROTOCOL_BUFFER)
    assert commit(schemas, made.name, AVRO).revision_id not in {each.revision_id for each in before}


def test_a_subscription_comes_back_although_its_topics_are_gone(
    pubsub: Serving, publisher: pubsub_v1.PublisherClient, subscriber: pubsub_v1.SubscriberClient, tmp_path: Path
) -> None:
    """Deleting topics is allowed, so an export without them is one that starts a suite."""
    (topic, subscription), (letters, detached) = new_names(), new_names("letters")
    for name in (topic, letters):
        publisher.create_topic(name=name)
    subscriber.create_subscription(name=detached, topic=letters)
    publisher.detach_subscription(request={"subscription": detached})
    policy = {"dead_letter_topic": letters}
    subscriber.create_subscription(request={"name": subscription, "topic": topic, "dead_letter_policy": policy})
    publisher.delete_topic(topic=letters)
    assert subscriber.get_subscription(subscription=detached).topic == "_deleted-topic_"
    publisher.publish(topic, b"x").result(20)
    pubsub.run(pubsub.service.export_to(tmp_path))
    pubsub.call(pubsub.service.reset)
    pubsub.run(pubsub.service.import_from(tmp_path))
    assert subscriber.pull(subscription=subscription, max_messages=1).received_messages[0].message.data == b"x"
    assert subscriber.get_subscription(subscription=detached).detached
