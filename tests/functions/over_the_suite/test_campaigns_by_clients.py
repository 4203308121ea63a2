"""Rules and functions together: a client deletes its campaign with one plain write, and no stranger takes its place."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from google.api_core.exceptions import PermissionDenied
from google.cloud import firestore

from afterimage_emulator.background import BackgroundSuite
from tests.rules.conftest import Endpoint
from tests.rules.test_official_clients import Client, campaign, token, types

PATIENCE_SECONDS = 60.0


@pytest.fixture
def server(functions_suite: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> Iterator[firestore.Client]:
    """Switches membership on, as a server does, and off again, for the suite's project is everybody's."""
    for name, value in functions_suite.environment().items():
        monkeypatch.setenv(name, value)
    functions_suite.clear_faults()
    found = firestore.Client(project=functions_suite.project_id)
    found.document("settings/membership").set({})
    yield found
    found.document("settings/membership").delete()


@pytest.fixture
def client(functions_suite: BackgroundSuite) -> Iterator[Client]:
    host, _, port = functions_suite.environment()["FIRESTORE_EMULATOR_HOST"].rpartition(":")
    endpoint = Endpoint(host=host, port=int(port), project=functions_suite.project_id, is_ours=True)
    found = Client(endpoint, functions_suite.project_id)
    yield found
    found.close()


@pytest.mark.parametrize("by", ["client", "server"])
def test_a_deleted_campaign_stays_its_owners(
    functions_suite: BackgroundSuite, server: firestore.Client, client: Client, by: str
) -> None:
    """Whoever deletes it: it was noted whose it is when it was created, long before anybody could take its place."""
    name = f"c-{uuid.uuid4().hex[:8]}"
    alice, bob = (token(uid, functions_suite.project_id) for uid in ("alice", "bob"))
    made = campaign(client, f"campaigns/{name}", "alice", "alice")
    client.commit(alice, made, client.put(f"scenes/{name}", {"rev": 0, "campaignId": name}))
    functions_suite.settled(PATIENCE_SECONDS)
    if by == "client":
        client.commit(alice, types.Write(delete=client.name(f"campaigns/{name}")))
    else:
        server.document(f"campaigns/{name}").delete()
    with pytest.raises(PermissionDenied):
        client.commit(bob, campaign(client, f"campaigns/{name}", "bob", "bob"))
    functions_suite.settled(PATIENCE_SECONDS)
    with pytest.raises(PermissionDenied):
        client.commit(bob, client.put(f"campaigns/{name}", {"rev": 0}))
    with pytest.raises(PermissionDenied):
        client.get(bob, f"scenes/{name}")
    client.commit(alice, made)
    assert client.get(alice, f"scenes/{name}").fields["campaignId"].string_value == name


def test_a_campaign_that_a_server_makes_anew_is_its_new_owners(
    functions_suite: BackgroundSuite, server: firestore.Client, client: Client
) -> None:
    """Deleted and made again before any function has run: the owner before is out at once, and stays out."""
    name = f"c-{uuid.uuid4().hex[:8]}"
    alice, bob = (token(uid, functions_suite.project_id) for uid in ("alice", "bob"))
    client.commit(alice, campaign(client, f"campaigns/{name}", "alice", "alice"))
    document = server.document(f"campaigns/{name}")
    document.delete()
    document.set({"rev": 0, "ownerId": "bob", "members": ["bob"]})
    with pytest.raises(PermissionDenied):
        client.get(alice, f"campaigns/{name}")
    functions_suite.settled(PATIENCE_SECONDS)
    kept = server.document(f"campaignOwners/{name}").get().to_dict() or {}
    assert (kept["ownerId"], kept["members"]) == ("bob", ["bob"])
    client.commit(bob, types.Write(delete=client.name(f"campaigns/{name}")))
    with pytest.raises(PermissionDenied):
        client.commit(alice, campaign(client, f"campaigns/{name}", "alice", "alice"))
