"""What somebody stored to do harm: shown as text, it runs nothing, breaks nothing, and reaches nobody else's files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from firebase_admin import delete_app, initialize_app, storage
from google.cloud import firestore

from tests.web.conftest import TOO_WIDE, Person
from tests.web.pictures import picture
from tests.web.test_versions import saves_file

MARKUP: Final = "<img src=x onerror='ran = 1'><script>ran = 1</script>"
TURNED: Final = "\u202egpj.elif"
SCRIPT: Final = "javascript:ran=1"
SVG: Final = (
    b'<svg xmlns="http://www.w3.org/2000/svg" onload="ran=1"><script>top.ran=1</script><rect width="%d"/></svg>'
)
LISTENING: Final = """
globalThis.broken = [];
addEventListener("error", (event) => event.message && broken.push(event.message));
addEventListener("unhandledrejection", (event) => broken.push(String(event.reason)));
"""


def is_unharmed(person: Person) -> None:
    """Nothing has run or thrown, and everything stays in its place on either screen."""
    for width in (1000, 360):
        person.looks(width=width)
        assert person.page.run(TOO_WIDE) == [], width
    assert person.page.run("() => [globalThis.ran, broken]") == [None, []]


def poison(store: firestore.Client, uid: str, other: str) -> None:
    """Documents as no function and no app writes them, or as newer ones might."""
    now = datetime.now(UTC)
    name = f"users/{other}/ai_generated/images/a_portrait.jpg"
    place = {"bucket": "demo.appspot.com", "path": name, "name": name}
    variant = {**place, "content_type": "image/webp", "width": 200, "height": 100, "bytes": 1}
    documents: dict[str, dict[str, Any]] = {
        f"users/{uid}/objects/stolen": {
            "status": "melted",
            "kind": "hologram",
            "reason": MARKUP,
            "variants": [variant],
            "placeholder": {"blurhash": MARKUP},
            "source": {**place, "bytes": 1, "width": "url(x)", "height": -1, "stored_at": now},
        },
        f"generations/{uid}/files/made": {
            "status": "melted",
            "created_at": now,
            "request_data": {"prompt": MARKUP + TURNED, "width": "1e9", "height": SCRIPT},
            "generation_data": {
                "model": "m" * 10_000,
                "images": [SCRIPT, "https://evil.example/x.png", f"data:image/svg+xml,{SVG.decode()}"],
                "video_url": SCRIPT,
            },
        },
        f"users/{uid}/generations/asked": {
            "prompt": MARKUP + "p" * 19_000,
            "status": "melted",
            "created_at": now,
            "version": 1,
        },
        f"ai_outputs/{uid}/dialogues/x": {"text": MARKUP + "t" * 100_000, "model": "m" * 10_000, "generated_at": now},
        f"ai_outputs/{uid}/dialogues/y": {"text": 7, "generated_at": now},
        f"usage/{uid}/records/dialogues~x": {
            "status": "melted",
            "cost_source": "moon",
            "cost_nano_usd": 1,
            "model": MARKUP,
            "kind": "dialogues",
            "reasons": [MARKUP],
        },
        f"usage/{uid}": {
            "models": {"m" * 1_400: {"cost_nano_usd": 5}, MARKUP: {"cost_nano_usd": 7}},
            "days": {MARKUP: {"cost_nano_usd": 1}},
        },
    }
    for path, fields in documents.items():
        store.document(path).set(fields, merge=True)


def test_what_was_stored_to_do_harm_is_text_and_no_more(
    people: Callable[[], Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Markup, scripts as addresses, turned and endless names, words nobody knows, records of another user's files."""
    person, other = people(), people()
    person.page.command("Page.addScriptToEvaluateOnNewDocument", source=LISTENING)
    other_uid = other.arrives()
    other.drops(("a.jpg", "image/jpeg", picture()))
    other.sees("document.querySelector('.tile[data-status=ready]')")
    for name, value in person.suite.environment().items():
        monkeypatch.setenv(name, value)
    store = firestore.Client(project=person.suite.project_id)
    uid = person.arrives("constructor")
    person.reads("Nothing here yet.")
    poison(store, uid, other_uid)
    (record,) = (one.to_dict() for one in store.collection(f"users/{other_uid}/objects").stream())
    assert record is not None
    stolen = {"source": {"bucket": record["source"]["bucket"], "name": record["source"]["name"]}}
    store.document(f"users/{uid}/objects/stolen").set({**stolen, "variants": record["variants"]}, merge=True)

    person.drops((f"{TURNED}{MARKUP}.txt", "text/plain", b"x"))
    person.sees("document.querySelector('.uploads [data-state=refused]')")
    in_order = """() => {
      const [name, size] = document.querySelectorAll(".uploads .grows > *");
      return name.getBoundingClientRect().right <= size.getBoundingClientRect().left;
    }"""
    assert person.page.run(in_order), "a file's name turns the words around it"
    person.sees("document.querySelector('.tile')?.innerText.includes('melted: <img')")
    is_unharmed(person)
    person.page.run("() => document.querySelector('.tile').click()")
    person.presses("Delete", "dialog")
    person.presses("Do it now")
    person.reads("The rules refuse this file.")
    person.sees("document.querySelector('.tile')")
    app = initialize_app(options={"projectId": person.suite.project_id}, name=uid)
    assert storage.bucket(record["source"]["bucket"], app=app).blob(record["source"]["name"]).exists()
    delete_app(app)
    assert person.page.run("() => document.querySelectorAll('.tile img').length") == 0

    person.goes_to("generations")
    person.sees("document.querySelector('.workers')?.innerText.includes('melted')")
    is_unharmed(person)
    person.goes_to("dialogues")
    person.reads("2 dialogues")
    for line in range(2):
        person.page.run("(index) => document.querySelectorAll('.line')[index].click()", line)
        person.sees("document.querySelector('.sides dd')")
        is_unharmed(person)
    person.goes_to("books")
    person.sees("document.querySelectorAll('figure table tbody tr').length >= 3")
    person.page.run("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    is_unharmed(person)

    person.goes_to("versions")
    person.writes(".save [name=name]", "<img src=x onerror='ran = 1'>.svg")
    saves_file(person, "a.svg", "image/svg+xml", SVG % 7)
    person.sees("document.querySelector('.line')?.innerText.includes('<img src=x')")
    person.page.run("() => document.querySelector('.line').click()")
    person.sees("document.querySelector('.describe')")
    is_unharmed(person)
    person.page.run("() => { location.hash = '#versions/%E0%A4%A'; }")
    person.reads("This did not work")
    person.goes_to("versions/..%2F..%2Fbudgets")
    is_unharmed(person)
    store.close()
