"""The law over the wire through Google's own Firestore client: what a case file cannot say about commits and tokens."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from google.cloud import firestore_v1
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from grpc import insecure_channel

from tests.rules.conftest import Endpoint

types = firestore_v1.types


class Client:
    """Somebody signed in, with the official client's own messages and transport."""

    def __init__(self, endpoint: Endpoint, project: str) -> None:
        self.database = f"projects/{project}/databases/(default)"
        self._channel = insecure_channel(endpoint.address)
        self._client = FirestoreClient(transport=FirestoreGrpcTransport(channel=self._channel))

    def close(self) -> None:
        self._channel.close()

    def commit(self, token: str, *writes: Any) -> Any:
        request = {"database": self.database, "writes": list(writes)}
        return self._client.commit(request=request, metadata=[("authorization", f"Bearer {token}")], timeout=30)

    def get(self, token: str, path: str) -> Any:
        request = {"name": self.name(path)}
        return self._client.get_document(request=request, metadata=[("authorization", f"Bearer {token}")], timeout=30)

    def name(self, path: str) -> str:
        return f"{self.database}/documents/{path}"

    def put(
        self, path: str, data: dict[str, Any], *, merge: list[str] | None = None, now: list[str] | None = None
    ) -> Any:
        """A `set`, or with `merge` an update of those fields; `now` are fields that take the server's time."""
        document = types.Document(name=self.name(path), fields={key: value_of(value) for key, value in data.items()})
        write = types.Write(update=document)
        if merge is not None:
            write.update_mask = types.DocumentMask(field_paths=merge)
        write.update_transforms = [
            types.DocumentTransform.FieldTransform(field_path=field, set_to_server_value=1) for field in now or []
        ]
        return write

    def hit(self, path: str, by: int = 1) -> Any:
        """The reader's hit as SDKs send it: two transforms and nothing else."""
        transform = types.DocumentTransform.FieldTransform
        return types.Write(
            update=types.Document(name=self.name(path)),
            update_mask=types.DocumentMask(field_paths=[]),
            update_transforms=[
                transform(field_path="cache_hit_count", increment=value_of(by)),
                transform(field_path="last_accessed", set_to_server_value=1),
            ],
            current_document=types.Precondition(exists=True),
        )


def value_of(value: Any) -> Any:
    kind = {str: "string_value", bool: "boolean_value", int: "integer_value", float: "double_value"}[type(value)]
    return types.Value(**{kind: value})


def token(uid: str, project: str, **claims: Any) -> str:
    parts = [
        {"alg": "none", "typ": "JWT"},
        {
            "sub": uid,
            "user_id": uid,
            "aud": project,
            "iss": f"https://securetoken.google.com/{project}",
            "iat": 0,
            "exp": 4_000_000_000,
            **claims,
        },
    ]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return f"{'.'.join(encoded)}."


@pytest.fixture
def project(firestore: Endpoint, project_id: str) -> str:
    """Of its own where the suite runs; another emulator may know one project alone."""
    return project_id if firestore.is_ours else os.environ.get("GCLOUD_PROJECT", "demo-afterimage")


@pytest.fixture
def client(firestore: Endpoint, project: str) -> Iterator[Client]:
    client = Client(firestore, project)
    yield client
    client.close()


def dialogue(card: str) -> dict[str, Any]:
    return {"card_id": card, "interaction_id": "i", "text": "Hello.", "model": "m", "cache_hit_count": 0}


def test_a_batch_of_500_outputs_is_stored(client: Client, project: str) -> None:
    """The seed's batch save, as large as a batch may be, passes the rules in one commit."""
    alice = token("alice", project)
    writes = [
        client.put(f"ai_outputs/alice/dialogues/c{n}_i", dialogue(f"c{n}"), now=["generated_at", "last_accessed"])
        for n in range(500)
    ]
    assert len(client.commit(alice, *writes).write_results) == 500


def test_a_hit_is_an_increment_by_one_at_the_servers_time(client: Client, project: str) -> None:
    """Rules see what transforms come to: one more is a hit, and two, none or one less are not."""
    alice = token("alice", project)
    path = "ai_outputs/alice/dialogues/hit_i"
    client.commit(alice, client.put(path, dialogue("hit"), now=["generated_at"]))
    client.commit(alice, client.hit(path))
    assert client.get(alice, path).fields["cache_hit_count"].integer_value == 1
    for by in (2, 0, -1):
        with pytest.raises(PermissionDenied):
            client.commit(alice, client.hit(path, by))
    with pytest.raises(PermissionDenied):
        client.commit(alice, client.hit(path), client.hit(path), client.put("usage/alice", {"total": 0}))
    assert client.get(alice, path).fields["cache_hit_count"].integer_value == 1


def test_a_forbidden_write_takes_its_batch_with_it(client: Client, project: str) -> None:
    """Among good writes or behind them, by a merge or a whole document: nothing of the commit is stored."""
    alice = token("alice", project)
    good = client.put("ai_outputs/alice/dialogues/smuggler_i", dialogue("smuggler"), now=["generated_at"])
    for bad in (
        client.put("usage/alice", {"total_cost_usd": 0.0}),
        client.put("usage/alice/records/r1", {"cost_nano_usd": 0}, merge=["cost_nano_usd"]),
        client.put("users/alice/objects/o1", {"status": "ready"}),
        client.put("_jobs/j1", {"done": True}),
        client.put("ai_outputs/bob/dialogues/smuggler_i", dialogue("smuggler"), now=["generated_at"]),
        types.Write(delete=client.name("_events/e1")),
    ):
        for writes in ((good, bad), (bad, good)):
            with pytest.raises(PermissionDenied):
                client.commit(alice, *writes)
    with pytest.raises(NotFound):
        client.get(alice, "ai_outputs/alice/dialogues/smuggler_i")


def test_a_merge_of_one_field_is_judged_by_the_whole_document(client: Client, project: str) -> None:
    """A mask narrows what is written, not what is checked."""
    alice = token("alice", project)
    path = "ai_outputs/alice/dialogues/merge_i"
    client.commit(alice, client.put(path, dialogue("merge"), now=["generated_at"]))
    with pytest.raises(PermissionDenied):
        client.commit(alice, client.put(path, {"status": "booked"}, merge=["status"]))
    with pytest.raises(PermissionDenied):
        client.commit(alice, client.put(path, {"cost_usd": -1.0}, merge=["cost_usd"]))
    client.commit(alice, client.put(path, {"cost_usd": 0.5}, merge=["cost_usd"]))
    assert client.get(alice, path).fields["cost_usd"].double_value == 0.5


def campaign(client: Client, path: str, owner: str, *members: str) -> Any:
    """One that is just created, or with `campaignOwners/…` what is kept of it."""
    write = client.put(path, {"ownerId": owner} | ({"rev": 0} if path.startswith("campaigns/") else {}))
    write.update.fields["members"] = types.Value(array_value=types.ArrayValue(values=[value_of(m) for m in members]))
    return write


def test_a_campaign_and_its_content_come_in_one_commit(client: Client, project: str) -> None:
    """Content may stand in the same batch as the campaign that admits its author, in either order, and go with it."""
    ada, alice, bob = token("ada", project, admin=True), token("alice", project), token("bob", project)
    client.commit(ada, client.put("settings/membership", {"since": "today"}))
    scene = client.put("scenes/batch", {"rev": 0, "campaignId": "batch"})
    with pytest.raises(PermissionDenied):
        client.commit(bob, scene, campaign(client, "campaigns/batch", "alice", "alice"))
    client.commit(alice, scene, campaign(client, "campaigns/batch", "alice", "alice"))
    with pytest.raises(PermissionDenied):
        client.get(bob, "scenes/batch")
    gone = [types.Write(delete=client.name(path)) for path in ("campaigns/batch", "scenes/batch")]
    with pytest.raises(PermissionDenied):
        client.commit(alice, *gone)
    kept = campaign(client, "campaignOwners/batch", "alice", "alice")
    with pytest.raises(PermissionDenied):
        client.commit(bob, *gone, kept)
    client.commit(alice, *gone, kept)


def test_a_stranger_does_not_come_in_where_a_campaign_was_deleted(client: Client, project: str) -> None:
    """Not with a campaign of their own by its id, nor with its owners, its scenes or anything else in that commit."""
    ada, alice, bob = token("ada", project, admin=True), token("alice", project), token("bob", project)
    client.commit(ada, client.put("settings/membership", {"since": "today"}))
    made = campaign(client, "campaigns/left", "alice", "alice")
    scene = client.put("scenes/left", {"rev": 0, "campaignId": "left"})
    kept = campaign(client, "campaignOwners/left", "alice", "alice")
    client.commit(alice, made, scene)
    client.commit(alice, types.Write(delete=client.name("campaigns/left")), kept)
    own = campaign(client, "campaigns/left", "bob", "bob")
    taken = client.put("scenes/left", {"rev": 1, "campaignId": "left"})
    for writes in (
        [own],
        [client.put("campaigns/left", {"rev": 0})],
        [campaign(client, "campaignOwners/left", "bob", "bob")],
        [campaign(client, "campaignOwners/left", "bob", "bob"), own],
        [types.Write(delete=client.name("campaignOwners/left")), own],
        [own, taken],
        [taken, own],
        [own, types.Write(delete=client.name("campaigns/left")), taken],
        [own, types.Write(delete=client.name("scenes/left"))],
    ):
        with pytest.raises(PermissionDenied):
            client.commit(bob, *writes)
        with pytest.raises(PermissionDenied):
            client.get(bob, "scenes/left")
    client.commit(alice, made)
    assert client.get(alice, "scenes/left").fields["campaignId"].string_value == "left"
    with pytest.raises(PermissionDenied):
        client.get(bob, "scenes/left")


def test_a_token_that_is_none_opens_nothing(client: Client, project: str) -> None:
    """Garbage, and a token without a user, are refused before or by the rules; they are never somebody."""
    for bad in ("garbage", "a.b.c", token("", project)):
        with pytest.raises((PermissionDenied, Unauthenticated, InvalidArgument)):
            client.get(bad, "ai_outputs/alice/dialogues/c1_i1")
