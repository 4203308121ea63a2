"""Indexes: no query of the functions or of the rules' readers asks for one that firestore.indexes.json takes away."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
BY_FUNCTIONS = {
    ("_events", "status"),  # replay: the open letters
    ("files", "status"),  # expiry: what is being made, of all users
    ("files", "active_at"),  # a user's saved files, those changed last first
    ("files", "archived_at"),
    ("versions", "version_number"),  # the history of one of them
    ("generations", "created_at"),  # the API's lists, newest first
    ("generations", "project_id"),
    ("generations", "status"),
    ("projects", "owner"),  # erase: whose archives go
    ("versions", "status"),  # expiry of the API's: what is under way, of all users
    ("usage", "total_cost_usd"),  # the operators' list of users, the dearest first
    ("publications", "object"),  # what is public of one file
    ("publications", "owner"),  # what is public of a user who is erased
    ("_purges", "due_at"),  # what caches have not forgotten yet
    ("_driveQueue", "due_at"),  # what is to go to users' Drives
    ("_driveQueue", "uid"),  # what is held of one user, and goes with a user who is erased
    ("_driveQueue", "state"),
    ("_driveBegun", "uid"),
    ("mirrors", "drive_id"),  # which saved file a change in Drive is about
}
TOGETHER = {("usage", "touch_shard"), ("usage", "touched_at")}
"""The roll-up: whose books changed. By an index of both: in one of the time alone all writes would meet."""
BY_CLIENTS = {
    (collection, field)  # what rules.md tells members to ask for
    for collection in ("campaigns", "adventures", "chapters", "scenes", "encounters", "entities", "sessions")
    for field in ("members", "ownerId", "campaignId")
} | {
    (collection, field)  # what a list of one's own outputs and files is filtered and sorted by
    for collection, fields in {
        "dialogues": ("card_id", "interaction_id", "model", "generated_at", "last_accessed"),
        "images": ("card_id", "image_type", "model", "generated_at", "last_accessed"),
        "videos": ("card_id", "scene_id", "model", "generated_at", "last_accessed"),
        "audio": ("card_id", "stem_type", "model", "generated_at", "last_accessed"),
        "files": ("status", "created_at"),
        "objects": ("status", "kind", "family", "output.document", "source.name", "source.stored_at", "updated_at"),
        "mediaObjects": ("status", "kind", "owner", "output.document", "source.name", "updated_at"),
        "_events": ("trigger", "status", "recorded_at"),
        "_jobs": ("kind", "state", "started_at", "updated_at"),
        "records": ("cost_source", "kind"),
        "alerts": ("level",),
    }.items()
    for field in fields
}
WHOLE = "__name__"


def exemptions() -> dict[tuple[str, str], dict[str, Any]]:
    entries = json.loads((ROOT / "firestore.indexes.json").read_text())["fieldOverrides"]
    found = {(entry["collectionGroup"], entry["fieldPath"]): entry for entry in entries}
    assert len(found) == len(entries), "an override stands there twice"
    return found


def covering(collection: str, field: str) -> Iterator[tuple[str, str]]:
    """The places where an exemption of this field would stand: its own, and those of the maps it lies in."""
    parts = field.split(".")
    return ((collection, ".".join(parts[: count + 1])) for count in range(len(parts)))


def queried_fields() -> set[str]:
    """What the functions' sources filter or sort by, however they spell it."""
    found = set()
    for source in (ROOT / "functions").rglob("*.py"):
        if "venv" in source.parts or ".venv" in source.parts:
            continue
        tree = ast.parse(source.read_text())
        names = {
            target.target.id: target.value.value
            for target in tree.body
            if isinstance(target, ast.AnnAssign)
            and isinstance(target.target, ast.Name)
            and isinstance(target.value, ast.Constant)
            and isinstance(target.value.value, str)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in {"Where", "Query"}:
                for named in [named.value for named in call.keywords if named.arg in {"field", "order_by"}]:
                    found.add(str(named.value) if isinstance(named, ast.Constant) else str(names[ast.unparse(named)]))
    return found - {WHOLE}


def test_the_table_knows_every_query_of_the_functions() -> None:
    """A new filter or order in functions/ must be entered here, and so is held against the exemptions."""
    assert queried_fields() == {field for _, field in BY_FUNCTIONS | TOGETHER}


def test_no_query_has_lost_its_index() -> None:
    """Neither the field itself nor a map it lies in is exempt; single fields are indexed by themselves."""
    exempt = exemptions()
    taken = {
        (collection, field)
        for collection, field in BY_FUNCTIONS | BY_CLIENTS
        for place in covering(collection, field)
        if place in exempt and not exempt[place]["indexes"]
    }
    assert taken == set()


def test_what_is_asked_of_a_group_has_an_index_of_the_group() -> None:
    """Firestore makes an index of a group by itself for no field; one that is declared replaces those that it makes."""
    made = exemptions()["versions", "status"]["indexes"]
    assert made == [{"queryScope": "COLLECTION_GROUP", "order": "ASCENDING"}]
    kept = exemptions()["files", "status"]["indexes"]
    assert {(index["queryScope"], index["order"]) for index in kept} == {
        ("COLLECTION", "ASCENDING"),
        ("COLLECTION", "DESCENDING"),
        ("COLLECTION_GROUP", "ASCENDING"),
    }


def test_what_grows_or_is_never_asked_for_is_exempt() -> None:
    """Long text, open maps and times that only rise would each cost index entries, or the rate of writing."""
    exempt = exemptions()
    for place in [
        ("_events", "data"),
        ("_events", "expires_at"),
        ("_jobs", "expires_at"),
        ("files", "kept"),
        ("dialogues", "text"),
        ("dialogues", "personality_traits"),
        ("objects", "variants"),
        ("files", "generation_data"),
        ("usage", "models"),
        ("usage", "touched_at"),
        ("buckets", "touched_at"),
        ("records", "last_version"),
        ("publications", "files"),
    ]:
        assert exempt[place]["indexes"] == [], place


def test_a_list_that_is_filtered_by_one_field_and_sorted_by_another_has_its_index() -> None:
    """Production refuses such a query without one: the API's pages, and what members list of a campaign in order."""
    declared = json.loads((ROOT / "firestore.indexes.json").read_text())["indexes"]
    of_the_api = [
        ("generations", [(field, "ASCENDING"), ("created_at", "DESCENDING")]) for field in ("status", "project_id")
    ]
    of_members = [
        (collection, [("campaignId", "ASCENDING"), ("order", "ASCENDING")])
        for collection in ("adventures", "chapters", "scenes", "encounters", "entities", "sessions", "mediaAssets")
    ]
    of_the_roll_up = [("usage", [("touch_shard", "ASCENDING"), ("touched_at", "ASCENDING")])]
    found = [(each["collectionGroup"], [tuple(field.values()) for field in each["fields"]]) for each in declared]
    assert found == of_the_api + of_members + of_the_roll_up


def test_lifetimes_are_set_on_the_field_that_is_made_for_them_alone() -> None:
    """A policy on `recorded_at` or `started_at` would delete everything at once."""
    lifetimes = {place for place, entry in exemptions().items() if entry.get("ttl")}
    named = (
        "_events",
        "_jobs",
        "_purges",
        "usage",
        "_limits",
        "_allowances",
        "_operations",
        "blobs",
        "uploads",
        "_driveBegun",
    )
    assert lifetimes == {(collection, "expires_at") for collection in named}
