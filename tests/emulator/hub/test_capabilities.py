"""What the suite says it serves is what its tables have, and what the documents say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from afterimage_emulator.commands.command_line import main

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = REPOSITORY / "docs/capabilities.md"
PAGES = (
    *("README", "docs/auth", "docs/console", "docs/eventarc", "docs/firestore", "docs/functions", "docs/guard"),
    *("docs/hosting", "docs/pubsub", "docs/rules", "docs/start", "docs/storage", "docs/supported", "docs/tasks"),
)
ROUTE = re.compile(r"`((?:[A-Z]+ )+)(/[^`\s?]*)(?:\?[^`]*)?`|curl -X ([A-Z]+) localhost:4400(/\S*)")
OF_THE_CONSOLE = ("/console/", "/api/config")
"""The page's own routes, which its own tests hold."""
NOT_SERVED = {("GET", "/queueStats")}
"""What a page says is not here."""


def test_the_documents_page_is_made_from_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody who adds, refuses or changes an operation writes the page anew; the test's failure says how."""
    assert main(["capabilities", "--markdown"]) == 0
    written = capsys.readouterr().out
    assert PAGE.read_text() == written, "run `afterimage-emulator capabilities --markdown > docs/capabilities.md`"


def test_each_operation_says_what_becomes_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Served, or refused and different with a note; every service has its table."""
    assert main(["capabilities", "--json"]) == 0
    services = json.loads(capsys.readouterr().out)["services"]
    for service in ("firestore", "storage", "auth", "pubsub", "functions", "tasks", "eventarc", "hub"):
        assert services[service], service
    for service, operations in services.items():
        for operation in operations:
            noted = bool(operation.get("note"))
            assert operation["state"] in ("served", "refused", "different"), service
            assert noted == (operation["state"] != "served"), operation
        names = [(each["wire"], each["operation"]) for each in operations]
        assert len(names) == len(set(names)), f"{service} has an operation twice"


def test_routes_that_documents_name_are_in_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """A table that somebody wrote by hand names no route that nobody answers."""
    assert main(["capabilities", "--json"]) == 0
    services = json.loads(capsys.readouterr().out)["services"]
    operations = [each["operation"] for found in services.values() for each in found if each["wire"] == "HTTP"]
    # Buckets and functions have addresses of any name: they answer for no route that is written out.
    offered = [offered_route(each) for each in operations if " /{" not in each]
    named = [
        (page, verb, path)
        for page in PAGES
        for verbs, path, *curl in ROUTE.findall((REPOSITORY / f"{page}.md").read_text())
        for verb, path in [(verb, path) for verb in verbs.split()] or [tuple(curl)]
        if not path.startswith((*OF_THE_CONSOLE, "/{")) and (verb, path) not in NOT_SERVED
    ]
    assert len(named) > 20
    unknown = [
        f"{page}.md: {verb} {path}"
        for page, verb, path in named
        if not any(verb in verbs and pattern.fullmatch(path) for verbs, pattern in offered)
    ]
    assert not unknown, "\n".join(unknown)


def offered_route(operation: str) -> tuple[set[str], re.Pattern[str]]:
    *verbs, pattern = operation.split()
    parts = re.split(r"(\{/?\w+(?:=\*\*)?\})", pattern)
    taken = "".join(re.escape(part) if number % 2 == 0 else _taken(part) for number, part in enumerate(parts))
    return set(verbs), re.compile(taken)


def _taken(parameter: str) -> str:
    return "(?:/.+)?" if parameter.startswith("{/") else ".*" if "=**" in parameter else "[^/]+?"
