"""The case format: what can be written, what it means, and what is refused with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from afterimage_emulator.rules_language import (
    Both,
    Either,
    FieldFilter,
    FirestoreRequest,
    LatLng,
    ListedQuery,
    StorageRequest,
    Timestamp,
)
from afterimage_emulator.rules_language import Path as RulePath
from afterimage_emulator.rules_testing import CaseFileError, read_case_file
from afterimage_emulator.rules_testing.cases import RuleCase

Write = Callable[..., Path]


def only(path: Path) -> RuleCase:
    (case,) = read_case_file(path).cases
    return case


def test_a_list_of_users_is_a_case_each(folder: Path) -> None:
    """`as` with several users makes as many cases; each knows its line, its user and its claims."""
    cases = read_case_file(folder / "notes.yaml").cases
    assert [case.user for case in cases[1:3]] == ["root", "nobody"]
    assert [case.line for case in cases] == [8, 12, 12, 16, 20, 24, 27, 31]
    assert cases[1].request.auth == {"uid": "root", "token": {"sub": "root", "user_id": "root", "admin": True}}
    assert cases[2].request.auth is None
    assert cases[1].title == "notes.yaml:12 get notes/n1 (as root)"


def test_writes_leave_whole_documents(write_cases: Write) -> None:
    """`change` is laid over what is stored, `with` replaces it, and the state after the commit has both."""
    path = write_cases(
        "documents: {a/b: {x: 1, y: 2}, c/d: {}}\n"
        "cases: [{update: a/b, change: {y: 3}, commit: {e/f: {z: 1}, c/d: null}, expect: allowed},"
        " {update: a/b, with: {y: 3}, expect: allowed}, {set: a/b, with: {}, expect: allowed},"
        " {set: n/n, with: {}, expect: allowed}, {delete: a/b, expect: allowed}]"
    )
    change, replace, set_stored, set_new, delete = read_case_file(path).cases
    assert isinstance(change.request, FirestoreRequest)
    assert change.request.request_resource == {"x": 1, "y": 3}
    assert change.request.resource == {"x": 1, "y": 2}
    assert change.lookup.get_after("a/b", database="(default)") == {"x": 1, "y": 3}
    assert change.lookup.get_after("e/f", database="(default)") == {"z": 1}
    assert change.lookup.get_after("c/d", database="(default)") is None
    assert replace.request.request_resource == {"y": 3}
    assert (set_stored.request.method, set_new.request.method) == ("update", "create")
    assert delete.lookup.get_after("a/b", database="(default)") is None


def test_a_case_overrides_the_state_of_its_file(write_cases: Write) -> None:
    """Documents, users, time and database of one case stand over those of the file; null takes a document away."""
    path = write_cases(
        "documents: {a/b: {x: 1}}\nusers: {u: {role: reader}}\ncases:\n"
        "  - {as: u, get: a/b, documents: {a/b: null, c/d: {}}, users: {u: {role: writer}}, database: second,"
        " at: 2024-05-01T12:00:00Z, expect: allowed}"
    )
    case = only(path)
    assert isinstance(case.request, FirestoreRequest)
    assert case.request.resource is None
    assert case.documents == {"c/d": {}}
    assert case.request.auth is not None
    assert case.request.auth["token"]["role"] == "writer"
    assert case.request.database == "second"
    assert str(case.request.time) == "2024-05-01T12:00:00Z"


def test_queries_have_filters_order_and_limits(write_cases: Write) -> None:
    """`where` holds together, `any` holds alternatives; order, limit, offset and descendants are passed on."""
    path = write_cases(
        "cases: [{list: teams, where: [[a.b, '>', 1]], any: [[c, '==', 2], [d, in, [3]]], order_by: {a: DESC},"
        " limit: 5, offset: 2, all_descendants: true, expect: denied}]"
    )
    request = only(path).request
    assert isinstance(request, FirestoreRequest)
    either = Either(
        filters=[FieldFilter(field=("c",), op="==", value=2), FieldFilter(field=("d",), op="in", value=[3])]
    )
    assert request.query == ListedQuery(
        where=Both(filters=[FieldFilter(field=("a", "b"), op=">", value=1), either]),
        order_by={"a": "DESC"},
        limit=5,
        offset=2,
        all_descendants=True,
    )


def test_values_that_yaml_has_no_notation_for_are_tagged(write_cases: Write) -> None:
    """Timestamps, bytes, places, paths and the server's time, inside maps and lists."""
    path = write_cases(
        "at: 2024-05-01T12:00:00Z\ncases: [{create: a/b, expect: allowed, with: {t: 2024-01-01, n: {$now: true},"
        " u: {$timestamp: '2024-01-01T00:00:00.5Z'}, b: [{$bytes: aGk=}], l: {$latlng: [1, 2.5]}, p: {$path: /a/b}}}]"
    )
    case = only(path)
    assert case.request.request_resource == {
        "t": Timestamp(1_704_067_200_000_000_000),
        "n": case.request.time,
        "u": Timestamp(1_704_067_200_500_000_000),
        "b": [b"hi"],
        "l": LatLng(1.0, 2.5),
        "p": RulePath(("a", "b")),
    }


def test_storage_cases_have_files(write_cases: Write) -> None:
    """With `service: firebase.storage` the state is files by name, and documents for look-ups."""
    path = write_cases(
        "service: firebase.storage\nbucket: media\nfiles: {a/b.png: {size: 5}}\ndocuments: {users/u: {admin: true}}\n"
        "cases: [{as: u, update: a/b.png, change: {contentType: image/png}, expect: allowed}]"
    )
    case = only(path)
    assert isinstance(case.request, StorageRequest)
    assert (case.request.bucket, case.request.path) == ("media", "a/b.png")
    assert case.request.resource == {"name": "a/b.png", "size": 5}
    assert case.request.request_resource == {"name": "a/b.png", "size": 5, "contentType": "image/png"}
    assert case.lookup.get("users/u", database="(default)") == {"admin": True}


def test_json_files_are_read_as_well(write_cases: Write) -> None:
    """The same format as JSON, with lines too."""
    path = write_cases('{\n"cases": [\n{"get": "a/b",\n "expect": "denied"}\n]}', "cases.json")
    assert only(path).line == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cases: 5", "no `cases`"),
        ("[]", "no `cases`"),
        ("{", "not readable as yaml"),
        ("cases: []\nrule: x", "unknown field `rule`"),
        ("service: x\ncases: []", "unknown service `x`"),
        ("cases:\n - 5", ":2: a case is a map, not `5`"),
        ("cases:\n - {get: a/b, expect: allowed}\n - {get: a/b}", ":3: `expect: None` is neither"),
        ("cases:\n - {get: a/b, expect: maybe}", ":2: `expect: maybe` is neither"),
        ("cases:\n - {expect: allowed}", ":2: a case does exactly one thing"),
        ("cases:\n - {get: a/b, delete: a/b, expect: allowed}", ":2: a case does exactly one thing"),
        ("cases:\n - {get: a/b, expects: allowed}", ":2: unknown field `expects`"),
        ("cases:\n - {create: a/b, expect: allowed}", ":2: a case that does `create` needs `with`"),
        ("cases:\n - {get: a/b, with: {}, expect: allowed}", ":2: `with` and `change` say what a write leaves behind"),
        ("cases:\n - {list: a, where: [a], expect: allowed}", ":2: `a` is no filter"),
        ("cases:\n - {list: a, where: [[a, '=', 1]], expect: allowed}", ":2: `['a', '=', 1]` is no filter"),
        ("cases:\n - {create: a/b, with: {x: {$date: 1}}, expect: allowed}", ":2: unknown tagged value `$date`"),
        ("cases:\n - {create: a/b, with: {x: {$bytes: '!'}}, expect: allowed}", ":2: `$bytes: !` is not base64"),
        ("cases:\n - {create: a/b, with: {x: {$latlng: 1}}, expect: allowed}", ":2: `$latlng: 1` is not a list"),
        ("cases:\n - {create: a/b, with: {1: 2}, expect: allowed}", ":2: the map key `1` is not a string"),
        ("cases:\n - {get: a/b, at: noon, expect: allowed}", ":2: `noon` is no timestamp"),
    ],
)
def test_mistakes_are_named_with_their_line(write_cases: Write, text: str, message: str) -> None:
    """A case file that cannot be read says where and what to write."""
    path = write_cases(text)
    with pytest.raises(CaseFileError) as caught:
        read_case_file(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
