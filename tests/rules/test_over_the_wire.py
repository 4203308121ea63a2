"""All cases over the wire: at the suite, or at any other emulator that the environment names, without change."""

from __future__ import annotations

from contextlib import closing

from afterimage_emulator.rules_testing.drivers.wire_driver import NotOverTheWireError, WireDriver
from rules.law import Law
from tests.rules.conftest import Endpoint
from tests.rules.storage_wire import StorageWireDriver


def test_firestore_decides_every_case_as_the_engine_does(law: Law, firestore: Endpoint) -> None:
    """A client that speaks to a real port gets the verdict that the case promises; reasons are our own suite's.

    What members may list has its index in firestore.indexes.json: production would refuse it otherwise.
    """
    known = firestore.missing_indexes()
    driver = WireDriver(firestore.host, firestore.port, project=firestore.project)
    wrong: list[str] = []
    asked = left_out = 0
    for case in law.cases("firestore"):
        try:
            verdict = driver.decide(case)
        except NotOverTheWireError:
            left_out += 1
            continue
        asked += 1
        if verdict.is_allowed != case.is_allowed:
            wrong.append(f"{case.title}: {verdict}")
        elif firestore.is_ours and case.because and case.because not in verdict.message:
            wrong.append(f"{case.title}: not because of `{case.because}` but `{verdict.message}`")
    assert not wrong, "\n".join(wrong[:20])
    assert [missing for missing in firestore.missing_indexes() if missing not in known] == []
    assert asked > 1000
    assert left_out < 20, "only cases about two writes of one commit may be left out; the SDK's tests ask those"


def test_storage_decides_every_case_as_the_engine_does(law: Law, storage: Endpoint) -> None:
    """The same, through the dialect that Firebase's own SDKs speak, with files of the sizes that cases name."""
    wrong: list[str] = []
    cases = law.cases("storage")
    with closing(StorageWireDriver(storage.host, storage.port)) as driver:
        for case in cases:
            verdict = driver.decide(case)
            if verdict.is_allowed != case.is_allowed:
                wrong.append(f"{case.title}: {verdict}")
    assert not wrong, "\n".join(wrong[:20])
    assert len(cases) > 400
