"""Push: what endpoints are taken, where pushes go, and what stands in them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf import field_mask_pb2

from afterimage_emulator.protos import pubsub_v1 as pubsub_protos
from afterimage_emulator.pubsub.delivery.push import push_request
from afterimage_emulator.pubsub.delivery.push_targets import PushTargets
from afterimage_emulator.pubsub.topics.backlog import Entry
from tests.emulator.pubsub.serving import Serving, new_names
from tests.emulator.pubsub.test_official_client import Endpoint, Publisher, Subscriber, endpoint

__all__ = ["endpoint"]


def test_an_unwrapped_push_is_the_data_with_its_metadata_beside_it(
    pubsub: Serving,
    publisher: Publisher,
    subscriber: Subscriber,
    endpoint: Endpoint,
) -> None:
    """Payload unwrapping as documented: attributes are headers of their own, and none says where a request ends."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    config = {"push_endpoint": endpoint.url, "no_wrapper": {"write_metadata": True}}
    subscriber.create_subscription(
        request={"name": subscription, "topic": topic, "push_config": config, "enable_message_ordering": True}
    )
    attributes = {
        "kind": "a\r\nb", "Content-Length": "1", "transfer-encoding": "chunked", "host": "elsewhere",
        "authorization": "x", "no header": "x", "x-goog-pubsub-message-id": "forged", "x-mine": "yes",
    }  # fmt: skip
    message_id = publisher.publish(topic, b"\x00raw", ordering_key="key", **attributes).result(20)
    pubsub.settled()
    [(headers, body)] = endpoint.taken
    assert body == b"\x00raw"
    assert headers["x-goog-pubsub-message-id"] == message_id
    assert headers["x-goog-pubsub-subscription-name"] == subscription
    assert headers["x-goog-pubsub-ordering-key"] == "key"
    assert headers["x-goog-pubsub-publish-time"].endswith("Z")
    assert (headers["kind"], headers["x-mine"]) == ("a  b", "yes")
    assert headers["content-length"] == str(len(body))
    assert headers["host"].startswith("127.0.0.1:")
    assert not {"authorization", "transfer-encoding", "no header"} & set(headers)
    mask = field_mask_pb2.FieldMask(paths=["push_config"])
    changed = {"name": subscription, "push_config": {"push_endpoint": endpoint.url, "no_wrapper": {}}}
    subscriber.update_subscription(request={"subscription": changed, "update_mask": mask})
    publisher.publish(topic, b"bare", kind="x").result(20)
    pubsub.settled()
    headers, body = endpoint.taken[-1]
    assert body == b"bare"
    assert not [name for name in headers if name.startswith("x-goog") or name == "kind"]


def test_the_push_token_has_the_claims_that_endpoints_check(
    pubsub: Serving, publisher: Publisher, subscriber: Subscriber
) -> None:
    """Without an audience it is made out to the endpoint; it is an hour's, by the suite's clock."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    subscriber.create_subscription(request={"name": subscription, "topic": topic})
    found = pubsub.service.broker.subscription(subscription)
    found.settings.push_config.push_endpoint = "http://127.0.0.1:1/x"
    found.settings.push_config.oidc_token.service_account_email = "me@demo.iam"
    _, headers = push_request(found, Entry(b"", "", 0), now_seconds=1_000)
    payload = headers["authorization"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert claims | {"aud": "http://127.0.0.1:1/x", "email": "me@demo.iam", "iat": 1_000, "exp": 4_600} == claims
    found.settings.ClearField("push_config")


@pytest.mark.parametrize(
    ("config", "error", "named"),
    [
        ({"push_endpoint": "nonsense"}, exceptions.InvalidArgument, "Invalid push endpoint given .endpoint=nonsense."),
        ({"push_endpoint": "ftp://127.0.0.1/x"}, exceptions.InvalidArgument, "Invalid push endpoint"),
        ({"push_endpoint": "http://"}, exceptions.InvalidArgument, "Invalid push endpoint"),
        ({"push_endpoint": "http://127.0.0.1:99999/"}, exceptions.InvalidArgument, "Invalid push endpoint"),
        ({"push_endpoint": "http://[::1"}, exceptions.InvalidArgument, "Invalid push endpoint"),
        ({"push_endpoint": "https://example.com/x"}, exceptions.FailedPrecondition, "--allow-host example.com"),
        ({"push_endpoint": "http://169.254.169.254/meta"}, exceptions.FailedPrecondition, "not on this machine"),
        ({"push_endpoint": "http://localhost@example.com/"}, exceptions.FailedPrecondition, "example.com"),
        ({"push_endpoint": "http://127.0.0.1:1", "oidc_token": {"audience": "x"}}, exceptions.InvalidArgument, "email"),
        ({"push_endpoint": "http://127.0.0.1:1", "attributes": {"x-goog-version": "v1beta1"}},
         exceptions.InvalidArgument, "take `v1`"),
    ],
)  # fmt: skip
def test_an_endpoint_that_cannot_be_pushed_to_is_refused_when_it_is_set(
    publisher: Publisher, subscriber: Subscriber, config: dict[str, Any], error: type[Exception], named: str
) -> None:
    """By whichever call sets it, and the subscription stays as it was."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    fields = ("push_endpoint", "oidc_token", "attributes")
    mask = field_mask_pb2.FieldMask(paths=[f"push_config.{field}" for field in fields])
    other = f"{subscription}-2"
    calls: list[Callable[[], Any]] = [
        lambda: subscriber.create_subscription(request={"name": other, "topic": topic, "push_config": config}),
        lambda: subscriber.modify_push_config(subscription=subscription, push_config=config),
        lambda: subscriber.update_subscription(
            request={"subscription": {"name": subscription, "push_config": config}, "update_mask": mask}
        ),
    ]
    for call in calls:
        with pytest.raises(error, match=named):
            call()
    assert not subscriber.get_subscription(subscription=subscription).push_config.push_endpoint
    with pytest.raises(exceptions.NotFound):
        subscriber.get_subscription(subscription=other)


def test_a_push_subscription_shows_its_version(publisher: Publisher, subscriber: Subscriber) -> None:
    """Whoever reads it back finds the version that production always shows."""
    topic, subscription = new_names()
    publisher.create_topic(name=topic)
    config = {"push_endpoint": "http://127.0.0.1:1/"}
    subscriber.create_subscription(request={"name": subscription, "topic": topic, "push_config": config})
    shown = subscriber.get_subscription(subscription=subscription).push_config
    assert (shown.push_endpoint, dict(shown.attributes)) == ("http://127.0.0.1:1/", {"x-goog-version": "v1"})


def test_hosts_that_are_allowed_and_functions_of_this_suite_are_reached() -> None:
    """A neighbour that `--allow-host` names; a deployed function's address is the function here, and no other is."""
    targets = PushTargets(
        may_call=lambda host: host == "worker",
        deployed=lambda url: "http://127.0.0.1:5001/p/r/f" if url == "https://r-p.cloudfunctions.net/f" else "",
    )
    for endpoint_url, reached in (
        ("http://worker:8080/push", "http://worker:8080/push"),
        ("https://r-p.cloudfunctions.net/f", "http://127.0.0.1:5001/p/r/f"),
    ):
        targets.check(pubsub_protos.PushConfig(push_endpoint=endpoint_url))
        assert targets.address(endpoint_url) == reached
    with pytest.raises(ValueError, match=r"`r-p\.cloudfunctions\.net` is not on this machine"):
        targets.address("https://r-p.cloudfunctions.net/other")
