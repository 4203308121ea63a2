"""What `firebase emulators:exec` runs: asks the CLI's Functions emulator what it loaded, and sends it an event.

Takes the address of that emulator, a folder with `event.json` (a CloudEvent) and the names of the functions to send it
to; leaves `backends.json` and `answers.json` in the folder.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT_SECONDS = 60


def main(address: str, folder: Path, names: list[str]) -> None:
    backends = json.loads(_answer(urllib.request.Request(f"http://{address}/backends"))[1])
    (folder / "backends.json").write_text(json.dumps(backends))
    regions = {
        found["name"]: found["region"] for backend in backends["backends"] for found in backend["functionTriggers"]
    }
    answers = {}
    for name in names:
        # The route on which the CLI's own emulators send events; the last part counts how often it loaded the codebase.
        url = f"http://{address}/functions/projects/{os.environ['GCLOUD_PROJECT']}/triggers/{regions[name]}-{name}-0"
        request = urllib.request.Request(
            url,
            data=(folder / "event.json").read_bytes(),
            headers={"Content-Type": "application/cloudevents+json; charset=UTF-8"},
        )
        answers[name] = _answer(request)
    (folder / "answers.json").write_text(json.dumps(answers))


def _answer(request: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
