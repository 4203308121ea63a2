"""A push subscription whose endpoint is the address of a deployed function."""

from __future__ import annotations

from pathlib import Path

import grpc
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite

PROJECT = "demo-push-functions"
MAIN = """
from pathlib import Path
from firebase_functions import https_fn

@https_fn.on_request(region="europe-west1")
def takes(request):
    with Path(__file__).with_name("taken").open("ab") as file:
        file.write(f"{request.path} {request.args['token']} ".encode() + request.get_data())
    return "taken"
"""


def test_the_address_of_a_deployed_function_is_the_function_here(tmp_path: Path) -> None:
    """With the path and the query of the address: a team's own subscriptions work as they are."""
    source = tmp_path / "codebase"
    source.mkdir()
    (source / "main.py").write_text(MAIN)
    configuration = Configuration(
        root=tmp_path, project_id=PROJECT, codebases=(Codebase(name="default", source=source),)
    )
    suite = BackgroundSuite(Suite(configuration, only=("functions", "pubsub"), free_ports=True))
    with suite, grpc.insecure_channel(suite.address("pubsub")) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        topic, subscription = f"projects/{PROJECT}/topics/things", f"projects/{PROJECT}/subscriptions/pushed"
        publisher.create_topic(name=topic)
        endpoint = f"https://europe-west1-{PROJECT}.cloudfunctions.net/takes/it?token=x"
        config = {"push_endpoint": endpoint, "no_wrapper": {}}
        subscriber.create_subscription(request={"name": subscription, "topic": topic, "push_config": config})
        publisher.publish(topic=topic, messages=[{"data": b"hello"}])
        suite.settled(60)
    assert (source / "taken").read_text() == "/it x hello"
