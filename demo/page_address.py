"""Says where the page of this project is, and what it needs where it cannot be shown."""

from __future__ import annotations

import http.client
import json
import os
import sys

SDK = "/__/firebase/12.19.0/firebase-app.js"


def main() -> int:
    _, services = fetched(os.environ["FIREBASE_EMULATOR_HUB"], "/emulators")
    site = json.loads(services)["hosting"]
    name = "localhost" if site["host"] in {"127.0.0.1", "::1"} else site["host"]
    status, _ = fetched(f"{site['host']}:{site['port']}", SDK)
    if status == 404:
        say("the page needs the JavaScript SDK, which npm installs: install Node, then `make run` again")
    else:
        say(f"the page: http://{name}:{site['port']}/")
    return 0


def fetched(address: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
