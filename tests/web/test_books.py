"""The books: whose word each cost is, on tiles, in charts and in tables; the days that have left the live books."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.cloud import firestore

from tests.web.conftest import Person, bars
from tests.web.pictures import picture

LONG = "w" * 400
TURNED = "\u202eturned"


def test_costs_stand_apart_by_whose_word_they_are_and_closed_days_are_shown(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reported, computed, confirmed: booked by the real ledger; hatched, dotted, solid; old days too."""
    uid = person.arrives()
    person.drops(("a.png", "image/png", picture(2, 2, kind="PNG")))
    person.sees("document.querySelector('.tile[data-status=ready]')")
    person.goes_to("books")
    for name, value in person.suite.environment().items():
        monkeypatch.setenv(name, value)
    store = firestore.Client(project=person.suite.project_id)
    now = datetime.now(UTC)
    dialogue = {"text": "t", "model": "gemini-2.5-flash", "generated_at": now}
    store.document(f"ai_outputs/{uid}/dialogues/reported").set({**dialogue, "model": "own-model", "cost_usd": 0.5})
    store.document(f"ai_outputs/{uid}/dialogues/computed").set({**dialogue, "input_tokens": 10**6, "output_tokens": 0})
    store.document(f"generations/{uid}/files/confirmed").set(
        {
            "status": "completed",
            "created_at": now,
            "confirmed_cost_nano_usd": 1_250_000_000,
            "request_data": {"prompt": "p", "model": "own-model"},
            "generation_data": {"model": "own-model"},
        }
    )
    old = (now - timedelta(days=60)).date().isoformat()
    figures = {"generations": 7, "cost_whole_usd": 9, "reported_whole_usd": 4, "confirmed_whole_usd": 5}
    store.document(f"usage/{uid}/days/{old}").set({"closed": figures})
    store.close()
    each = "[...document.querySelectorAll('.figures > div')].map((one) => one.innerText.split('\\n').reverse())"
    tiles = f"Object.fromEntries({each})"
    person.sees(f"{tiles}['Of it reported by apps'] === '$0.50' && {tiles}['Of it confirmed by workers'] === '$1.25'")
    person.sees(f"{tiles}['Of it computed by the server'].match(/^\\$0\\.[0-9]*[1-9]/)")
    row = f"[...document.querySelectorAll('figure tr')].find((one) => one.textContent.startsWith('{old}'))"
    person.sees(row)
    cells = person.page.run(f"() => [...{row}.children].map((one) => one.textContent)")
    assert cells == [old, "7", "$9.00", "$5.00", "$0.00", "$4.00", "0", "$0.00"]
    # What is stored has a record as well, and is no output without a cost.
    person.reads("1 confirmed, 1 computed, 1 reported, 0 without")
    looks = person.page.run(
        """() => [...document.querySelectorAll("figure")].slice(0, 2).map((figure) =>
          ["hatched", "dotted"].map((look) => figure.querySelectorAll(`rect.${look}`).length))"""
    )
    assert looks == [[1, 1], [2, 1]]
    fills = "getComputedStyle(document.querySelector('rect.dotted')).fill"
    assert "#dotted" in person.page.run(f"() => {fills}")
    assert bars(person) == []
    drawn = "document.querySelector('.chart').viewBox.baseVal.width"
    for width, wanted in ((360, 340), (1000, 640)):
        person.looks(width=width)
        assert person.page.run(f"() => {drawn}") == wanted, "a chart keeps the size of another screen"


def test_long_and_turned_words_stay_in_their_place(person: Person) -> None:
    """A word of 400 letters widens no room; a character that turns text turns nothing that the page itself says."""
    person.arrives("versions")
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    person.page.command("Emulation.setDeviceMetricsOverride", **size)
    person.writes(".save [name=name]", f"{TURNED}.txt")
    person.writes(".save [name=text]", LONG)
    person.writes(".save [name=description]", LONG)
    person.page.run("() => document.querySelector('.save').requestSubmit()")
    person.sees("document.querySelector('.line')?.innerText.includes('turned')")
    person.page.run("() => document.querySelector('.line').click()")
    person.sees("document.querySelector('.describe')")
    narrow = "() => document.documentElement.scrollWidth <= innerWidth"
    fits = "() => [...document.querySelectorAll('.card')].every((one) => one.scrollWidth <= one.clientWidth)"
    assert person.page.run(narrow)
    assert person.page.run(fits)
    person.presses("Delete", ".describe")
    person.reads("turned.txt is being deleted with all its versions.")
    assert "\u202e" not in person.text("#undo")
    person.presses("Undo")
    person.goes_to("dialogues")
    for name, text in (("card", "c"), ("model", "m" * 120), ("text", TURNED + LONG)):
        person.writes(f".write [name={name}]", text)
    person.page.run("() => document.querySelector('.write').requestSubmit()")
    person.reads("1 dialogue")
    person.suite.settled()
    for width in (360, 1000):
        person.page.command("Emulation.setDeviceMetricsOverride", **{**size, "width": width})
        person.page.run("() => document.querySelector('.line').click()")
        person.sees("document.querySelector('.sides dd')")
        assert person.page.run(narrow)
        assert person.page.run(fits)
        assert person.page.run("() => { const line = document.querySelector('.line');"
                               " return line.scrollWidth <= line.clientWidth; }")  # fmt: skip
