"""Listings: prefixes, delimiters, offsets, globs and pages over a sorted namespace."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.storage.errors import StorageError
from afterimage_emulator.storage.objects import listing
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.globs import compile_glob
from afterimage_emulator.storage.objects.listing import Namespace, list_page, successor
from afterimage_emulator.storage.objects.records import ObjectMetadata, ObjectRecord
from afterimage_emulator.storage.objects.requests import Listing, Page

_BLOB = Blob(Path("none"), "none", 0, "", "")
NAMES = st.text(alphabet="ab/\U0010ffff\ud7ff", min_size=1, max_size=5)


def record(name: str, generation: int = 1, deleted_ns: int | None = None) -> ObjectRecord:
    return ObjectRecord(
        bucket="b",
        name=name,
        generation=generation,
        metageneration=1,
        metadata=ObjectMetadata(),
        storage_class="STANDARD",
        blob=_BLOB,
        created_ns=0,
        updated_ns=0,
        deleted_ns=deleted_ns,
    )


def namespace_of(names: set[str]) -> Namespace:
    namespace = Namespace()
    for name in names:
        namespace.live[name] = record(name)
    return namespace


def pages(namespace: Namespace, **options: object) -> list[Page]:
    found = []
    token = ""
    while True:
        found.append(list_page(namespace, Listing(bucket="b", page_token=token, **options)))  # type: ignore[arg-type]
        token = found[-1].next_token
        if not token:
            return found
        assert len(found) < 100, "the pages never end"


def naive(names: set[str], prefix: str, delimiter: str, start: str, end: str) -> tuple[list[str], list[str]]:
    items, prefixes = [], set()
    for name in sorted(names):
        if not name.startswith(prefix) or name < start or (end and name >= end):
            continue
        at = name.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            items.append(name)
        else:
            prefixes.add(name[: at + len(delimiter)])
    return items, sorted(prefixes)


@given(st.sets(NAMES, max_size=30), st.text("ab/", max_size=2), st.sampled_from(["", "/", "ab"]), st.integers(1, 4))
def test_pages_add_up_to_what_a_naive_listing_finds(
    names: set[str], prefix: str, delimiter: str, page_size: int
) -> None:
    """Whatever the page size: no gap, no repetition, the same order, and no page too long."""
    found = pages(namespace_of(names), prefix=prefix, delimiter=delimiter, page_size=page_size)
    items, prefixes = naive(names, prefix, delimiter, "", "")
    assert [one.name for page in found for one in page.items] == items
    assert [one for page in found for one in page.prefixes] == prefixes
    assert all(len(page.items) + len(page.prefixes) <= page_size for page in found)


@given(st.sets(NAMES, max_size=30), NAMES, NAMES, st.integers(1, 4))
def test_offsets_bound_the_listing(names: set[str], start: str, end: str, page_size: int) -> None:
    """startOffset is included, endOffset is not."""
    found = pages(namespace_of(names), start_offset=start, end_offset=end, page_size=page_size)
    assert [one.name for page in found for one in page.items] == naive(names, "", "", start, end)[0]


@given(st.dictionaries(NAMES, st.integers(1, 4), max_size=12), st.integers(1, 3))
def test_versions_list_by_name_and_age(counts: dict[str, int], page_size: int) -> None:
    """Every generation is listed once, over page borders too, the older first."""
    namespace = Namespace()
    for name, count in counts.items():
        namespace.live[name] = record(name, generation=count)
        if count > 1:
            namespace.noncurrent[name] = [record(name, generation=age, deleted_ns=1) for age in range(1, count)]
    found = pages(namespace, versions=True, page_size=page_size)
    listed = [(one.name, one.generation) for page in found for one in page.items]
    assert listed == sorted((name, age) for name, count in counts.items() for age in range(1, count + 1))


@given(NAMES.filter(lambda text: text[-1] != "\U0010ffff"), NAMES)
def test_nothing_lies_between_a_prefix_and_its_successor(prefix: str, other: str) -> None:
    """The leap over a folder skips exactly the folder."""
    after = successor(prefix)
    assert after is not None
    assert (prefix <= other < after) == other.startswith(prefix)


def test_a_page_of_folders_does_not_read_the_folders() -> None:
    """Listing folders costs the folders reported, not the objects in them."""

    class Counting(Namespace):
        reads = 0

        def records(self, start: str, *, inclusive: bool, versions: bool, soft_deleted: bool = False):  # type: ignore[no-untyped-def]
            for one in super().records(start, inclusive=inclusive, versions=versions):
                Counting.reads += 1
                yield one

    namespace = Counting()
    for folder in range(20):
        for number in range(500):
            namespace.live[f"{folder:02d}/{number:04d}"] = record(f"{folder:02d}/{number:04d}")
    page = list_page(namespace, Listing(bucket="b", delimiter="/", page_size=10))
    assert len(page.prefixes) == 10
    assert Counting.reads <= 12


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("foo*bar", ["foobar", "fooxbar"], ["foo/bar"]),
        ("foo**bar", ["foobar", "foo/bar", "foo/x/bar"], ["foo"]),
        ("**/foobar", ["foobar", "a/foobar", "a/b/foobar"], ["xfoobar"]),
        ("*/ba[rz]", ["a/bar", "b/baz"], ["bar", "a/bax"]),
        ("*/ba[!a-y]", ["a/baz"], ["a/bar"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("{a,b*}/c", ["a/c", "bx/c"], ["c/c"]),
        ("a\\*", ["a*"], ["ab"]),
        ("x**/y", ["x/y", "xa/b/y"], ["xy"]),
        ("a/**/b", ["a/b", "a/c/d/b"], ["ab", "a/xb"]),
        ("{**/a,b}", ["a", "c/a", "b"], ["ca"]),
        ("[!b-y]", ["a", "z", "é", "-"], ["/", "c", ""]),
        ("[+-9]", ["+", "0", "9"], ["/", "a"]),
        ("[]a-]", ["]", "a", "-"], ["b"]),
        ("[^a]", ["^", "a"], ["b"]),
        ("a]b,c.d+(e)", ["a]b,c.d+(e)"], ["a]b,cxd+(e)"]),
        ("{a,{b,c}d}e", ["ae", "bde", "cde"], ["be"]),
        ("{a,}b", ["ab", "b"], ["a"]),
        ("é?", ["éü"], ["é"]),
    ],
)
def test_globs(glob: str, matching: list[str], other: list[str]) -> None:
    """Stars stay within a folder, double stars do not."""
    pattern = compile_glob(glob)
    assert all(pattern.covers(name) for name in matching)
    assert not any(pattern.covers(name) for name in other)


@pytest.mark.parametrize(
    ("glob", "reason"),
    [
        ("a[bc", "a `[` is not closed"),
        ("a{b,c", "a `{` is not closed"),
        ("a}b", "a `}` closes nothing"),
        ("{" * 11 + "}" * 11, "nested more than 10 deep"),
        ("a\\", "ends in a backslash"),
        ("[z-a]", "the range `z-a` is the wrong way round"),
        ("[/]", "can match no character"),
        ("[!\x00-\U0010ffff]", "can match no character"),
        ("a" * 1025, "1,025 characters; send at most 1,024"),
        ("\ud800", "not valid Unicode"),
    ],
)
def test_a_malformed_glob_is_refused_by_name(glob: str, reason: str) -> None:
    """What does not pair is refused with the way out, never read as something else."""
    with pytest.raises(StorageError, match="Invalid matchGlob") as refused:
        compile_glob(glob)
    assert reason in refused.value.message


def test_a_glob_of_many_stars_takes_one_pass() -> None:
    """No glob can stall the suite by going back over a name: a backtracking matcher never returns from this one."""
    assert pages(namespace_of({"a" * 1000}), glob="**a" * 300 + "**b") == [Page()]


def test_a_glob_that_finds_little_ends_its_pages_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page looks at so many names and no more; the pages still add up, over common prefixes too."""
    monkeypatch.setattr(listing, "GLOB_WORK_LIMIT", 40)
    names = {f"{folder}/{number}" for folder in "abcdef" for number in range(9)}
    found = pages(namespace_of(names), glob="**7")
    assert [one.name for page in found for one in page.items] == [f"{folder}/7" for folder in "abcdef"]
    assert len(found) > 6
    assert any(not page.items for page in found)
    folders = pages(namespace_of(names), glob="**[1-8]", delimiter="/")
    assert [one for page in folders for one in page.prefixes] == [f"{folder}/" for folder in "abcdef"]
    assert len(folders) > 1


@given(st.text("ab*?[]{},!\\/-", max_size=12))
def test_no_glob_breaks_the_compiler(glob: str) -> None:
    """A glob compiles or is refused."""
    with suppress(StorageError):
        compile_glob(glob)


@given(st.text(max_size=20))
def test_no_page_token_breaks_the_listing(token: str) -> None:
    """A token is one of ours or is refused."""
    with suppress(StorageError):
        list_page(namespace_of({"a", "b"}), Listing(bucket="b", page_token=token))
