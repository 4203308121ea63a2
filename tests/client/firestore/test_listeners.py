"""Listeners over real sockets: they outlive cut networks, refused tokens and changed users, and miss nothing."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from afterimage_client import BackoffPolicy, FirebaseApp, FirestoreError
from afterimage_client.firestore import ChangeKind, CollectionReference, DocumentSnapshot, QuerySnapshot
from afterimage_client.firestore.listening.listeners import OrderedView, QueryListener
from afterimage_client.firestore.queries import SortKey
from afterimage_client.firestore.wire.messages import firestore as messages
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.client.conftest import Apps
from tests.client.cut_proxy import CutProxy

Own = Callable[[str], str]
MANY = 10_000


@pytest.fixture
async def network(apps: Apps) -> AsyncIterator[CutProxy]:
    """What lies between an app and Firestore."""
    async with CutProxy(apps.endpoints.firestore) as proxy:
        yield proxy


async def behind(network: CutProxy, apps: Apps, backoff: BackoffPolicy | None = None) -> FirebaseApp:
    """An app that reaches Firestore through the network only, signed in."""
    endpoints = dataclasses.replace(apps.endpoints, firestore=network.address)
    policy = backoff or BackoffPolicy(first_seconds=0.001, longest_seconds=0.01)
    app = await apps.open(endpoints=endpoints, backoff=policy)
    await app.auth.sign_in_anonymously()
    return app


def notes_of(app: FirebaseApp) -> CollectionReference:
    user = app.auth.current_user
    assert user is not None
    return app.firestore.collection(f"players/{user.uid}/notes")


def texts(snapshot: QuerySnapshot) -> list[object]:
    return [document.get("n") for document in snapshot]


async def until(listener: QueryListener, wanted: list[object]) -> QuerySnapshot:
    """The first snapshot that shows just that; there may be steps on the way."""
    async for snapshot in listener:
        if texts(snapshot) == wanted:
            return snapshot
    raise AssertionError("the listener ended")


async def has_noticed(listener: QueryListener) -> None:
    """Waits until the listener knows that its stream broke."""
    while listener.is_connected:
        await asyncio.sleep(0.01)


async def has_gathered(listener: QueryListener) -> None:
    """Waits until some of a result has come that cannot be told yet."""
    while not listener._target.gathered:
        await asyncio.sleep(0.01)


async def filled(app: FirebaseApp, collection: CollectionReference, count: int) -> None:
    for start in range(0, count, 500):
        batch = app.firestore.batch()
        for number in range(start, min(start + 500, count)):
            batch.set(collection.document(f"{number:06}"), {"n": number})
        await batch.commit()


async def test_a_query_tells_what_is_added_changed_and_removed_in_its_order(app: FirebaseApp, own: Own) -> None:
    """Each snapshot has the whole result in order, and the difference to the one before."""
    notes = app.firestore.collection(own("notes"))
    async with notes.where("n", ">", 0).order_by("n", "descending").listen() as snapshots:
        first = await anext(snapshots)
        assert (texts(first), list(first.changes)) == ([], [])
        for number in (1, 3, 2):
            await notes.document(f"d{number}").set({"n": number})
        await until(snapshots, [3, 2, 1])
        await notes.document("d1").update({"n": 9})
        moved = await until(snapshots, [9, 3, 2])
        assert [(change.kind, change.document.id) for change in moved.changes] == [(ChangeKind.MODIFIED, "d1")]
        await notes.document("d3").update({"n": -1})
        left = await until(snapshots, [9, 2])
        assert [(change.kind, change.document.get("n")) for change in left.changes] == [(ChangeKind.REMOVED, 3)]


async def test_one_document_is_told_from_before_it_exists_until_after_it_is_gone(app: FirebaseApp, own: Own) -> None:
    """A snapshot that does not exist is a snapshot too."""
    note = app.firestore.document(own("notes/one"))
    async with note.listen() as snapshots:
        assert not (await anext(snapshots)).exists
        await note.set({"n": 1})
        assert (await anext(snapshots)).to_dict() == {"n": 1}
        await note.delete()
        assert not (await anext(snapshots)).exists


async def test_a_limited_query_keeps_its_window(app: FirebaseApp, own: Own) -> None:
    """Both ends: what leaves makes room for the next, forwards and from the end."""
    notes = app.firestore.collection(own("notes"))
    await filled(app, notes, 5)
    ordered = notes.order_by("n")
    async with ordered.limit(2).listen() as first, ordered.limit_to_last(2).listen() as last:
        await until(first, [0, 1])
        await until(last, [3, 4])
        await notes.document("000000").delete()
        await notes.document("000004").delete()
        await until(first, [1, 2])
        await until(last, [2, 3])


async def test_a_slow_program_gets_one_snapshot_for_all_that_it_missed(app: FirebaseApp, own: Own) -> None:
    """Nothing piles up: the next snapshot has the newest state and the whole difference."""
    notes = app.firestore.collection(own("notes"))
    async with notes.listen() as slow, notes.listen() as quick:
        await anext(slow)
        await anext(quick)
        for number in range(20):
            await notes.document(f"{number:02}").set({"n": number})
        await until(quick, list(range(20)))
        snapshot = await anext(slow)
        assert texts(snapshot) == list(range(20))
        assert [change.kind for change in snapshot.changes] == [ChangeKind.ADDED] * 20


async def test_a_listener_outlives_cut_networks(network: CutProxy, apps: Apps) -> None:
    """Cut many times while another app writes: the listener ends at the true state, with changes that add up."""
    app = await behind(network, apps)
    notes = notes_of(app)
    direct = await signed_in_as(app, apps)
    far = direct.firestore.collection(notes.path)
    seen: dict[str, object] = {}
    async with notes.order_by("n").listen() as snapshots:
        await anext(snapshots)
        for number in range(30):
            await far.document(f"{number % 7}").set({"n": number})
            if number % 3 == 0:
                network.cut()
        async for snapshot in snapshots:
            for change in snapshot.changes:
                if change.kind is ChangeKind.REMOVED:
                    del seen[change.document.id]
                else:
                    assert (change.kind is ChangeKind.ADDED) is (change.document.id not in seen)
                    seen[change.document.id] = change.document.get("n")
            if texts(snapshot) == list(range(23, 30)):
                break
    assert seen == {str(number % 7): number for number in range(23, 30)}
    assert network.connections > 1


@pytest.mark.parametrize("after_bytes", [1, 500, 2_000, 10_000, 40_000])
async def test_a_network_cut_at_any_byte_of_the_first_result_loses_nothing(
    after_bytes: int, network: CutProxy, apps: Apps
) -> None:
    """What came of an unfinished first result is not taken for all of it."""
    app = await behind(network, apps)
    notes = notes_of(app)
    await filled(app, notes, 300)
    network.cut_after_bytes_down = after_bytes
    async with notes.order_by("n").listen() as snapshots:
        first = await anext(snapshots)
        assert texts(first) == list(range(300))
        assert len(first.changes) == 300


async def test_what_was_gathered_before_a_cut_is_not_taken_for_the_truth_after_it(
    network: CutProxy, apps: Apps
) -> None:
    """A document that came, was not told yet, and is deleted while the network is down: it is not in the result."""
    app = await behind(network, apps)
    notes = notes_of(app)
    await filled(app, notes, 300)
    far = (await signed_in_as(app, apps)).firestore.collection(notes.path)
    network.holds_instead = True
    network.cut_after_bytes_down = 20_000
    async with notes.order_by("n").listen() as snapshots:
        await has_gathered(snapshots)
        network.go_down()
        await far.document("000000").delete()
        network.come_up()
        app.firestore.reconnect()
        assert texts(await anext(snapshots)) == list(range(1, 300))


async def test_what_left_while_the_network_was_down_is_told(network: CutProxy, apps: Apps) -> None:
    """And what changed meanwhile, and the listener knows that it was not connected."""
    app = await behind(network, apps)
    notes = notes_of(app)
    await filled(app, notes, 4)
    far = (await signed_in_as(app, apps)).firestore.collection(notes.path)
    async with notes.order_by("n").listen() as snapshots:
        await until(snapshots, [0, 1, 2, 3])
        assert snapshots.is_connected
        network.go_down()
        await has_noticed(snapshots)
        await far.document("000001").delete()
        await far.document("000002").update({"n": 20})
        network.come_up()
        app.firestore.reconnect()
        snapshot = await until(snapshots, [0, 3, 20])
        assert {change.kind for change in snapshot.changes} == {ChangeKind.REMOVED, ChangeKind.MODIFIED}


async def test_a_token_that_is_refused_in_mid_stream_is_renewed(network: CutProxy, apps: Apps) -> None:
    """The token's hour is over: the server ends the stream and refuses the old token; the listener goes on."""
    app = await behind(network, apps)
    notes = notes_of(app)
    far = (await signed_in_as(app, apps)).firestore.collection(notes.path)
    async with notes.listen() as snapshots:
        await anext(snapshots)
        old = await app.auth.id_token()
        apps.suite.advance_clock(3601)
        apps.suite.add_fault(
            FaultRule(action="fail", match={"method": "Listen"}, times=2, code=Code.UNAUTHENTICATED, message="expired")
        )
        try:
            network.cut()
            await has_noticed(snapshots)
            await far.document("a").set({"n": 1})
            await until(snapshots, [1])
        finally:
            apps.suite.clear_faults()
        assert await app.auth.id_token() != old


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.INTERNAL, Code.RESOURCE_EXHAUSTED, Code.ABORTED])
async def test_a_server_that_resets_is_asked_again(code: Code, app: FirebaseApp, own: Own, apps: Apps) -> None:
    """However often it fails in a way that may pass."""
    apps.suite.add_fault(FaultRule(action="fail", match={"method": "Listen"}, times=4, code=code))
    try:
        async with app.firestore.collection(own("notes")).listen() as snapshots:
            assert texts(await anext(snapshots)) == []
    finally:
        apps.suite.clear_faults()


async def test_a_stream_that_is_refused_for_good_ends_with_the_reason(app: FirebaseApp, own: Own, apps: Apps) -> None:
    """Silence for ever would be worse than an error."""
    apps.suite.add_fault(FaultRule(action="fail", match={"method": "Listen"}, code=Code.NOT_FOUND, message="no db"))
    try:
        async with app.firestore.collection(own("notes")).listen() as snapshots:
            with pytest.raises(FirestoreError, match="no db"):
                await anext(snapshots)
    finally:
        apps.suite.clear_faults()


async def test_a_fault_of_the_client_itself_is_told(
    app: FirebaseApp, own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever for a stream that has died."""

    def fails(response: object) -> object:
        raise LookupError("a fault")

    monkeypatch.setattr(app.firestore._watch._watch, "receive", fails)
    async with app.firestore.collection(own("notes")).listen() as snapshots:
        with pytest.raises(FirestoreError, match="a fault"):
            await anext(snapshots)


async def test_a_denied_listener_leaves_the_others_alone(app: FirebaseApp, own: Own) -> None:
    """They share a stream, not their fate."""
    notes = app.firestore.collection(own("notes"))
    async with notes.listen() as allowed, app.firestore.collection("players/other/notes").listen() as denied:
        with pytest.raises(FirestoreError, match="permission-denied"):
            await anext(denied)
        await anext(allowed)
        await notes.document("a").set({"n": 1})
        await until(allowed, [1])


async def test_whoever_signs_out_hears_nothing_more(app: FirebaseApp, own: Own) -> None:
    """A listener is its user's: with another user, or none, the rules are asked again."""
    async with app.firestore.collection(own("notes")).listen() as snapshots:
        await anext(snapshots)
        await app.auth.sign_out()
        with pytest.raises(FirestoreError, match="permission-denied"):
            await anext(snapshots)


async def test_changes_go_on_after_a_restart_from_where_they_were(app: FirebaseApp, own: Own) -> None:
    """A later run with the token and the known names hears of what changed and what left, and of nothing else."""
    notes = app.firestore.collection(own("notes"))
    await filled(app, notes, 5)
    async with notes.listen_to_changes() as changes:
        first = await anext(changes)
        assert len(first.changed) == 5
    await notes.document("000001").delete()
    await notes.document("000002").update({"n": 20})
    known = [snapshot.reference for snapshot in first.changed]
    async with notes.listen_to_changes(resume_token=first.resume_token, known=known) as changes:
        later = await anext(changes)
    assert [snapshot.id for snapshot in later.changed] == ["000002"]
    assert [reference.id for reference in later.removed] == ["000001"]


async def test_changes_without_a_token_still_tell_what_left(app: FirebaseApp, own: Own) -> None:
    """The token may be lost or too old: the known names alone show what is gone."""
    notes = app.firestore.collection(own("notes"))
    await filled(app, notes, 3)
    gone = notes.document("gone")
    async with notes.listen_to_changes(known=[gone, notes.document("000000")]) as changes:
        first = await anext(changes)
    assert first.removed == [gone]
    assert len(first.changed) == 3


async def test_ten_thousand_documents_are_listened_to(app: FirebaseApp, own: Own) -> None:
    """All of them at once, in order, and then single changes among them."""
    notes = app.firestore.collection(own("notes"))
    await filled(app, notes, MANY)
    async with notes.order_by("n", "descending").listen() as snapshots:
        first = await anext(snapshots)
        assert texts(first) == list(range(MANY - 1, -1, -1))
        for number in range(50):
            await notes.document(f"{number:06}").update({"n": -number - 1})
        await until_last(snapshots, -50)


class Counted:
    """An order that counts how often it is asked."""

    asked = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def __lt__(self, other: Counted) -> bool:
        Counted.asked += 1
        return self.number < other.number

    def __eq__(self, other: object) -> bool:
        Counted.asked += 1
        return isinstance(other, Counted) and self.number == other.number

    def __hash__(self) -> int:
        return hash(self.number)


def test_a_change_among_many_documents_costs_a_search_and_not_a_sort(app: FirebaseApp, own: Own) -> None:
    """10,000 documents, then 1,000 single changes: some 14 comparisons for each place, never thousands."""
    notes = app.firestore.collection(own("notes"))

    def document(number: int, n: int) -> DocumentSnapshot:
        reference = notes.document(f"{number:06}")
        message = messages.Document(name=reference.name)
        message.fields["n"].integer_value = n
        return DocumentSnapshot(reference, message, None, lambda name: None)

    view = OrderedView(CountedKey())
    view.apply({str(number): document(number, number) for number in range(MANY)})
    Counted.asked = 0
    for number in range(1000):
        view.apply({str(number): document(number, MANY + number)})
    assert Counted.asked < 1000 * 100
    assert [each.get("n") for each in view.documents] == list(range(1000, MANY + 1000))


class CountedKey(SortKey):
    """By `n`, counting comparisons."""

    def __init__(self) -> None:
        super().__init__(())

    def __call__(self, document: Any) -> tuple[Any, ...]:
        return (Counted(document.fields["n"].integer_value),)


async def until_last(snapshots: QueryListener, value: int) -> None:
    async for snapshot in snapshots:
        if snapshot.documents[-1].get("n") == value:
            return


async def signed_in_as(app: FirebaseApp, apps: Apps) -> FirebaseApp:
    """The same user on another machine, whose network is whole."""
    other = await apps.open(store=app.auth._store)
    assert other.auth.current_user == app.auth.current_user
    return other
