"""Pictures of the console for the docs: `python -m tests.browser.screenshots docs/pictures` makes them all again."""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration, FirestoreTarget
from afterimage_emulator.suite import Suite
from tests.browser.chromium import Chromium, why_no_browser
from tests.browser.page import Browser, PageServer
from tests.emulator.console.test_console_api import unsigned
from tests.emulator.console.test_console_page import SETTLED, UNTIL
from tests.emulator.front.guarded_ports import send

WIDTH, HEIGHT = 1200, 720
RULES = """rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    function owns(id) { return request.auth.uid == id; }
    match /notes/{owner} {
      allow read: if owner == 'public' || owns(owner);
      allow create: if owns(owner) && request.resource.data.keys().hasOnly(['title', 'size']);
      allow update: if owns(owner) && request.resource.data.size >= resource.data.size;
    }
  }
}
"""
FUNCTIONS = """
import json
import os
import urllib.request

from firebase_functions import firestore_fn, pubsub_fn, scheduler_fn
from firebase_functions.params import SecretParam, StringParam

GREETING = StringParam("GREETING", default="hello")

def write(path, fields):
    host, project = os.environ["FIRESTORE_EMULATOR_HOST"], os.environ["GCLOUD_PROJECT"]
    address = f"http://{host}/v1/projects/{project}/databases/(default)/documents/{path}"
    headers = {"authorization": "Bearer owner", "content-type": "application/json"}
    body = json.dumps({"fields": fields}).encode()
    urllib.request.urlopen(urllib.request.Request(address, body, headers, method="PATCH")).read()

@pubsub_fn.on_message_published(topic="orders", memory=512, concurrency=10, secrets=[SecretParam("API_KEY")])
def take_order(event):
    print("an order came in")
    write("orders/one", {"state": {"stringValue": "new"}, "round": {"integerValue": "0"}})

@firestore_fn.on_document_written(document="orders/{id}")
def count_order(event):
    round = event.data.after.get("round")
    print("round", round)
    if round < 3:
        write("orders/one", {"state": {"stringValue": "counted"}, "round": {"integerValue": str(round + 1)}})

@scheduler_fn.on_schedule(schedule="every day 05:00")
def tidy(event):
    pass
"""
# Which page, and the row of its list to choose, by a word in it.
SHOWN: Final[Sequence[tuple[str, str]]] = (
    ("requests", "create"),
    ("events", "loop"),
    ("coverage", ""),
    ("functions", "take_order"),
)
CHOOSE = """async (word) => {
  const rows = () => [...document.querySelectorAll("virtual-list .item")];
  const found = () => rows().find((row) => row.textContent.includes(word));
  while (!found()) await new Promise((resume) => requestAnimationFrame(resume));
  found().click();
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    folder: Path = parser.parse_args().folder
    missing = why_no_browser()
    if missing is not None:
        sys.exit(missing)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as source:
        root = Path(source)
        (root / "main.py").write_text(FUNCTIONS)
        (root / ".secret.local").write_text("API_KEY=a-secret\n")
        (root / "firestore.rules").write_text(RULES)
        configuration = Configuration(
            root=root,
            project_id="demo-notes",
            codebases=(Codebase(name="default", source=root),),
            firestore=(FirestoreTarget(rules=root / "firestore.rules"),),
        )
        with BackgroundSuite(Suite(configuration, free_ports=True, console=True)) as running:
            live(running)
            take(running, folder)


def live(running: BackgroundSuite) -> None:
    """Some requests of users, allowed and denied, and an event with what follows from it."""
    for uid, method, path, fields in (
        ("ann", "GET", "public", {}),
        ("bob", "GET", "ann", {}),
        ("ann", "POST", "ann", {"title": {"stringValue": "Milk"}, "size": {"integerValue": "3"}}),
        ("ann", "PATCH", "ann", {"size": {"integerValue": "2"}}),
        ("bob", "POST", "bob", {"title": {"stringValue": "Bread"}, "admin": {"booleanValue": True}}),
    ):
        token = {"authorization": f"Bearer {unsigned({'sub': uid, 'user_id': uid})}"}
        place = f"/v1/projects/demo-notes/databases/(default)/documents/notes/{path}"
        if method == "POST":
            place = place.rpartition("/")[0] + f"?documentId={path}"
        send(running.address("firestore"), method, place, token, json.dumps({"fields": fields}) if fields else "")
    body = json.dumps({"messages": [{"data": base64.b64encode(b"one").decode()}]})
    send(running.address("pubsub"), "POST", "/v1/projects/demo-notes/topics/orders:publish", {}, body)
    running.settled()


def take(running: BackgroundSuite, folder: Path) -> None:
    chromium, pages = Chromium(), PageServer()
    try:
        for name, word in SHOWN:
            page = Browser(chromium, pages).open(url=f"http://{running.address('ui')}/#{name}")
            page.command(
                "Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False
            )
            page.run(UNTIL, "document.querySelector('console-app').state !== null")
            if word:
                page.run(CHOOSE, word)
            page.run(SETTLED)
            picture = page.command("Page.captureScreenshot", format="png", optimizeForSpeed=False)
            (folder / f"console-{name}.png").write_bytes(base64.b64decode(picture["data"]))
            sys.stdout.write(f"{folder / f'console-{name}.png'}\n")
    finally:
        chromium.close()
        pages.close()


if __name__ == "__main__":
    main()
