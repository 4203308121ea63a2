"""Which requests a ruleset allows: match blocks, methods, versions, documents, and the official words of a denial."""

from __future__ import annotations

import pytest

from afterimage_emulator.rules_language import CommitLookups, MemoryLookup, Timestamp, compile_ruleset
from tests.emulator.rules_language.rules_world import ALICE, CountingLookup, ask, firestore_rules


@pytest.mark.parametrize(
    ("granted", "methods"),
    [
        ("read", {"get", "list"}),
        ("write", {"create", "update", "delete"}),
        ("get", {"get"}),
        ("list", {"list"}),
        ("create", {"create"}),
        ("update", {"update"}),
        ("delete", {"delete"}),
        ("get, delete", {"get", "delete"}),
        ("read, write", {"get", "list", "create", "update", "delete"}),
    ],
)
def test_methods_are_granted_singly_or_in_groups(granted: str, methods: set[str]) -> None:
    """`read` is get and list, `write` is create, update and delete; nothing else is granted."""
    ruleset = firestore_rules(f"match /a/{{id}} {{ allow {granted}; }}")
    paths = {"list": "a"}
    allowed = {m for m in ("get", "list", "create", "update", "delete") if ask(ruleset, m, paths.get(m, "a/b")).allowed}
    assert allowed == methods


V1, V2 = 1, 2


@pytest.mark.parametrize(
    ("version", "pattern", "path", "covers"),
    [
        (V2, "/a/{id}", "a/b", True),
        (V2, "/a/{id}", "a/b/c/d", False),
        (V2, "/a/b", "a/b", True),
        (V2, "/a/b", "a/c", False),
        (V2, "/{c}/{d}", "x/y", True),
        (V2, "/a/{rest=**}", "a/b", True),
        (V2, "/a/{rest=**}", "a/b/c/d", True),
        (V2, "/a/b/{rest=**}", "a/b", True),
        (V1, "/a/b/{rest=**}", "a/b", False),
        (V1, "/a/b/{rest=**}", "a/b/c/d", True),
        (V2, "/{rest=**}", "a/b", True),
        (V1, "/{rest=**}", "a/b/c/d", True),
        (V2, "/{p=**}/posts/{id}", "posts/1", True),
        (V2, "/{p=**}/posts/{id}", "users/a/posts/1", True),
        (V2, "/{p=**}/posts/{id}", "users/a/posts/1/comments/2", False),
        (V2, "/{p=**}/posts/{id}", "users/a", False),
        (V2, "/users/{u}/{p=**}/x/{id}", "users/a/posts/1/x/2", True),
        (V2, "/users/{u}/{p=**}/x/{id}", "users/a/x/2", True),
    ],
)
def test_match_paths_cover_what_they_say(version: int, pattern: str, path: str, covers: bool) -> None:
    """Segments match one for one; a recursive wildcard one or more segments in version 1, zero or more in version 2."""
    ruleset = firestore_rules(f"match {pattern} {{ allow get; }}", version=version)
    decision = ask(ruleset, "get", path)
    assert decision.allowed is covers
    assert covers or decision.denial_message == "No matching allow statements"


def test_nested_blocks_are_relative_and_parents_never_cover_children() -> None:
    """A nested path continues its parent's; what the parent allows is for the parent's own documents."""
    ruleset = firestore_rules(
        "match /a/{id} { allow get; match /b/{sub} { allow update: if id == 'x' && sub == 'y'; } }"
    )
    assert ask(ruleset, "get", "a/x").allowed
    assert not ask(ruleset, "get", "a/x/b/y").allowed
    assert ask(ruleset, "update", "a/x/b/y").allowed
    assert not ask(ruleset, "update", "a/x/b/z").allowed
    assert not ask(ruleset, "update", "b/y").allowed


def test_captures_bind_strings_and_recursive_ones_paths() -> None:
    """`{x}` is a string; `{x=**}` is a path of what it covered."""
    ruleset = firestore_rules("match /a/{id}/{rest=**} { allow get: if id == 'x' && rest == /b/c && rest[0] == 'b'; }")
    assert ask(ruleset, "get", "a/x/b/c").allowed
    assert not ask(ruleset, "get", "a/x/b/d").allowed


def test_inner_captures_shadow_outer_ones() -> None:
    """The innermost wildcard of a name is the one that conditions see."""
    ruleset = firestore_rules("match /a/{id} { match /b/{id} { allow get: if id == 'inner'; } }")
    assert ask(ruleset, "get", "a/outer/b/inner").allowed
    assert not ask(ruleset, "get", "a/inner/b/outer").allowed


def test_functions_see_the_wildcards_around_their_declaration() -> None:
    """A function of an outer block keeps its own wildcards when an inner block with the same name calls it."""
    ruleset = firestore_rules(
        "match /a/{id} { function isX() { return id == 'x'; } match /b/{id} { allow get: if isX(); } }"
    )
    assert ask(ruleset, "get", "a/x/b/y").allowed
    assert not ask(ruleset, "get", "a/y/b/x").allowed


def test_any_true_allow_grants_whatever_the_others_do() -> None:
    """Errors and falsehoods of other statements do not matter once one is true; the decision names that one."""
    ruleset = firestore_rules(
        "match /a/{id} {\nallow get: if 1 / 0 == 1;\nallow get: if false;\nallow get: if true;\n}"
    )
    decision = ask(ruleset, "get", "a/b")
    assert decision.allowed
    assert decision.allow is not None
    assert (decision.allow.line, decision.allow.match_path) == (7, "/databases/{database}/documents/a/{id}")
    assert decision.denial_message == ""


def test_a_condition_that_is_not_a_bool_denies() -> None:
    """Only true grants: a number, a string or null is an error."""
    for value in ("1", "'true'", "null", "[]", "request"):
        decision = ask(firestore_rules(f"match /a/{{id}} {{ allow get: if {value}; }}"), "get", "a/b")
        assert not decision.allowed
        assert decision.reasons[0].startswith("Type error. Received: [")


def test_denials_speak_the_official_words() -> None:
    """One entry for each allow that applied: `false` or the error, the method, and the line of the condition."""
    ruleset = firestore_rules(
        "match /a/{id} {\nallow get: if false;\nallow read:\n  if request.auth.uid == 'x';\nallow list; }\n"
        "match /{all=**} { allow get: if 1 / 0 == 1; }"
    )
    assert ask(ruleset, "get", "a/b").denial_message == (
        "\nfalse for 'get' @ L5, Null value error. for 'get' @ L7, Divide by zero error. for 'get' @ L9"
    )


def test_a_needed_document_adds_a_first_pass_to_the_denial() -> None:
    """Where stored documents decide, a pass without them comes first and names the place of the condition."""
    ruleset = firestore_rules(
        "match /a/{id} {\n      allow get: if resource.data.open;\n allow list: if false; }\n"
        "match /b/{id} {\nallow get: if exists(/databases/$(database)/documents/c/d); }\n"
        "match /c/{id} { allow get: if false && resource.data.x; }"
    )
    assert ask(ruleset, "get", "a/b", resource={"open": False}).denial_message == (
        "\nevaluation error at L5:21 for 'get' @ L5, false for 'get' @ L5"
    )
    assert ask(ruleset, "get", "a/b", resource={}).denial_message == (
        "\nevaluation error at L5:21 for 'get' @ L5, Property open is undefined on object. for 'get' @ L5"
    )
    assert ask(ruleset, "get", "b/x").denial_message == (
        "\nevaluation error at L8:15 for 'get' @ L8, false for 'get' @ L8"
    )
    assert ask(ruleset, "get", "c/x", resource={}).denial_message == "\nfalse for 'get' @ L9"


def test_documents_of_the_request() -> None:
    """A missing document is a null resource; request.resource is absent on reads, null on deletes, full on writes."""
    ruleset = firestore_rules(
        "match /a/{id} { allow get: if resource == null; allow delete: if request.resource == null;"
        " allow create: if resource == null && request.resource.data.n == 1 && request.resource.id == id;"
        " allow update: if request.resource.__name__ == request.path; }"
        "match /b/{id} { allow get: if request.resource == null; }"
    )
    assert ask(ruleset, "get", "a/b").allowed
    assert not ask(ruleset, "get", "a/b", resource={}).allowed
    assert ask(ruleset, "delete", "a/b", resource={}).allowed
    assert ask(ruleset, "create", "a/b", request_resource={"n": 1}).allowed
    assert ask(ruleset, "update", "a/b", resource={}, request_resource={}).allowed
    assert ask(ruleset, "get", "b/c").reasons == ("Property resource is undefined on object.",)


def test_a_server_timestamp_equals_the_time_of_the_request() -> None:
    """`request.time` is the instant that server timestamps of the same write have."""
    ruleset = firestore_rules("match /a/{id} { allow create: if request.resource.data.at == request.time; }")
    at = Timestamp(5)
    assert ask(ruleset, "create", "a/b", time=at, request_resource={"at": Timestamp(5)}).allowed
    assert not ask(ruleset, "create", "a/b", time=at, request_resource={"at": Timestamp(6)}).allowed


def test_named_databases_have_their_own_paths() -> None:
    """The database of a request is in its path, and look-ups stay inside it."""
    ruleset = compile_ruleset(
        "service cloud.firestore { match /databases/second/documents { match /a/{id} {"
        " allow get: if exists(/databases/second/documents/a/b);"
        " allow delete: if exists(/databases/first/documents/a/b);"
        " } } }",
        file_name="x",
    )
    lookup = MemoryLookup({"a/b": {}}, database="second")
    assert ask(ruleset, "get", "a/x", lookup, database="second").allowed
    assert not ask(ruleset, "get", "a/x", lookup).allowed
    assert ask(ruleset, "delete", "a/x", lookup, database="second").reasons[0].startswith("Service call error.")


def test_a_service_that_is_not_there_denies() -> None:
    """Rules for Storage alone allow nothing in Firestore."""
    ruleset = compile_ruleset("service firebase.storage { match /{x=**} { allow read; } }", file_name="x")
    assert ask(ruleset, "get", "a/b").denial_message == "No matching allow statements"


# -- look-ups


def exists_chain(count: int, *, start: int = 0, operator: str = "&&") -> str:
    one = "exists(/databases/$(database)/documents/d/{})".format
    return f" {operator} ".join(one(number) for number in range(start, start + count))


DOCUMENTS = {f"d/{number}": {"n": number} for number in range(50)}


def test_ten_distinct_documents_may_be_read_and_an_eleventh_is_an_error() -> None:
    """The limit of one request is ten documents; one more is an error with the official text, which `||` absorbs."""
    body = "match /a/{{id}} {{ allow get: if {}; }}".format
    assert ask(firestore_rules(body(exists_chain(10))), "get", "a/b", MemoryLookup(DOCUMENTS)).allowed
    denied = ask(firestore_rules(body(exists_chain(11))), "get", "a/b", MemoryLookup(DOCUMENTS))
    assert denied.reasons[0].startswith("Service call error. Function: [exists], Argument: [path_value {")
    absorbed = ask(firestore_rules(body(f"({exists_chain(11)}) || true")), "get", "a/b", MemoryLookup(DOCUMENTS))
    assert absorbed.allowed


def test_asking_again_is_free() -> None:
    """A document is read once in a request, however often rules ask, and whether with get or exists."""
    lookup = CountingLookup(DOCUMENTS)
    one = "/databases/$(database)/documents/d/1"
    ruleset = firestore_rules(
        f"match /a/{{id}} {{ allow get: if exists({one}) && get({one}).data.n == 1 && get({one}).id == '1'"
        f" && {exists_chain(9, start=2)} && exists({one}); }}"
    )
    assert ask(ruleset, "get", "a/b", lookup).allowed
    assert lookup.reads.count("d/1") == 1


def test_short_circuits_skip_look_ups() -> None:
    """What `&&`, `||` and `?:` do not need is not read."""
    lookup = CountingLookup(DOCUMENTS)
    read = exists_chain(1)
    ruleset = firestore_rules(
        f"match /a/{{id}} {{ allow get: if (false && {read}) || !(true || {read}) || (true ? false : {read}); }}"
    )
    assert not ask(ruleset, "get", "a/b", lookup).allowed
    assert lookup.reads == []


def test_an_unused_let_reads_nothing() -> None:
    """A `let` is evaluated when it is first used, and then once."""
    lookup = CountingLookup(DOCUMENTS)
    ruleset = firestore_rules(
        "match /a/{id} { function f() { let used = get(/databases/$(database)/documents/d/1).data;"
        " let unused = get(/databases/$(database)/documents/d/2).data; return used.n == 1 && used.n < 2; }"
        " allow get: if f(); }"
    )
    assert ask(ruleset, "get", "a/b", lookup).allowed
    assert lookup.reads == ["d/1"]


def test_a_commit_may_read_twenty_documents_in_all() -> None:
    """The writes of one commit share twenty documents, ten each; what one has read is free for the next."""
    ruleset = firestore_rules(
        f"match /a/{{id}} {{ allow create: if {exists_chain(10)}; }}"
        f"match /b/{{id}} {{ allow create: if {exists_chain(10, start=10)}; }}"
        f"match /c/{{id}} {{ allow create: if {exists_chain(1, start=20)}; }}"
    )
    lookup = CountingLookup(DOCUMENTS)
    commit = CommitLookups(lookup)
    assert ask(ruleset, "create", "a/1", commit, request_resource={}).allowed
    assert ask(ruleset, "create", "b/1", commit, request_resource={}).allowed
    assert ask(ruleset, "create", "a/2", commit, request_resource={}).allowed
    assert not ask(ruleset, "create", "c/1", commit, request_resource={}).allowed
    assert len(lookup.reads) == 20
    assert ask(ruleset, "create", "c/1", CommitLookups(lookup), request_resource={}).allowed


def test_explanations_read_nothing_anew() -> None:
    """Asking why re-evaluates with the documents already read, so the answer belongs to the decision."""
    lookup = CountingLookup(DOCUMENTS)
    decision = ask(firestore_rules(f"match /a/{{id}} {{ allow get: if !{exists_chain(1)}; }}"), "get", "a/b", lookup)
    str(decision.explain())
    assert decision.denial_message.endswith("false for 'get' @ L4")
    assert lookup.reads == ["d/0"]


def test_auth_is_null_for_nobody() -> None:
    """Without a user `request.auth` is null, so its uid is an error and not an empty string."""
    ruleset = firestore_rules(
        "match /a/{id} { allow get: if request.auth.uid == id; allow delete: if request.auth == null; }"
    )
    assert ask(ruleset, "get", "a/alice", auth=ALICE).allowed
    assert ask(ruleset, "get", "a/alice").reasons == ("Null value error.",)
    assert ask(ruleset, "delete", "a/alice").allowed


def test_an_unknown_method_is_the_callers_mistake() -> None:
    """A method that no service has is refused loudly, not denied."""
    with pytest.raises(ValueError, match="unknown method `patch`"):
        ask(firestore_rules("match /a/{id} { allow get; }"), "patch", "a/b")


SUMS = f"[{', '.join(['1 + 1'] * 1001)}].size() > 0"


@pytest.mark.parametrize(
    "body",
    [
        f"allow get: if {SUMS};",
        f"allow get: if false || {SUMS};",
        f"allow get: if true ? {SUMS} : false;",
        f"function f() {{ return {SUMS}; }} allow get: if f();",
        f"function f() {{ let sums = {SUMS}; return sums; }} allow get: if f();",
    ],
)
def test_every_piece_of_code_is_charged(body: str) -> None:
    """A thousand and one sums are too many in a condition, an operand, a branch, a function or a let."""
    decision = ask(firestore_rules(f"match /a/{{id}} {{ {body} }}"), "get", "a/b")
    assert not decision.allowed
    assert decision.reasons[0].startswith("Unable to evaluate the expression as the maximum of 1000 expressions")
