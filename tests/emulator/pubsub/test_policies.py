"""IAM beside the API, on the channel of the same clients: kept, answered, and asked by nobody."""

from __future__ import annotations

import pytest
from google.api_core import exceptions

from tests.emulator.pubsub.serving import PROJECT, Serving, new_names
from tests.emulator.pubsub.test_official_client import Publisher, Subscriber


def test_policies_are_read_set_and_tested(publisher: Publisher, subscriber: Subscriber) -> None:
    """Of topics, subscriptions and snapshots; a policy that has changed meanwhile is not written over."""
    topic, subscription = new_names("iam")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    snapshot = subscriber.create_snapshot(request={"subscription": subscription}).name
    for client, resource in ((publisher, topic), (subscriber, subscription), (subscriber, snapshot)):
        empty = client.get_iam_policy(request={"resource": resource})
        assert len(empty.bindings) == 0
        empty.bindings.add(role="roles/pubsub.publisher", members=["allUsers"])
        kept = client.set_iam_policy(request={"resource": resource, "policy": empty})
        assert client.get_iam_policy(request={"resource": resource}) == kept
        with pytest.raises(exceptions.Aborted, match="has changed"):
            client.set_iam_policy(request={"resource": resource, "policy": empty})
        asked = ["pubsub.topics.publish", "pubsub.topics.get"]
        tested = client.test_iam_permissions(request={"resource": resource, "permissions": asked})
        assert list(tested.permissions) == asked
    publisher.delete_topic(topic=topic)
    publisher.create_topic(name=topic)
    assert len(publisher.get_iam_policy(request={"resource": topic}).bindings) == 0


def test_what_is_not_there_has_no_policy_and_no_permissions(pubsub: Serving, publisher: Publisher) -> None:
    """Reading and writing answer NOT_FOUND, testing answers with nothing, as in production."""
    missing = f"projects/{PROJECT}/topics/iam-missing"
    with pytest.raises(exceptions.NotFound):
        publisher.get_iam_policy(request={"resource": missing})
    with pytest.raises(exceptions.NotFound):
        publisher.set_iam_policy(request={"resource": missing, "policy": {}})
    tested = publisher.test_iam_permissions(request={"resource": missing, "permissions": ["pubsub.topics.get"]})
    assert list(tested.permissions) == []
    with pytest.raises(exceptions.InvalidArgument):
        publisher.get_iam_policy(request={"resource": "nonsense"})


def test_rest_has_policies_too(pubsub: Serving, publisher: Publisher) -> None:
    """With the verbs that tools call."""
    topic, _ = new_names("iam")
    publisher.create_topic(name=topic)
    policy = {"bindings": [{"role": "roles/pubsub.viewer", "members": ["user:a@b.c"]}]}
    status, kept = pubsub.rest("POST", f"{topic}:setIamPolicy", {"policy": policy})
    assert (status, kept["bindings"]) == (200, policy["bindings"])
    assert pubsub.rest("GET", f"{topic}:getIamPolicy") == (200, kept)
    asked = {"permissions": ["pubsub.topics.get"]}
    assert pubsub.rest("POST", f"{topic}:testIamPermissions", asked) == (200, asked)
