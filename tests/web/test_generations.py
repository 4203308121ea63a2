"""Generations and dialogues: asked for, followed live, compared and fetched; hits; refusals with their reasons."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from google.cloud import firestore

from afterimage_client.worker import Worker, draw
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.web.conftest import Person, bars

CARDS = "[...document.querySelectorAll('.cards:not(.workers) > .card')]"


def asks(person: Person, prompt: str) -> None:
    person.writes(".ask [name=prompt]", prompt)
    person.page.run("() => document.querySelector('.ask').requestSubmit()")


def test_a_generation_is_asked_for_followed_iterated_compared_and_fetched(people: Callable[[], Person]) -> None:
    """Through the API, once, also where the first token has run out; its state is live; another user finds nothing."""
    person = people()
    person.arrives("generations")
    person.reads("Nothing yet.")
    generate = {"service": "hosting", "method": "POST", "resource": "/generations/generate"}
    person.suite.add_fault(FaultRule(action="fail", match=generate, times=1, code=Code.UNAUTHENTICATED))
    asks(person, "a tool that counts words")
    person.sees(f"{CARDS}.length === 1 && {CARDS}[0].dataset.status === 'completed'")
    assert "README.md" in person.text(".card table")
    asks(person, "and lines")
    person.sees(f"{CARDS}.length === 2 && {CARDS}[0].dataset.status === 'completed'")
    person.page.run("() => document.querySelectorAll('input[type=checkbox]').forEach((box) => box.click())")
    person.reads("From version 1 to version 2")
    assert "same size" in person.text(".comparison")
    assert bars(person) == []
    address = person.page.run(
        """async () => {
          const opened = new Promise((resolve) => document.addEventListener("click", (event) => {
            if (event.target.matches("a[download]")) { event.preventDefault(); resolve(event.target.href); }
          }, true));
          document.querySelector("[aria-label='Download Version 1']").click();
          return opened;
        }"""
    )
    assert "v1.tar.gz" in address
    assert "X-Goog-Signature" in address
    person.goes_to("generations")
    person.sees("document.querySelector('.line .state')?.innerText === 'done'")

    other = people()
    other.arrives("generations")
    other.page.run("(hash) => { location.hash = hash; }", person.page.run("() => location.hash"))
    other.reads("Nothing yet.")


def test_what_a_worker_makes_appears_as_it_ends(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real worker, with the user's own token: at work, then the picture, without a reload."""
    person.arrives("generations")
    for name, value in person.suite.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FIREBASE_STORAGE_BUCKET", person.suite.default_bucket)
    token = person.page.run(
        """async () => {
          const [{ getApp }, { getAuth }] = [await import("firebase/app"), await import("firebase/auth")];
          return getAuth(getApp()).currentUser.getIdToken();
        }"""
    )
    request = {"prompt": "a lighthouse", "width": 64, "height": 48, "file_uid": "made-1", "use_cloud_storage": True}
    with Worker.from_environment().generation({**request, "id_token": token}) as job:
        person.sees("document.querySelector('.workers [data-status=processing]')")
        draw(job)
    person.sees("document.querySelector('.workers [data-status=completed] img')?.naturalWidth === 64")
    assert "a lighthouse" in person.text(".workers")


def test_a_dialogue_is_written_booked_and_used_again(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the app and what the books say, live, as text whatever it is; a hit is one; a refusal says why."""
    uid = person.arrives("dialogues")
    person.writes(".write [name=card]", "dragon")
    person.writes(".write [name=cost]", "0.25")
    person.writes(".write [name=text]", "Who goes <img src=x onerror='ran = true'> there?")
    person.page.run("() => document.querySelector('.write').requestSubmit()")
    person.reads("1 dialogue")
    person.page.run("() => document.querySelector('.line').click()")
    person.reads("$0.25 (as the app reports it)")
    assert "<img src=x" in person.text(".line")
    assert person.page.run("() => document.querySelectorAll('main img').length") == 0
    person.presses("Use it again")
    person.sees("document.querySelector('.line').innerText.includes('1 hit')")
    person.sees("[...document.querySelectorAll('.sides section')][1].innerText.match(/Saved\\s+\\$0.25/)")

    person.writes(".write [name=cost]", "5000")
    person.writes(".write [name=text]", "Too dear.")
    person.page.run("() => document.querySelector('.write').requestSubmit()")
    person.reads("The rules refuse this")
    person.reads("1 dialogue")
    assert person.page.run("() => document.querySelector('.write [name=text]').value") == "Too dear."

    for name, value in person.suite.environment().items():
        monkeypatch.setenv(name, value)
    store = firestore.Client(project=person.suite.project_id)
    store.document(f"budgets/{uid}").set({"limit_nano_usd": 2_000_000_000, "spent_nano_usd": 250_000_000})
    store.document(f"quota/{uid}/alerts/90").set({"state": "raised", "level": 90, "at": datetime.now(UTC)})
    store.close()
    person.goes_to("books")
    person.reads("$0.25 of $2.00 are spent")
    person.reads("Storage is 90 % full")
    person.sees("document.querySelector('.figures').innerText.includes('$0.25')")
    person.reads("1 reported")
    assert person.page.run("() => document.querySelectorAll('figure table tbody tr').length") >= 2
    assert person.page.run("() => document.querySelector('svg .part').width.baseVal.value") > 0
