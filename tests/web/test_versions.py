"""Saved files and operators: versions compared and gone back to; totals, letters and jobs."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from firebase_admin import auth, delete_app, initialize_app
from google.cloud import firestore

from tests.web.conftest import Person, bars
from tests.web.pictures import picture


def saves(person: Person, text: str, *, name: str = "", description: str = "") -> None:
    if name:
        person.writes(".save [name=name]", name)
    person.writes(".save [name=text]", text)
    person.writes(".save [name=description]", description)
    person.page.run("() => document.querySelector('.save').requestSubmit()")


def saves_file(person: Person, name: str, kind: str, data: bytes) -> None:
    person.page.run(
        """(name, type, text) => {
          const picked = new DataTransfer();
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          picked.items.add(new File([bytes], name, { type }));
          document.querySelector(".save [name=file]").files = picked.files;
          document.querySelector(".save").requestSubmit();
        }""",
        name,
        kind,
        base64.b64encode(data).decode(),
    )


def compares(person: Person, *versions: int) -> None:
    for version in versions:
        person.sees(f"document.querySelector('[data-part=\"{version}\"] input')")
        person.page.run(
            "(at) => { const box = document.querySelector(at); if (!box.checked) box.click(); }",
            f'[data-part="{version}"] input',
        )
    person.presses("Compare the two")


def test_versions_are_saved_compared_pinned_described_and_gone_back_to(person: Person) -> None:
    """Text with marked words, JSON by path, pictures with a slider and a difference; a timeline that is live."""
    person.arrives("versions")
    saves(person, "the quick brown fox\nstays", name="story.txt", description="first words")
    person.sees("document.querySelector('.line')?.innerText.includes('story.txt')")
    person.page.run("() => document.querySelector('.line').click()")
    person.reads("first words")
    person.writes(".describe [name=tags]", "half writ")
    saves(person, "the quick red fox\nstays", description="another colour")
    person.reads("another colour")
    # The file's document has changed by the save; what somebody is writing beside it stays.
    assert person.page.run("() => document.querySelector('.describe [name=tags]').value") == "half writ"
    compares(person, 1, 2)
    person.sees("document.querySelector('.comparison del')?.innerText === 'brown'")
    assert person.text(".comparison ins") == "red"
    assert "Change of size: −2 bytes" in person.text(".comparison")
    assert "1 line came, 1 line went" in person.text(".comparison caption")
    person.presses("Go back to it: Version 1")
    person.reads("Gone back to version 1")
    person.presses("Pin: Version 2")
    person.sees("document.querySelector('[data-part=\"2\"] .state')?.innerText === 'pinned'")
    person.writes(".describe [name=rename]", "tale.txt")
    person.writes(".describe [name=tags]", "old, told")
    person.page.run("() => document.querySelector('.describe').requestSubmit()")
    person.sees("document.querySelector('.describe h2').innerText === 'tale.txt'")

    person.goes_to("versions")
    saves(person, '{"a": 1, "b": [1, 2]}', name="state.json")
    person.sees("[...document.querySelectorAll('.line')].find((one) => one.innerText.includes('state.json'))")
    person.page.run("() => [...document.querySelectorAll('.line')].find((o) => o.innerText.includes('state')).click()")
    person.sees("document.querySelector('.describe')")
    saves(person, '{"a": 2, "b": [1, 2]}')
    compares(person, 1, 2)
    person.sees("document.querySelector('.comparison')?.innerText.match(/.a\\s+changed\\s+1\\s+2/)")

    person.goes_to("versions")
    person.writes(".save [name=name]", "cover.png")
    saves_file(person, "cover.png", "image/png", picture(600, 450, kind="PNG"))
    person.sees("[...document.querySelectorAll('.line')].find((one) => one.innerText.includes('cover.png'))")
    person.page.run("() => [...document.querySelectorAll('.line')].find((o) => o.innerText.includes('cover')).click()")
    person.sees("document.querySelector('.describe')")
    saves_file(person, "cover.png", "image/png", picture(600, 450, kind="PNG", colour=200))
    compares(person, 1, 2)
    person.sees("[...document.querySelectorAll('.slider img')].filter((one) => one.naturalWidth === 600).length === 2")
    person.sees("document.querySelector('.comparison .difference').naturalWidth > 0")
    cut = person.page.run(
        """() => {
          const slide = document.querySelector(".comparison input[type=range]");
          slide.value = 20;
          slide.dispatchEvent(new Event("input"));
          return getComputedStyle(document.querySelector(".slider .after")).clipPath;
        }"""
    )
    assert "20%" in cut
    assert bars(person) == []


def test_operators_see_totals_users_letters_and_jobs(
    people: Callable[[], Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the admin claim alone: who costs most, what could not be handled, and a replay that becomes a job."""
    person = people()
    uid = person.arrives("account")
    assert "Operators" not in person.text("#rooms")
    for name, value in person.suite.environment().items():
        monkeypatch.setenv(name, value)
    app = initialize_app(options={"projectId": person.suite.project_id}, name=uid)
    store = firestore.Client(project=person.suite.project_id)
    auth.set_custom_user_claims(uid, {"admin": True}, app=app)
    store.document("_events/letter").set(
        {"trigger": "media_finalized", "reason": "the bucket was away", "status": "open", "attributes": {}}
    )
    store.document("usage/somebody").set({"total_cost_usd": 41.5, "total_generations": 3, "cache_rate": 0.0})
    totals = store.document("operations/totals")
    person.suite.settled()
    added = {"generations": 1_234_567, "cost_whole_usd": 41_000_000, "cost_nano_usd": 500_000_000}
    totals.set({"totals": {name: firestore.Increment(by) for name, by in added.items()}}, merge=True)
    person.page.run(
        """async () => {
          const [{ getApp }, { getAuth }] = [await import("firebase/app"), await import("firebase/auth")];
          await getAuth(getApp()).currentUser.getIdToken(true);
        }"""
    )
    person.page.reload()
    person.sees("document.querySelector('#rooms').innerText.includes('Operators')")
    person.goes_to("operators")
    person.reads("the bucket was away")
    person.reads("$41.50")
    shown = (totals.get().to_dict() or {})["totals"]
    cost = shown["cost_whole_usd"] + shown["cost_nano_usd"] / 10**9
    for text in (f"{shown['generations']:,}", f"${cost:,.2f}"):
        person.sees(f"document.querySelector('.totals').innerText.includes('{text}')")
    totals.set({"totals": {name: firestore.Increment(-by) for name, by in added.items()}}, merge=True)
    store.close()
    delete_app(app)
    assert bars(person) == []
    person.presses("Once more: books")
    person.sees("document.querySelector('.jobs')?.innerText.includes('ledger.replay-')")
