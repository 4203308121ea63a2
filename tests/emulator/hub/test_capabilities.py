"""What the suite says it serves is what its tables have, and what the documents say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from afterimage_emulator.commands.command_line import main

PAGE = Path(__file__).resolve().parents[3] / "docs/capabilities.md"


def test_the_documents_page_is_made_from_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody who adds, refuses or changes an operation writes the page anew; the test's failure says how."""
    assert main(["capabilities", "--markdown"]) == 0
    written = capsys.readouterr().out
    assert PAGE.read_text() == written, "run `afterimage-emulator capabilities --markdown > docs/capabilities.md`"


def test_each_operation_says_what_becomes_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Served, or refused and different with a note; every service has its table."""
    assert main(["capabilities", "--json"]) == 0
    services = json.loads(capsys.readouterr().out)["services"]
    for service in ("firestore", "storage", "auth", "pubsub", "functions", "tasks", "eventarc"):
        assert services[service], service
    for service, operations in services.items():
        for operation in operations:
            noted = bool(operation.get("note"))
            assert operation["state"] in ("served", "refused", "different"), service
            assert noted == (operation["state"] != "served"), operation
        names = [(each["wire"], each["operation"]) for each in operations]
        assert len(names) == len(set(names)), f"{service} has an operation twice"
