"""Storage rules tests in Python: the same actors and assertions as for Firestore, on files."""

from __future__ import annotations

from afterimage_emulator.rules_testing import StorageRulesEnvironment, assert_allowed, assert_denied

RULES = """
rules_version = '2';
service firebase.storage {
  match /b/{bucket}/o {
    match /users/{uid}/{name=**} {
      allow get, list: if request.auth.uid == uid;
      allow create: if request.auth.uid == uid && request.resource.size < 100
                    && request.resource.contentType.matches('image/.*') && bucket == 'demo-bucket';
      allow update: if request.auth.uid == uid && request.resource.metadata.owner == resource.metadata.owner;
      allow delete: if request.auth.token.admin == true && request.resource == null;
    }
    match /teams/{team}/{name} {
      allow get: if request.auth.uid in firestore.get(/databases/(default)/documents/teams/$(team)).data.members;
    }
  }
}
"""
IMAGE = {"size": 3, "contentType": "image/png", "metadata": {"owner": "alice"}}


def test_actors_act_under_the_rules() -> None:
    """Reading, listing, uploading, changing and deleting are judged by who acts and what is stored."""
    environment = StorageRulesEnvironment(RULES, files={"users/alice/a.png": IMAGE})
    alice, bob, root = environment.as_user("alice"), environment.as_user("bob"), environment.as_user("r", admin=True)
    assert_allowed(alice.get("users/alice/a.png"), alice.list("users/alice"))
    assert_denied(bob.get("users/alice/a.png"), environment.as_nobody().get("users/alice/a.png"), reason="No READ")
    assert_denied(bob.list("users/alice"), alice.list("users"), reason="No LIST")
    assert_allowed(alice.create("users/alice/b.png", size=99, content_type="image/png"))
    assert_denied(alice.create("users/alice/c.png", size=100, content_type="image/png"), reason="No WRITE")
    assert_denied(alice.create("users/alice/c.png", size=1))
    assert_allowed(alice.update("users/alice/a.png", metadata={"owner": "alice", "mood": "good"}))
    assert_denied(alice.update("users/alice/a.png", metadata={"owner": "bob"}))
    assert_denied(alice.update("users/alice/missing.png", metadata={}))
    assert_denied(alice.delete("users/alice/a.png"))
    assert_allowed(root.delete("users/alice/a.png"))


def test_allowed_writes_take_effect_and_denied_ones_do_not() -> None:
    """What follows sees allowed writes only, with what the service says of every file."""
    environment = StorageRulesEnvironment(RULES)
    alice = environment.as_user("alice")
    alice.create("users/alice/a.png", size=7, content_type="image/png", metadata={"owner": "alice"})
    alice.create("users/alice/b.png", size=700, content_type="image/png")
    assert list(environment.files) == ["users/alice/a.png"]
    alice.update("users/alice/a.png", metadata={"owner": "alice", "mood": "good"})
    alice.update("users/alice/a.png", metadata={"owner": "bob"})
    stored = environment.files["users/alice/a.png"]
    assert stored["metadata"] == {"owner": "alice", "mood": "good"}
    assert (stored["size"], stored["bucket"], stored["timeCreated"]) == (7, "demo-bucket", environment.now)
    environment.as_user("r", admin=True).delete("users/alice/a.png")
    assert environment.files == {}


def test_rules_look_documents_up() -> None:
    """Documents are seeded beside the files."""
    environment = StorageRulesEnvironment(RULES, documents={"teams/red": {"members": ["alice"]}})
    environment.seed({"teams/red/a": {}, "teams/blue/a": {}})
    alice = environment.as_user("alice")
    assert_allowed(alice.get("teams/red/a"))
    assert_denied(alice.get("teams/blue/a"))
    environment.seed_documents({"teams/blue": {"members": ["alice"]}})
    assert_allowed(alice.get("teams/blue/a"))
    environment.clear()
    assert_denied(alice.get("teams/red/a"))
