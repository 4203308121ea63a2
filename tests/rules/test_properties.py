"""Whatever is asked and whatever is stored: strangers stay outside, and overlaps of paths are found."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.rules_language import FirestoreRequest, MemoryLookup, StorageRequest, Timestamp
from afterimage_emulator.rules_language.syntax.source_span import Span
from afterimage_emulator.rules_language.syntax.syntax_tree import Segment
from rules.assembly import overlap
from rules.law import Law

NOW = Timestamp.from_seconds(1_772_600_000)
FIELDS = ["card_id", "model", "owner", "ownerId", "members", "rev", "cache_hit_count", "generated_at", "user_id"]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 5), st.text(max_size=3), st.just("alice"), st.just("bob"), st.just(NOW)
)
DATA = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6)
CLAIMS = st.dictionaries(
    st.sampled_from(["admin", "editor", "role", "owner", "uid"]), st.sampled_from(["true", 1, "alice"])
)
PRIVATE = st.sampled_from(
    [
        "ai_outputs/alice/dialogues/c_i",
        "ai_outputs/alice/images/c_portrait",
        "generations/alice/files/f",
        "users/alice/objects/o",
        "usage/alice",
        "usage/alice/days/2026-03-04",
        "usage/alice/records/r",
        "players/alice",
        "players/alice/decks/d",
        "operations/totals",
        "_events/e",
        "_jobs/j",
    ]
)
FILES = st.sampled_from(
    ["users/alice/ai_generated/images/c_portrait.webp", "generating/alice/image/f.png", "artifacts/alice/f/v1/a.png"]
)
METHODS = st.sampled_from(["get", "create", "update", "delete"])


@given(path=PRIVATE, method=METHODS, stored=DATA, written=DATA, claims=CLAIMS, is_nobody=st.booleans())
def test_no_stranger_gets_at_what_is_somebodys(
    law: Law, path: str, method: str, stored: Any, written: Any, claims: Any, is_nobody: bool
) -> None:
    """Neither what is stored, nor what is written, nor claims that only look like an admin's open another's data."""
    auth = None if is_nobody else {"uid": "bob", "token": {"sub": "bob", **claims}}
    request = FirestoreRequest(
        method=method,
        path=path,
        time=NOW,
        auth=auth,
        resource=None if method == "create" else stored,
        request_resource=written if method in ("create", "update") else None,
    )
    assert not law.rulesets[0].decide(request, MemoryLookup({})).allowed


@given(
    path=FILES,
    method=METHODS,
    size=st.integers(0, 10_000_000),
    metadata=st.dictionaries(st.just("owner"), st.just("bob")),
)
def test_no_stranger_gets_at_anothers_files(law: Law, path: str, method: str, size: int, metadata: Any) -> None:
    """Whatever a file declares about itself, its path says whose it is."""
    content = {"contentType": "image/webp", "size": size, "metadata": metadata}
    request = StorageRequest(
        method=method,
        bucket="b",
        path=path,
        time=NOW,
        auth={"uid": "bob", "token": {"sub": "bob"}},
        resource=content,
        request_resource=content if method in ("create", "update") else None,
    )
    assert not law.rulesets[1].decide(request).allowed


SEGMENTS = st.lists(st.sampled_from(["a", "b", "{x}", "{x=**}"]), min_size=1, max_size=4).filter(
    lambda pattern: pattern.count("{x=**}") <= 1
)


@given(left=SEGMENTS, right=SEGMENTS)
def test_patterns_overlap_where_some_path_matches_both(left: list[str], right: list[str]) -> None:
    """The check of areas finds an overlap exactly where trying all short paths does."""
    paths = [path for length in range(8) for path in itertools.product("ab", repeat=length)]
    brute = any(_matches(left, path) and _matches(right, path) for path in paths)
    assert overlap(_pattern(left), _pattern(right)) == brute


def _pattern(texts: list[str]) -> list[Segment]:
    span = Span(0, 0)
    return [Segment(span, text, is_capture="{" in text, is_glob="**" in text) for text in texts]


def _matches(pattern: list[str], path: tuple[str, ...]) -> bool:
    if not pattern:
        return not path
    if "**" in pattern[0]:
        return any(_matches(pattern[1:], path[taken:]) for taken in range(len(path) + 1))
    return bool(path) and pattern[0] in ("{x}", path[0]) and _matches(pattern[1:], path[1:])
