"""Cloud Storage before the rules: its paths, its objects, its methods, and look-ups across to Firestore."""

from __future__ import annotations

from afterimage_emulator.rules_language import MemoryLookup, Timestamp
from tests.emulator.rules_language.rules_world import ALICE, ask_storage, storage_rules

IMAGE = {"name": "a/b.png", "size": 5, "contentType": "image/png", "timeCreated": Timestamp(1)}


def test_paths_are_the_buckets_and_the_objects_segments() -> None:
    """`/b/BUCKET/o/...` by segments; trailing slashes are dropped."""
    ruleset = storage_rules("match /a/{name} { allow get: if bucket == 'bkt' && name == 'b.png'; }")
    assert ask_storage(ruleset, "get", "a/b.png").allowed
    assert ask_storage(ruleset, "get", "a/b.png/").allowed
    assert not ask_storage(ruleset, "get", "a/b/c.png").allowed
    ruleset = storage_rules("match /{all=**} { allow get: if request.path == /b/bkt/o/a/c && all == /a/c; }")
    assert ask_storage(ruleset, "get", "a/c").allowed


def test_objects_have_every_field_and_null_for_what_is_absent() -> None:
    """Fields that an object lacks are null, its custom metadata is always a map."""
    ruleset = storage_rules(
        "match /{all=**} { allow get: if resource.size == 5 && resource.md5Hash == null && resource.metadata == {}"
        " && resource.contentType.matches('image/.*'); allow create: if request.resource.metadata.owner == 'x'; }"
    )
    assert ask_storage(ruleset, "get", "a/b.png", resource=IMAGE).allowed
    assert ask_storage(ruleset, "create", "n", request_resource={"metadata": {"owner": "x"}}).allowed
    assert not ask_storage(ruleset, "create", "n", request_resource={}).allowed


def test_absent_objects_are_null() -> None:
    """`resource` and `request.resource` are explicit nulls where there is no object."""
    ruleset = storage_rules(
        "match /{all=**} { allow get: if resource == null && request.resource == null;"
        " allow create: if resource == null && request.resource != null;"
        " allow delete: if resource != null && request.resource == null; }"
    )
    assert ask_storage(ruleset, "get", "a").allowed
    assert ask_storage(ruleset, "create", "a", request_resource=IMAGE).allowed
    assert not ask_storage(ruleset, "create", "a", resource=IMAGE, request_resource=IMAGE).allowed
    assert ask_storage(ruleset, "delete", "a", resource=IMAGE).allowed


def test_listing_needs_version_2() -> None:
    """Version 1 rules never allow `list`; version 2 rules see the prefix as the path."""
    body = "match /{all=**} { allow read; }"
    assert not ask_storage(storage_rules(body, version=1), "list", "a").allowed
    assert ask_storage(storage_rules(body, version=1), "get", "a").allowed
    assert ask_storage(storage_rules(body), "list", "").allowed
    assert ask_storage(storage_rules("match /a/{rest=**} { allow list; }"), "list", "a/").allowed


def test_denials_name_the_missing_permission() -> None:
    """The official texts of the Storage emulator."""
    ruleset = storage_rules("match /{all=**} { allow get: if false; }")
    wanted = {"get": "READ", "list": "LIST", "create": "WRITE", "update": "WRITE", "delete": "WRITE"}
    for method, permission in wanted.items():
        assert ask_storage(ruleset, method, "a").denial_message == f"Permission denied. No {permission} permission."


def test_rules_of_storage_read_firestore() -> None:
    """`firestore.get` and `firestore.exists` read documents: two distinct ones, of the default database only."""
    at = "/databases/(default)/documents"
    lookup = MemoryLookup({"users/alice": {"admin": True}, "users/bob": {}, "users/carol": {}})
    ruleset = storage_rules(
        f"match /a {{ allow get: if firestore.get({at}/users/$(request.auth.uid)).data.admin; }}"
        f"match /b {{ allow get: if firestore.exists({at}/users/alice) && firestore.get({at}/users/alice).id == 'alice'"
        f" && firestore.exists({at}/users/bob); }}"
        f"match /c {{ allow get: if firestore.exists({at}/users/alice) && firestore.exists({at}/users/bob)"
        f" && firestore.exists({at}/users/carol); }}"
        "match /d { allow get: if firestore.exists(/databases/other/documents/users/alice); }"
        f"match /e {{ allow get: if firestore.get({at}/users/nobody).data.admin; }}"
        f"match /f {{ allow get: if exists({at}/users/alice); }}"
    )
    allowed = [name for name in "abcdef" if ask_storage(ruleset, "get", name, lookup, auth=ALICE).allowed]
    assert allowed == ["a", "b"]
