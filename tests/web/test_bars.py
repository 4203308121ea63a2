"""Fast and for everyone: what is loaded first, slow networks and functions, no shifts, keys, contrast, long lists."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from google.cloud import firestore

from afterimage_emulator.faults import FaultRule
from tests.web.conftest import Person, bars
from tests.web.pictures import picture

FIRST_PAINT_BYTES = 100_000
ROOMS = ("gallery", "generations", "dialogues", "books", "versions", "storage", "account")
TILES = "[...document.querySelectorAll('.tile')]"


def test_the_first_paint_needs_no_sdk_and_the_page_works_over_a_slow_network(person: Person) -> None:
    """Under 100 KB before the frame is there, at 750 kbit a second; the SDK comes after it, and then all works."""
    person.page.command("Network.setCacheDisabled", cacheDisabled=True)
    person.page.command(
        "Network.emulateNetworkConditions",
        offline=False,
        latency=100,
        downloadThroughput=750_000 // 8,
        uploadThroughput=250_000 // 8,
    )
    person.arrives("account")
    person.reads("You are a guest")
    found = person.page.run(
        """() => {
          const paint = performance.getEntriesByName("first-contentful-paint")[0].startTime;
          const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
          const of = (one) => new URL(one.name).pathname;
          const sdk = loaded.filter((one) => /firebase-[a-z-]+\\.js$/.test(of(one)));
          const before = loaded.filter((one) => !sdk.includes(one) && new URL(one.name).origin === location.origin);
          return {
            bytes: before.reduce((sum, one) => sum + one.decodedBodySize, 0),
            sdk: Math.max(...sdk.map((one) => one.responseEnd)) > paint && sdk.length > 2,
            links: document.querySelectorAll("#rooms a").length,
          };
        }"""
    )
    assert found["bytes"] < FIRST_PAINT_BYTES
    assert found["sdk"]
    assert found["links"] == len(ROOMS)


def test_pictures_push_nothing_away_and_keys_do_everything(person: Person) -> None:
    """While pictures come nothing moves; arrows, Enter and Escape go through the gallery; focus comes back."""
    person.arrives()
    person.drops(*[(f"{n}.jpg", "image/jpeg", picture(300 + 40 * n, 300, colour=n)) for n in range(3)])
    person.sees(f"{TILES}.filter((one) => one.dataset.status === 'ready').length === 3")
    person.page.reload()
    person.sees(f"{TILES}.filter((one) => one.querySelector('img.here')).length === 3")
    shifts = person.page.run(
        """() => new Promise((resolve) => {
          const moved = (one) => one.sources.map((source) => source.node?.outerHTML?.slice(0, 80)).join(" ");
          new PerformanceObserver((list) => resolve(list.getEntries().map((one) => [one.value, moved(one)])))
            .observe({ type: "layout-shift", buffered: true });
          requestAnimationFrame(() => requestAnimationFrame(() => resolve([])));
        })"""
    )
    assert sum(value for value, _ in shifts) < 0.01, shifts
    person.page.run("() => document.querySelector('.tile[tabindex=\"0\"]').focus()")
    person.key("ArrowRight", 39)
    assert person.page.run("() => document.activeElement.closest('.one').ariaPosInSet") == "2"
    person.key("Enter", 13, "\r")
    person.sees("document.querySelector('dialog').open")
    person.key("Escape", 27)
    person.sees("!document.querySelector('dialog').open")
    assert person.page.run("() => document.activeElement.className") == "tile"
    person.key("Home", 36)
    assert person.page.run("() => document.activeElement.closest('.one').ariaPosInSet") == "1"


def test_no_room_bars_anybody(person: Person) -> None:
    """Each room with something in it, and a file large: axe finds nothing serious; nothing is wider than its place."""
    person.arrives()
    person.drops(("a.jpg", "image/jpeg", picture(colour=9)), ("b.svg", "image/svg+xml", b"<svg/>"))
    person.sees(f"{TILES}.filter((one) => one.querySelector('img.here')).length === 1")
    person.goes_to("dialogues")
    for name, text in (("card", "dragon"), ("cost", "0.25"), ("text", "Who goes there?")):
        person.writes(f".write [name={name}]", text)
    person.page.run("() => document.querySelector('.write').requestSubmit()")
    person.reads("1 dialogue")
    for room in ROOMS:
        person.goes_to(room)
        assert bars(person) == [], room
    person.looks(width=360)
    shown = """() => {
      const [room, screen] = [document.querySelector("#rooms [aria-current]"), innerWidth];
      const { left, right } = room.getBoundingClientRect();
      return left >= 0 && right <= screen;
    }"""
    assert person.page.run(shown), "the open room's name is out of sight"
    person.goes_to("gallery")
    person.sees("document.querySelector('.tile[data-status=ready]')")
    columns = "new Set([...document.querySelectorAll('.tile')].map((one) => one.getBoundingClientRect().left)).size"
    person.drops(("c.jpg", "image/jpeg", picture(colour=10)))
    person.sees(f"{columns} === 2")
    person.page.run("() => document.querySelector('.tile[data-status=ready]').click()")
    person.sees("document.querySelector('dialog img.here')")
    assert bars(person) == []


def test_ten_thousand_outputs_are_listed(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """The count at once, the newest first, the oldest at the end; a few dozen elements however far somebody scrolls."""
    person.suite.add_fault(FaultRule(action="drop", match={"type": "*firestore*"}))
    uid = person.arrives("account")
    for name, value in person.suite.environment().items():
        monkeypatch.setenv(name, value)
    store = firestore.Client(project=person.suite.project_id)
    began = datetime.now(UTC) - timedelta(days=30)
    for first in range(0, 10_000, 500):
        batch = store.batch()
        for number in range(first, first + 500):
            place = store.document(f"ai_outputs/{uid}/dialogues/card_{number:05}")
            batch.set(
                place, {"text": f"line {number}", "model": "m", "generated_at": began + timedelta(seconds=number)}
            )
        batch.commit()
    store.close()
    person.goes_to("dialogues")
    person.reads("10,000 dialogues")
    person.reads("line 9999")
    person.page.run("() => document.querySelector('.line').focus()")
    person.key("End", 35)
    person.sees("document.activeElement.innerText.startsWith('line 0\\n')")
    assert person.page.run("() => document.querySelectorAll('.virtual .one').length") < 60
    assert person.page.run("() => [...document.querySelectorAll('.one')].at(-1).ariaSetSize") == "10000"


def test_slow_functions_keep_nobody_waiting(people: Callable[[], Person]) -> None:
    """A stored file is there before functions have seen it, and can be deleted; a slow answer blocks its form alone."""
    person = people()
    person.suite.add_fault(FaultRule(action="drop", match={"type": "*finalized"}))
    person.arrives()
    person.drops(("a.jpg", "image/jpeg", picture(colour=77)))
    person.sees(f"{TILES}.length === 1 && {TILES}[0].innerText.includes('Being made ready')")
    person.page.run(f"() => {{ {TILES}[0].click(); }}")
    person.presses("Delete", "dialog")
    person.presses("Do it now")
    person.reads("Nothing here yet.")
    person.goes_to("generations")
    person.suite.add_fault(
        FaultRule(action="stall", match={"service": "hosting", "method": "POST"}, times=1, seconds=3)
    )
    person.writes(".ask [name=prompt]", "something slow")
    person.page.run("() => document.querySelector('.ask').requestSubmit()")
    person.reads("At work …")
    person.goes_to("books")
    person.reads("Cost by model")
