"""Commits where rules are in force: applied once, judged as a whole, and answered as they are for an admin."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator
from typing import Any

import pytest

from afterimage_emulator.firestore.documents.transforms import apply_transform
from afterimage_emulator.front.callers import ADMIN, Caller
from afterimage_emulator.protos import messages
from afterimage_emulator.status import Code, StatusError
from tests.emulator.firestore.transactions.test_transactions import DATABASE, ROOT, Direct

_firestore: Any = messages("google.firestore.v1")
ANN = Caller(uid="ann", claims={"sub": "ann"})
ANN_WRITES = """
service cloud.firestore {
  match /databases/{d}/documents { match /c/{id} { allow read, write: if request.auth.uid == 'ann'; } }
}
"""
KEYS = ("a", "b", "c")


@pytest.fixture
def direct() -> Iterator[Direct]:
    made = Direct()
    assert made.service.rules.load("demo", ANN_WRITES, file_name="firestore.rules") == []
    yield made
    made.session.database.check_invariants()


async def commit(direct: Direct, request: Any, caller: Caller) -> Any:
    reply = direct.operations.commit(request, caller)
    return _firestore.CommitResponse.FromString(await reply if inspect.isawaitable(reply) else reply)


def counter(request: Any, key: str, **precondition: Any) -> Any:
    """Adds a write that counts up, so that applying it twice would show."""
    write = request.writes.add(current_document=precondition or None)
    write.update.name = f"{ROOT}/c/{key}"
    write.update_mask.field_paths.append("kept")
    write.update_transforms.add(field_path="n").increment.integer_value = 1
    return write


@pytest.mark.parametrize("caller", [ANN, ADMIN], ids=["user", "admin"])
async def test_a_write_is_applied_once(direct: Direct, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """What rules are asked about is what is stored: nothing is worked out for them alone."""
    worked_out: list[Any] = []

    def counted(fields: Any, transform: Any, commit_time: int) -> Any:
        worked_out.append(transform)
        return apply_transform(fields, transform, commit_time)

    monkeypatch.setattr("afterimage_emulator.firestore.documents.writes.apply_transform", counted)
    request = _firestore.CommitRequest(database=DATABASE)
    for key in ("a", "a", "b"):
        counter(request, key)
    reply = await commit(direct, request, caller)
    assert len(worked_out) == 3
    assert [result.transform_results[0].integer_value for result in reply.write_results] == [1, 2, 1]
    found = await direct.get(KEYS)
    assert [found[key].fields["n"].integer_value for key in ("a", "b")] == [2, 1]


@pytest.mark.parametrize(
    ("first", "then", "code"),
    [
        ("delete", {"exists": True}, Code.INVALID_ARGUMENT),
        ("set", {"exists": False}, Code.ALREADY_EXISTS),
        ("set", {"update_time": {"seconds": 1}}, Code.FAILED_PRECONDITION),
    ],
)
async def test_a_precondition_sees_the_writes_before_it(
    direct: Direct, first: str, then: dict[str, Any], code: Code
) -> None:
    """Whatever the rules say to the whole commit: one write that comes too late, and none is done."""
    before = await direct.commit({"a": 1})
    request = _firestore.CommitRequest(database=DATABASE)
    if first == "delete":
        request.writes.add(delete=f"{ROOT}/c/a")
    else:
        counter(request, "a")
    counter(request, "a", **then)
    with pytest.raises(StatusError) as refused:
        await commit(direct, request, ANN)
    assert refused.value.code is code
    found = await direct.get(["a"])
    assert found["a"].update_time.seconds * 1_000_000 + found["a"].update_time.nanos // 1000 == before
    assert "n" in found["a"].fields


@pytest.mark.parametrize("seed", range(20))
async def test_a_user_whom_rules_allow_everything_is_answered_as_an_admin(seed: int) -> None:
    """Random commits, with preconditions that hold and that do not: the same answers, and the same documents."""
    chance = random.Random(seed)
    asked, unasked = Direct(), Direct()
    assert asked.service.rules.load("demo", ANN_WRITES, file_name="firestore.rules") == []
    for _ in range(30):
        request = _firestore.CommitRequest(database=DATABASE)
        for _ in range(chance.randint(1, 4)):
            key, kind = chance.choice(KEYS), chance.random()
            precondition = chance.choice(({}, {}, {"exists": True}, {"exists": False}))
            if kind < 0.3:
                request.writes.add(delete=f"{ROOT}/c/{key}", current_document=precondition or None)
            else:
                counter(request, key, **precondition)
        assert await _outcome(asked, request, ANN) == await _outcome(unasked, request, ADMIN)
    left = []
    for one in (asked, unasked):
        found = await one.get(KEYS)
        left.append({key: document and str(document.fields) for key, document in found.items()})
    assert left[0] == left[1]
    for one in (asked, unasked):
        one.session.database.check_invariants()


async def _outcome(direct: Direct, request: Any, caller: Caller) -> Any:
    try:
        reply = await commit(direct, request, caller)
    except StatusError as refused:
        return refused.code, refused.message
    return [[str(value) for value in result.transform_results] for result in reply.write_results]
