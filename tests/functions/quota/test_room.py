"""A user's room: limits, alerts, the overview, advice with reasons and bytes, and cleaning up by a plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from afterimage.artifacts.refusals import RefusalKind, RefusedError
from afterimage.delivery.document_changes import DocumentChange
from afterimage.quota.account import account_in
from afterimage.quota.advice import recommendations, storage_overview
from afterimage.quota.alerts import alert_news
from afterimage.quota.cleanup import Cleanup, CleanupOptions
from afterimage.quota.review import review
from tests.functions.artifacts.desk import Desk


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Whatever a test has done, heads, versions, contents, files and accounts agree when it ends."""
    found = Desk(room=1_000)
    yield found
    assert found.faults() == []


def alerts(desk: Desk) -> dict[str, str]:
    start = "quota/ana/alerts/"
    return {
        path.removeprefix(start): fields["state"]
        for path, (fields, *_) in desk.store.documents.items()
        if path.startswith(start)
    }


def test_alerts_come_on_at_their_levels_and_end_when_clearly_left(desk: Desk) -> None:
    """Each once, however often the account moves around its level; the account's document says the highest."""
    big = desk.save(b"x" * 790, name="big.txt").head.file
    assert alerts(desk) == {}
    small = desk.save(b"y" * 10, name="small.txt").head.file
    assert alerts(desk) == {"80": "raised"}
    raised = dict(desk.store.fields("quota/ana/alerts/80"))
    desk.library.remove("ana", small)
    small = desk.save(b"z" * 11, name="small.txt").head.file
    assert desk.store.fields("quota/ana/alerts/80") == raised, "neither ended at 79 % nor raised again"
    full = desk.save(b"w" * 199, name="full.txt").head.file
    assert alerts(desk) == {"80": "raised", "90": "raised", "100": "raised"}
    assert desk.quota()["alert_level"] == 100
    desk.library.remove("ana", full)
    assert alerts(desk) == {"80": "raised", "90": "cleared", "100": "cleared"}
    desk.library.remove("ana", big)
    assert (alerts(desk)["80"], desk.quota()["alert_level"]) == ("cleared", 0)
    desk.library.remove("ana", small)


def test_a_raised_alert_is_news_once() -> None:
    """Not when it is written again, not when it ends; the same alert has one name, and the next another."""
    raised = {"state": "raised", "level": 80, "used_bytes": 8, "limit_bytes": 10, "at": Desk().clock}

    def news(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Any:
        path = "quota/ana/alerts/80"
        return alert_news(
            DocumentChange(project="p", database="d", path=path, before=before, after=after, version=1, created=1)
        )

    told = news(None, raised)
    assert (told["uid"], told["level"], told["used_bytes"]) == ("ana", 80, 8)
    assert told["alert"] == news({"state": "cleared"}, raised)["alert"]
    assert news(raised, raised) is None
    assert news(raised, {**raised, "state": "cleared"}) is None
    assert news(raised, None) is None


def test_an_operator_gives_one_user_another_limit(desk: Desk) -> None:
    """Before or after the first save; what is there already stays, and deleting is always possible."""
    desk.store.put("quota/ana", {"limit_bytes": 50})
    file = desk.save(b"x" * 40).head.file
    with pytest.raises(RefusedError, match="40 of 50 are used") as refused:
        desk.save(b"y" * 20, name="b.txt")
    assert refused.value.kind is RefusalKind.STORAGE_QUOTA_EXCEEDED
    desk.store.put("quota/ana", desk.quota() | {"limit_bytes": 10})
    desk.save(b"x" * 40, name="same.txt")
    with pytest.raises(RefusedError):
        desk.save(b"y", name="c.txt")
    desk.library.remove("ana", file)
    assert desk.quota()["limit_bytes"] == 10


@pytest.mark.parametrize("limit", [-1, True, "10", 2**60, 1.5, None])
def test_a_limit_that_is_none_is_as_if_it_were_not_there(limit: Any) -> None:
    """Whatever was written there by hand."""
    desk = Desk(room=1_000)
    desk.store.put("quota/ana", {"limit_bytes": limit})
    assert account_in("ana", desk.store.read("quota/ana"), 1_000).limit_bytes == 1_000


def test_the_overview_has_the_shape_that_clients_know(desk: Desk) -> None:
    """`google_drive.quota.usage_percentage` and `local_storage.usage_percentage`, with what they are made of."""
    desk.save(b"x" * 250)
    desk.announce(100)
    account = account_in("ana", desk.store.read("quota/ana"), desk.room)
    shown = storage_overview(account)
    assert shown["google_drive"]["quota"]["usage_percentage"] == 0
    assert shown["local_storage"]["usage_percentage"] == 25.0
    assert (shown["local_storage"]["reserved_bytes"], shown["local_storage"]["free_bytes"]) == (100, 650)
    desk.clean_up()


def saved_over_months(desk: Desk) -> str:
    """Eight versions of ten bytes, a month apart; the second pinned, the fourth and fifth automatic."""
    file = desk.save(b"0" * 10, name="old.txt").head.file
    for number in range(1, 8):
        desk.pass_time(days=31)
        desk.save(b"%d" % number * 10, file=file, auto_save=number in {3, 4})
    desk.library.pin("ana", file, 2, is_pinned=True)
    return file


def test_cleaning_up_follows_a_plan_that_was_looked_at(desk: Desk) -> None:
    """The dry run names versions and bytes and changes nothing; the run frees exactly that, never pinned or newest."""
    file = saved_over_months(desk)
    cleanup, options = Cleanup(library=desk.library), CleanupOptions()
    plan = cleanup.plan("ana", options)
    assert [entry.number for entry in plan.files[0].gone] == [1, 3, 4, 5]
    assert (plan.freed_bytes, desk.quota()["used_bytes"]) == (40, 80)
    with pytest.raises(RefusedError, match="look at the new plan"):
        cleanup.run("ana", options, "")
    desk.library.pin("ana", file, 3, is_pinned=True)
    with pytest.raises(RefusedError, match="has changed"):
        cleanup.run("ana", options, plan.name)
    again = cleanup.plan("ana", options)
    cleanup.run("ana", options, again.name)
    assert [entry.number for entry in desk.library.head("ana", file).versions] == [2, 3, 6, 7, 8]
    assert desk.quota()["used_bytes"] == 80 - again.freed_bytes
    assert cleanup.plan("ana", options).files == ()
    everything = CleanupOptions(older_than_days=0, keep_newest=1)
    cleanup.run("ana", everything, cleanup.plan("ana", everything).name)
    assert [entry.number for entry in desk.library.head("ana", file).versions] == [2, 3, 8]
    for wrong in (CleanupOptions(keep_newest=0), CleanupOptions(older_than_days=-1)):
        with pytest.raises(RefusedError):
            cleanup.plan("ana", wrong)


def test_what_is_pinned_or_becomes_the_newest_while_a_plan_runs_stays(desk: Desk) -> None:
    """The plan was right when it was made; each version is asked about again in the commit that takes it away."""
    file = saved_over_months(desk)
    cleanup, options = Cleanup(library=desk.library), CleanupOptions()
    plan = cleanup.plan("ana", options)

    def meanwhile(call: str) -> None:
        if call == "commit":
            desk.store.before = lambda _call: None
            desk.library.pin("ana", file, 1, is_pinned=True)

    desk.store.before = meanwhile
    cleanup.run("ana", options, plan.name)
    assert [entry.number for entry in desk.library.head("ana", file).versions] == [1, 2, 6, 7, 8]
    assert desk.quota()["used_bytes"] == 50


def test_bytes_that_others_refer_to_are_not_counted_as_freed(desk: Desk) -> None:
    """What a plan promises is what the account moves by."""
    file = desk.save(b"shared" * 5, name="a.txt").head.file
    desk.save(b"shared" * 5, name="b.txt")
    for number in range(4):
        desk.save(b"%d" % number, file=file)
    cleanup, options = Cleanup(library=desk.library), CleanupOptions(older_than_days=0)
    before = desk.quota()["used_bytes"]
    plan = cleanup.plan("ana", options)
    assert [entry.number for entry in plan.files[0].gone] == [1, 2]
    assert plan.freed_bytes == 1
    cleanup.run("ana", options, plan.name)
    assert desk.quota()["used_bytes"] == before - 1


def test_advice_says_why_and_how_much(desk: Desk) -> None:
    """Old versions, automatic ones, duplicates, files nobody touches, and large ones: the most bytes first."""
    old = saved_over_months(desk)
    desk.pass_time(days=100)
    copies = [desk.save(b"copy" * 100, name=name).head.file for name in ("a.txt", "b.txt")]
    account = account_in("ana", desk.store.read("quota/ana"), desk.room)
    advice = recommendations(review(desk.store, "ana"), account, desk.clock)
    by_kind = {each["kind"]: each for each in advice}
    assert by_kind["old_versions"]["bytes"] == 40
    assert "older than 30 days" in by_kind["old_versions"]["reason"]
    assert by_kind["auto_saves"]["bytes"] == 20
    assert (by_kind["untouched_files"]["files"], by_kind["untouched_files"]["bytes"]) == ([old], 60)
    assert set(by_kind["duplicates"]["files"]) == set(copies)
    assert by_kind["large_file"]["bytes"] == 80
    assert [each["bytes"] for each in advice] == sorted((each["bytes"] for each in advice), reverse=True)
    desk.library.archive("ana", old)
    assert desk.quota()["used_bytes"] == 80 - 60 + 400
