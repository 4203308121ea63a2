"""Measures the rules engine: decisions a second, a denial's why, compile time, and what rules add to a request.

    python bench/rules.py [--seconds 1]

The floor of a decision is the same check written as a Python function over the same dictionaries; for the project's own
rules it is reading every field of their cases once. The floor of compiling is cutting the same text into tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import http.client
import json
import re
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.firestore.service import FirestoreService
from afterimage_emulator.rules_language import (
    Coverage,
    FirestoreRequest,
    MemoryLookup,
    Ruleset,
    Timestamp,
    compile_ruleset,
)
from afterimage_emulator.wire.server import WireServer
from bench.measuring import Figure, show
from rules.law import read_law

REQUESTS = 1500
FRAME = "rules_version = '2';\nservice cloud.firestore {\n match /databases/{database}/documents {\n%s\n }\n}\n"
TRIVIAL = "match /users/{uid} { allow read: if request.auth.uid == uid; }"
TYPICAL = """
  function signedIn() { return request.auth != null; }
  function owns(uid) { return signedIn() && request.auth.uid == uid; }
  function isText(data, name, most) { return data[name] is string && data[name].size() <= most; }
  match /users/{uid}/notes/{id} {
    function valid() {
      let data = request.resource.data;
      return data.keys().hasAll(['title', 'text', 'rev', 'updated']) && data.keys().hasOnly(
          ['title', 'text', 'rev', 'updated', 'tags']) && isText(data, 'title', 100) && isText(data, 'text', 10000)
        && data.rev is int && data.updated == request.time && (!('tags' in data) || data.tags.size() <= 10);
    }
    allow read: if owns(uid);
    allow create: if owns(uid) && valid() && request.resource.data.rev == 0;
    allow update: if owns(uid) && valid() && request.resource.data.rev == resource.data.rev + 1
      && request.resource.data.diff(resource.data).affectedKeys().hasOnly(['title', 'text', 'rev', 'updated']);
  }
"""
NOW = Timestamp.from_seconds(1_700_000_000)
ALICE: dict[str, Any] = {"uid": "alice", "token": {"email": "alice@example.com"}}
STORED = {"title": "a", "text": "b", "rev": 3, "updated": Timestamp(0), "tags": ["x"]}
WRITTEN = {**STORED, "text": "c" * 500, "rev": 4, "updated": NOW}
UPDATE = FirestoreRequest(
    method="update", path="users/alice/notes/n1", time=NOW, auth=ALICE, resource=STORED, request_resource=WRITTEN
)


def large_source() -> str:
    """About 100 KB of rules: many collections, and one that needs ten documents."""
    blocks = [
        f"  match /c{number}/{{id}} {{\n"
        "    allow read: if request.auth != null && request.auth.uid == resource.data.owner;\n"
        "    allow write: if request.auth.token.admin == true\n"
        f"      || request.resource.data.keys().hasAll(['a', 'b{number}'])\n"
        f"      && request.resource.data.rev == {number} + 1\n"
        f"      && request.resource.data.name.matches('[a-z]{{1,{number + 1}}}');\n"
        "  }\n"
        for number in range(300)
    ]
    document = "get(/databases/$(database)/documents/teams/t{0}).data.members[request.auth.uid] == 'r{0}'".format
    lookups = "\n      && ".join(document(number) for number in range(10))
    return FRAME % ("".join(blocks) + f"  match /last/{{id}} {{ allow get: if {lookups}; }}\n")


# -- the same checks by hand


def trivial_by_hand(path: str, auth: dict[str, Any] | None) -> bool:
    collection, uid = path.split("/")
    return collection == "users" and auth is not None and auth["uid"] == uid


def typical_by_hand(request: FirestoreRequest) -> bool:
    _, uid, collection, _ = request.path.split("/")
    new, old = request.request_resource, request.resource
    if collection != "notes" or request.auth is None or request.auth["uid"] != uid or new is None or old is None:
        return False
    known = {"title", "text", "rev", "updated"}
    changed = {key for key in {*new, *old} if new.get(key) != old.get(key)}
    return (
        known <= set(new) <= {*known, "tags"}
        and isinstance(new["title"], str)
        and len(new["title"]) <= 100
        and isinstance(new["text"], str)
        and len(new["text"]) <= 10000
        and isinstance(new["rev"], int)
        and new["updated"] == request.time
        and ("tags" not in new or len(new["tags"]) <= 10)
        and new["rev"] == old["rev"] + 1
        and changed <= known
    )


def lookups_by_hand(teams: dict[str, dict[str, Any]], uid: str) -> bool:
    return all(teams[f"teams/t{number}"]["members"][uid] == f"r{number}" for number in range(10))


def own_rules(seconds: float) -> Figure:
    """All cases of the project's own rules, allowed and denied, beside reading their fields once in plain Python."""
    law = read_law(Path(__file__).resolve().parents[1] / "rules")
    asked = [
        (ruleset, case.request, case.lookup)
        for assembled, ruleset in zip(law.files, law.rulesets, strict=True)
        for case in law.cases(assembled.service)
    ]

    def decide_all() -> None:
        for ruleset, request, lookup in asked:
            ruleset.decide(request, lookup)

    def read_all() -> None:
        for _, request, _ in asked:
            for document in (request.resource, request.request_resource):
                for name in document or ():
                    assert document is not None
                    isinstance(document[name], str)

    floor = rate(read_all, seconds / 5, at_once=1) * len(asked)
    decided = rate(decide_all, seconds, at_once=1) * len(asked)
    return Figure("the project's own rules, every case", decided, "/s", floor, "goal 50,000")


# -- measuring


def rate(work: Callable[[], object], seconds: float, *, at_once: int = 100) -> float:
    """How often in a second of processor time, over rounds, after a warm-up: others' load counts less."""
    for _ in range(2 * at_once):
        work()
    done = 0
    started = time.process_time()
    while (elapsed := time.process_time() - started) < seconds:
        for _ in range(at_once):
            work()
        done += at_once
    return done / elapsed


def processor_seconds(work: Callable[[], object], *, repeats: int = 7) -> float:
    """The median processor time of some work."""
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return statistics.median(taken)


def decider(ruleset: Ruleset, request: FirestoreRequest, lookup: MemoryLookup | None = None) -> Callable[[], bool]:
    assert ruleset.decide(request, lookup).allowed, "a benchmark of a denial by mistake"
    return lambda: ruleset.decide(request, lookup).allowed


def requests_with_and_without_rules() -> list[Figure]:
    """The median of one document read over REST, rules off and on in turns, so that both see the same machine."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    clock, faults = Clock(), Faults()
    service = FirestoreService(clock=clock, events=EventBus(clock=clock, faults=faults, activity=Activity()))
    server = WireServer(name="firestore", http=service.http, grpc=service.grpc, faults=faults)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
    claims = base64.urlsafe_b64encode(json.dumps({"sub": "alice", "user_id": "alice"}).encode()).decode().rstrip("=")
    headers = {"Authorization": f"Bearer e30.{claims}.", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def call(method: str, path: str, body: Any = None) -> int:
        connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
        response = connection.getresponse()
        response.read()
        return response.status

    rules = {"rules": {"files": [{"name": "x.rules", "content": FRAME % TYPICAL}]}}
    assert call("PUT", "/emulator/v1/projects/guarded:securityRules", rules) == 200
    taken: dict[str, list[float]] = {"open": [], "guarded": []}
    for number in range(REQUESTS):
        for project, times in taken.items():
            address = f"/v1/projects/{project}/databases/(default)/documents/users/alice/notes/n1"
            started = time.perf_counter()
            assert call("GET", address) == 404  # nothing is stored: what is measured is the way there
            if number >= REQUESTS // 10:
                times.append(time.perf_counter() - started)
    connection.close()
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    without, with_rules = (statistics.median(times) * 1000 for times in taken.values())
    return [
        Figure("one read, rules on", with_rules, "ms", without, "floor: rules off"),
        Figure("added by rules", with_rules - without, "ms", note="goal 0.2"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure")
    seconds = parser.parse_args().seconds

    trivial = compile_ruleset(FRAME % TRIVIAL, file_name="trivial.rules")
    typical = compile_ruleset(FRAME % TYPICAL, file_name="typical.rules")
    source = large_source()
    large = compile_ruleset(source, file_name="large.rules")
    get = FirestoreRequest(method="get", path="users/alice", time=NOW, auth=ALICE, resource={})
    teams = {f"teams/t{number}": {"members": {"alice": f"r{number}"}} for number in range(10)}
    last = FirestoreRequest(method="get", path="last/x", time=NOW, auth=ALICE, resource={})
    denied = FirestoreRequest(
        method="update", path="users/alice/notes/n1", time=NOW, auth={**ALICE, "uid": "bob"}, resource=STORED,
        request_resource=WRITTEN,
    )  # fmt: skip
    coverage = Coverage(typical)
    tokens = re.compile(r"\s+|\w+|.")
    figures = [
        Figure("trivial rule", rate(decider(trivial, get), seconds), "/s",
               rate(lambda: trivial_by_hand("users/alice", ALICE), seconds), "goal 100,000"),
        Figure("typical rules (12 checks, 4 functions)", rate(decider(typical, UPDATE), seconds), "/s",
               rate(lambda: typical_by_hand(UPDATE), seconds), "goal 10,000"),
        Figure("ten look-ups in 100 KB of rules", rate(decider(large, last, MemoryLookup(teams)), seconds), "/s",
               rate(lambda: lookups_by_hand(teams, "alice"), seconds)),
        Figure("a denial with its official text", rate(lambda: typical.decide(denied).denial_message, seconds), "/s"),
        Figure("a denial explained", rate(lambda: str(typical.decide(denied).explain()), seconds), "/s"),
        Figure("typical rules with coverage", rate(lambda: typical.decide(UPDATE, coverage=coverage), seconds), "/s"),
    ]  # fmt: skip
    show("decisions", [own_rules(seconds), *figures])
    compiling = processor_seconds(lambda: compile_ruleset(source, file_name="large.rules"))
    tokenizing = processor_seconds(lambda: tokens.findall(source))
    show("requests over the wire", requests_with_and_without_rules())
    show("compiling", [Figure(f"{len(source) / 1000:.0f} KB", compiling * 1000, "ms", tokenizing * 1000, "goal 150")])


if __name__ == "__main__":
    main()
