"""The table of the SDKs' operations: complete, up to date, and true as far as a machine can tell."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.sdk_operations.listing import python_operations

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
TABLE: Final = tomllib.loads((HERE / "operations.toml").read_text())
EVERY: Final = "*"
"""Stands for all operations of a module or class, none of which anybody serves."""
KINDS: Final = ("as", "local", "production", "refused")


def tables_of(owners: dict[str, list[str]]) -> Iterator[str]:
    for owner, names in owners.items():
        table = TABLE.get(owner)
        if table is None:
            yield f"nobody has looked at `{owner}`"
        elif EVERY not in table:
            yield from (f"nobody has looked at `{owner}`: `{name}`" for name in names if name not in table)
            yield from (f"`{owner}` has no `{name}` any more" for name in table if name not in names)


def test_every_operation_of_the_python_sdks_is_in_the_table() -> None:
    """An SDK that gains an operation fails this: somebody shows that it works, or has it refused."""
    found = python_operations()
    assert sum(map(len, found.values())) > 150
    assert not list(tables_of(found))


@pytest.mark.skipif(not (TESTS / "node/node_modules/firebase").is_dir(), reason="`make node` installs the SDKs")
def test_every_operation_of_the_javascript_sdks_is_in_the_table() -> None:
    """Those for browsers and servers, and Google's own clients, as they are installed."""
    listed = subprocess.run(["node", HERE / "listing.mjs"], capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(listed.stdout)
    assert sum(map(len, found.values())) > 400
    assert not list(tables_of(found))
    known = found.keys() | python_operations().keys()
    assert not [owner for owner in TABLE if owner not in known], "these are no modules or classes any more"


def test_what_the_table_names_is_there() -> None:
    """A file of tests calls the operation; a refusal has its test; what stands for another operation is shown there."""
    assert not list(untrue())


def untrue() -> Iterator[str]:
    tests = "\n".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    for owner, table in TABLE.items():
        for name, shown in table.items():
            kind, colon, told = shown.partition(": ")
            if not colon:
                if not is_called(name, TESTS / shown):
                    yield f"`{shown}` does not call `{name}` of `{owner}`"
            elif kind not in KINDS or not told:
                yield f"`{name}` of `{owner}` is `{shown}`, which says neither where it is shown nor why not"
            elif kind == "as" and table.get(told, ":").count(":"):
                yield f"`{name}` of `{owner}` is as `{told}`, which no test calls"
            elif kind == "refused" and f"def {told}(" not in tests and not is_called(name, TESTS / told):
                yield f"`{name}` of `{owner}` is refused in `{told}`, which is no test"


def is_called(name: str, file: Path) -> bool:
    """As far as its text tells: called, named to be called, or given another name."""
    called = rf"\b{re.escape(name)}(?:[(.]| as )|[.\"']{re.escape(name)}\b"
    return file.is_file() and re.search(called, file.read_text()) is not None
