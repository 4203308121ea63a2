"""What a message on the Listen stream changes: decided without a network, one message at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_client.firestore.listening.bloom_filter import BloomFilter
from afterimage_client.firestore.listening.watch import AskAgain, Effect, Failed, Raised, Target, Wanted, Watch
from afterimage_client.firestore.wire.messages import firestore as messages

ROOT = "projects/p/databases/(default)/documents"
ADD, REMOVE, CURRENT, RESET = 1, 2, 3, 4


def name(number: int) -> str:
    return f"{ROOT}/c/{number}"


def changed(target: Target, number: int, version: int) -> Any:
    response = messages.ListenResponse()
    response.document_change.document.name = name(number)
    response.document_change.document.update_time.FromMicroseconds(version)
    response.document_change.target_ids.append(target.id)
    return response


def removed(target: Target, number: int) -> Any:
    response = messages.ListenResponse()
    response.document_delete.document = name(number)
    response.document_delete.removed_target_ids.append(target.id)
    return response


def target_change(kind: int, *targets: Target, token: bytes = b"", cause: int = 0) -> Any:
    response = messages.ListenResponse()
    response.target_change.target_change_type = kind
    response.target_change.target_ids.extend(target.id for target in targets)
    response.target_change.resume_token = token
    if cause:
        response.target_change.cause.code = cause
    return response


def snapshot(token: bytes = b"t", at: int = 1) -> Any:
    response = messages.ListenResponse()
    response.target_change.resume_token = token
    response.target_change.read_time.FromMicroseconds(at)
    return response


def counted(target: Target, count: int, names: Iterable[str] | None = None) -> Any:
    response = messages.ListenResponse()
    response.filter.target_id = target.id
    response.filter.count = count
    if names is not None:
        response.filter.unchanged_names.CopyFrom(bloom_of(names))
    return response


def bloom_of(names: Iterable[str], bits: int = 4096, hashes: int = 7) -> Any:
    """A filter as the server builds it."""
    bitmap = bytearray(bits // 8)
    for each in names:
        digest = hashlib.md5(each.encode()).digest()
        first, second = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
        for turn in range(hashes):
            bit = ((first + turn * second) % 2**64) % bits
            bitmap[bit // 8] |= 1 << (bit % 8)
    message = messages.BloomFilter(hash_count=hashes)
    message.bits.bitmap = bytes(bitmap)
    return message


def query_target() -> Target:
    return Target(wanted=Wanted(query=messages.Target.QueryTarget(parent=ROOT)))


def listening(shown: Mapping[int, int] | None = None) -> tuple[Watch, Target]:
    """A target that has been told all of `shown`."""
    watch, target = Watch(), query_target()
    watch.add(target)
    watch.receive(target_change(ADD, target))
    for number, version in (shown or {}).items():
        watch.receive(changed(target, number, version))
    watch.receive(target_change(CURRENT, target))
    watch.receive(snapshot())
    return watch, target


def news(effects: list[Effect]) -> dict[str, int | None]:
    (raised,) = effects
    assert isinstance(raised, Raised)
    return {
        each: None if document is None else document.update_time.ToMicroseconds()
        for each, document in raised.changes.items()
    }


def test_nothing_is_told_before_the_server_says_that_it_is_consistent() -> None:
    """CURRENT alone raises nothing, nor does a global time before CURRENT; both together do, with everything."""
    watch, target = Watch(), query_target()
    watch.add(target)
    assert watch.receive(target_change(ADD, target)) == []
    assert watch.receive(changed(target, 1, 10)) == []
    assert watch.receive(snapshot()) == []
    assert watch.receive(target_change(CURRENT, target, token=b"c")) == []
    assert target.resume_token == b""
    assert news(watch.receive(snapshot(b"s"))) == {name(1): 10}
    assert target.resume_token == b"s"


def test_a_result_without_documents_is_told_once() -> None:
    """So that a program knows that there are none; later words without news raise nothing."""
    watch, target = listening()
    assert target.was_raised
    assert watch.receive(snapshot(b"later", 2)) == []
    assert target.resume_token == b"later"


def test_what_came_and_went_between_two_snapshots_leaves_no_trace() -> None:
    """Added or removed is decided against what was told last, not against the stream."""
    watch, target = listening({1: 1})
    watch.receive(changed(target, 2, 5))
    watch.receive(removed(target, 2))
    assert watch.receive(snapshot()) == []
    watch.receive(removed(target, 1))
    watch.receive(changed(target, 1, 7))
    assert news(watch.receive(snapshot())) == {name(1): 7}


def test_a_reset_tells_only_the_difference() -> None:
    """Everything comes again; what is as it was is not told, what does not come again has left."""
    watch, target = listening({1: 1, 2: 2, 3: 3})
    watch.receive(target_change(RESET, target))
    assert not target.is_current
    assert target.resume_token == b""
    watch.receive(changed(target, 1, 1))
    watch.receive(changed(target, 2, 9))
    assert watch.receive(snapshot()) == []
    watch.receive(target_change(CURRENT, target))
    assert news(watch.receive(snapshot())) == {name(2): 9, name(3): None}


def test_a_broken_stream_forgets_what_was_not_told_and_goes_on_from_the_last_token() -> None:
    """The server tells it again after that token; a late word for the old id reaches nobody."""
    watch, target = listening({1: 1})
    old_id = target.id
    late = changed(target, 9, 9)
    watch.receive(changed(target, 2, 2))
    watch.disconnected()
    assert target.id != old_id
    request = target.request("projects/p/databases/(default)").add_target
    assert request.resume_token == b"t"
    assert request.expected_count.value == 1
    watch.receive(late)
    watch.receive(target_change(CURRENT, target))
    assert watch.receive(snapshot()) == []


def test_without_a_token_everything_is_asked_for_and_what_left_meanwhile_is_told() -> None:
    """A stream that broke right after a reset has no token: what is shown must not stay for ever."""
    watch, target = listening({1: 1, 2: 2})
    watch.receive(target_change(RESET, target))
    watch.disconnected()
    assert target.request("d").add_target.WhichOneof("resume_type") is None
    watch.receive(changed(target, 2, 2))
    watch.receive(target_change(CURRENT, target))
    assert news(watch.receive(snapshot())) == {name(1): None}


def test_a_fitting_filter_changes_nothing() -> None:
    """It counts what was told together with what is gathered."""
    watch, target = listening({1: 1, 2: 2})
    watch.receive(changed(target, 3, 3))
    watch.receive(removed(target, 1))
    assert watch.receive(counted(target, 2)) == []


def test_a_filter_with_names_takes_out_what_has_left() -> None:
    """The names that are surely not in it go, without asking for everything again."""
    watch, target = listening({number: number for number in range(20)})
    kept = [name(number) for number in range(15)]
    assert watch.receive(counted(target, 15, kept)) == []
    assert news(watch.receive(snapshot())) == {name(number): None for number in range(15, 20)}


def test_a_filter_that_cannot_be_explained_asks_for_everything_again() -> None:
    """Without names, or where they do not explain the count, the target is added anew and without a token."""
    watch, target = listening({1: 1, 2: 2})
    old_id = target.id
    (effect,) = watch.receive(counted(target, 1))
    assert effect == AskAgain(target=target, old_id=old_id)
    assert target.request("d").add_target.WhichOneof("resume_type") is None
    watch.receive(changed(target, 2, 2))
    watch.receive(target_change(CURRENT, target))
    assert news(watch.receive(snapshot())) == {name(1): None}


def test_a_document_that_a_filter_counts_as_none_is_gone() -> None:
    """A target of one document needs no second question."""
    watch, target = Watch(), Target(wanted=Wanted(document=name(1)))
    watch.add(target)
    watch.receive(changed(target, 1, 1))
    watch.receive(target_change(CURRENT, target))
    watch.receive(snapshot())
    assert watch.receive(counted(target, 0)) == []
    assert news(watch.receive(snapshot())) == {name(1): None}


def test_a_target_that_the_server_ends_fails_alone() -> None:
    """The code says why; the other targets hear nothing of it."""
    watch, target = listening({1: 1})
    other = query_target()
    watch.add(other)
    (effect,) = watch.receive(target_change(REMOVE, other, cause=7))
    assert isinstance(effect, Failed)
    assert (effect.target, effect.error.code) == (other, "permission-denied")
    assert list(watch) == [target]


def test_who_was_not_accepted_yet_is_blamed_for_a_refused_stream() -> None:
    """A listener that works is not ended by a faulty one that joins it."""
    watch, _ = listening()
    other = query_target()
    watch.add(other)
    assert watch.blamed() == [other]
    watch.remove(other)
    assert len(watch.blamed()) == 1


@pytest.mark.parametrize(
    ("bitmap", "padding", "hashes"), [(b"", 0, 3), (b"a", 8, 3), (b"a", -1, 3), (b"a", 0, -1), (b"a", 0, 0)]
)
def test_a_malformed_bloom_filter_is_as_if_absent(bitmap: bytes, padding: int, hashes: int) -> None:
    """It must not take anything out."""
    message = messages.BloomFilter(hash_count=hashes)
    message.bits.bitmap, message.bits.padding = bitmap, padding
    assert BloomFilter.from_message(message) is None


@given(st.lists(st.integers(0, 10**6), max_size=50))
def test_a_bloom_filter_never_denies_what_is_in_it(numbers: list[int]) -> None:
    """False positives happen, false negatives never."""
    names = [name(number) for number in numbers]
    bloom = BloomFilter.from_message(bloom_of(names))
    assert bloom is not None
    assert all(bloom.may_have(each) for each in names)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(0, 6)),
        st.tuples(st.just("remove"), st.integers(0, 6)),
        st.just(("reset", 0)),
        st.just(("break", 0)),
        st.just(("snapshot", 0)),
    ),
    max_size=40,
)


class DictServer:
    """Documents in a dict, told to one target as a server tells them."""

    def __init__(self) -> None:
        self.documents: dict[int, int] = {}
        self.told: dict[str, int] = {}
        self.watch, self.target = listening()
        self._at_token: dict[int, int] = {}
        self._clock = 10

    def step(self, step: str, number: int) -> None:
        self._clock += 1
        if step == "change":
            self.documents[number] = self._clock
            self._say(changed(self.target, number, self._clock))
        elif step == "remove" and self.documents.pop(number, None) is not None:
            self._say(removed(self.target, number))
        elif step == "reset":
            self._say(target_change(RESET, self.target))
            self._tell_what_differs_from({})
        elif step == "break":
            self.watch.disconnected()
            self._tell_what_differs_from(self._at_token if self.target.resume_token else {})
        elif step == "snapshot":
            self._say(target_change(CURRENT, self.target))
            self._say(snapshot(b"t", self._clock))
            self._at_token = dict(self.documents)

    def _tell_what_differs_from(self, known: Mapping[int, int]) -> None:
        for gone in known.keys() - self.documents.keys():
            self._say(removed(self.target, gone))
        for number, version in self.documents.items():
            if known.get(number) != version:
                self._say(changed(self.target, number, version))

    def _say(self, message: Any) -> None:
        for effect in self.watch.receive(message):
            assert isinstance(effect, Raised)
            for each, document in effect.changes.items():
                if document is None:
                    assert self.told.pop(each, None) is not None, "told of a leaving that nobody had seen come"
                    continue
                version = document.update_time.ToMicroseconds()
                assert self.told.get(each) != version, "told of a document that is as it was"
                self.told[each] = version


@given(STEPS)
def test_what_is_told_adds_up_to_what_the_server_holds(steps: list[tuple[str, int]]) -> None:
    """Whatever breaks or starts over: at rest both sides agree, and nothing was told twice."""
    server = DictServer()
    for step, number in [*steps, ("snapshot", 0)]:
        server.step(step, number)
    assert server.told == {name(number): version for number, version in server.documents.items()}
