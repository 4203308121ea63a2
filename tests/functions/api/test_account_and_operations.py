"""What a user asks about the account, and what operators ask about everybody's: who may, once, and in what order."""

from __future__ import annotations

from afterimage.paths import books_path
from afterimage.store.documents import Expect, Replace
from tests.functions.api.conftest import ServedApi


def test_a_user_erases_the_own_account_once_and_nobody_else_s(served: ServedApi) -> None:
    """The second question is part of the request; the same request twice is one job."""
    address = served.instance()
    alice = served.user("alice").headers
    wrong = served.http.post(f"{address}/api/account/erase", json={"confirm": "bob"}, headers=alice)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "FORBIDDEN")
    assert served.published == []
    keyed = alice | {"Idempotency-Key": "once"}
    first, again = (
        served.http.post(f"{address}/api/account/erase", json={"confirm": "alice"}, headers=keyed) for _ in range(2)
    )
    assert first.status_code == 202
    assert first.json() == again.json()
    assert served.published == [("user.erase", {"job": first.json()["job"], "uid": "alice"})] * 2


def test_a_home_without_jobs_says_so(served: ServedApi) -> None:
    """Nobody is told that everything is being erased where nothing will erase it."""
    served.published = None
    headers = served.user("alice").headers
    answer = served.http.post(f"{served.instance()}/api/account/erase", json={"confirm": "alice"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert "none runs here" in answer.json()["error"]


def test_operators_alone_see_users_by_cost_and_start_jobs(served: ServedApi) -> None:
    """The dearest first; books of the erased have no cost and are left out; only jobs that replay may be started."""
    address = served.instance()
    client = served.documents
    for uid, cost in (("cheap", 0.5), ("dear", 12.25), ("middle", 3.0)):
        fields = {"total_cost_usd": cost, "total_generations": 2, "cache_rate": 0.5}
        client.commit([Replace(path=books_path(uid), fields=fields, expected=Expect.ANYTHING)])
    client.commit([Replace(path=books_path("gone"), fields={"erased_at": 1}, expected=Expect.ANYTHING)])
    admin, alice = served.user("root", admin=True).headers, served.user("alice").headers
    for refused in (
        served.http.get(f"{address}/api/operations/users", headers=alice),
        served.http.post(f"{address}/api/operations/jobs", json={"kind": "media.replay"}, headers=alice),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
    found = served.http.get(f"{address}/api/operations/users", params={"limit": 2}, headers=admin).json()["users"]
    assert [(user["uid"], user["total_cost_usd"]) for user in found] == [("dear", 12.25), ("middle", 3.0)]
    started = served.http.post(f"{address}/api/operations/jobs", json={"kind": "media.replay"}, headers=admin)
    assert started.status_code == 202
    assert served.published == [("media.replay", {"job": started.json()["job"]})]
    other = served.http.post(f"{address}/api/operations/jobs", json={"kind": "user.erase"}, headers=admin)
    assert other.status_code == 400
