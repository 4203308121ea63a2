"""Makes the README's pictures of the page: `make screenshots`. Somebody uses the real page over the real suite."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from google.cloud import firestore

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import load_configuration
from afterimage_emulator.suite import Suite
from tests.browser.chromium import Chromium, why_no_browser
from tests.browser.page import Browser, PageServer
from tests.web.conftest import Person, link_sdk
from tests.web.pictures import landscape

ROOT: Final = Path(__file__).resolve().parents[2]
PICTURES: Final = ROOT / "docs/pictures"
LINES: Final = (
    ("dragon", "gemini-2.5-pro", "0.0213", "You are late. The mountain has been awake since dawn."),
    ("dragon", "gemini-2.5-flash", "0.0042", "Gold? I keep stories. Gold is only what they are written on."),
    ("keeper", "gemini-2.5-flash", "0.0038", "Mind the third step. It remembers everybody who did not."),
    ("keeper", "gemini-2.5-flash-lite", "0.0009", "The lamp is lit for whoever is still out there."),
)


def main() -> int:
    missing = why_no_browser()
    if missing is not None:
        sys.stdout.write(f"no pictures: {missing}\n")
        return 1
    PICTURES.mkdir(exist_ok=True)
    with somebody() as person:
        _gallery(person)
        _dialogues_and_books(person)
        _versions(person)
    return 0


@contextmanager
def somebody() -> Iterator[Person]:
    link_sdk()
    configuration = load_configuration(ROOT / "firebase.json", project_id=f"demo-pictures-{os.getpid()}")
    chromium, pages = Chromium(), PageServer()
    with BackgroundSuite(Suite(configuration, free_ports=True)) as suite:
        os.environ.update(suite.environment())
        person = Person(Browser(chromium, pages), suite)
        size = {"width": 1100, "height": 860, "deviceScaleFactor": 1, "mobile": False}
        person.page.command("Emulation.setDeviceMetricsOverride", **size)
        yield person
        person.close()
    chromium.close()
    pages.close()


def take(person: Person, name: str) -> None:
    person.page.run(
        "() => { scrollTo(0, 0); document.activeElement.blur(); document.getElementById('undo').replaceChildren(); }"
    )
    shown = person.page.command("Page.captureScreenshot", format="webp", quality=70)
    file = PICTURES / f"{name}.webp"
    file.write_bytes(base64.b64decode(shown["data"]))
    sys.stdout.write(f"{file.relative_to(ROOT)}: {file.stat().st_size:,} bytes\n")


def _gallery(person: Person) -> None:
    person.arrives()
    person.drops(*[(f"scene {number}.jpg", "image/jpeg", landscape(number)) for number in range(10)])
    person.sees("[...document.querySelectorAll('.tile')].filter((one) => one.querySelector('img.here')).length === 10")
    person.presses("Clear the list")
    person.sees("[...document.querySelectorAll('.tile')].every((one) => one.dataset.status === 'ready')")
    take(person, "gallery")


def _dialogues_and_books(person: Person) -> None:
    person.goes_to("dialogues")
    for card, model, cost, text in LINES:
        for name, value in (("card", card), ("model", model), ("cost", cost), ("text", text)):
            person.writes(f".write [name={name}]", value)
        person.page.run("() => document.querySelector('.write').requestSubmit()")
    person.reads("4 dialogues")
    person.suite.settled()
    store = firestore.Client(project=person.suite.project_id)
    store.document(f"budgets/{person.uid()}").set({"limit_nano_usd": 500_000_000, "spent_nano_usd": 30_200_000})
    store.close()
    person.goes_to("books")
    person.sees("document.querySelectorAll('figure svg').length >= 2")
    person.reads("4 reported")
    person.sees("document.querySelector('.figures b').innerText === '4'")
    take(person, "books")


def _versions(person: Person) -> None:
    person.goes_to("versions")
    first = "The keeper climbs the stairs.\nThe lamp is cold.\nNobody answers.\n"
    for text, name, said in (
        (first, "lighthouse.txt", "first draft"),
        (first.replace("cold", "warm, and still turning"), "", "the lamp is lit"),
    ):
        if name:
            person.writes(".save [name=name]", name)
        person.writes(".save [name=text]", text)
        person.writes(".save [name=description]", said)
        person.page.run("() => document.querySelector('.save').requestSubmit()")
        if name:
            person.sees("document.querySelector('.line')?.innerText.includes('lighthouse')")
            person.page.run("() => document.querySelector('.line').click()")
        person.reads(said)
    for version in (1, 2):
        person.page.run("(at) => document.querySelector(at).click()", f'[data-part="{version}"] input')
    person.presses("Compare the two")
    person.sees("document.querySelector('.comparison ins')")
    take(person, "versions")


if __name__ == "__main__":
    sys.exit(main())
