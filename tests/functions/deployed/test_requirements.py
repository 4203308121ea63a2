"""Requirements: a deployment installs exactly the versions that were tested together here."""

from __future__ import annotations

import sys
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]


def pins(file: str) -> dict[str, str]:
    lines = [line for line in (ROOT / file).read_text().splitlines() if line and line[0] not in "#-"]
    found = {str(canonicalize_name(name)): pinned for name, _, pinned in (line.partition("==") for line in lines)}
    assert all(found.values()), f"{file} holds a line without a version"
    return found


def brought_along(names: set[str]) -> set[str]:
    """Everything that these need on this machine, as their metadata say, themselves included."""
    waiting, seen = [(name, "") for name in names], set[tuple[str, str]]()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for line in requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(needed.name), wanted) for wanted in ("", *needed.extras)]
    return {name for name, _ in seen}


def test_every_package_that_a_deployment_installs_is_pinned_at_the_version_that_was_tested() -> None:
    """Nothing is left to what is newest on the day of the deploy; nothing is pinned that is not installed."""
    asked, pinned = pins("functions/requirements.txt"), pins("functions/constraints.txt")
    assert "-c constraints.txt" in (ROOT / "functions/requirements.txt").read_text().splitlines()
    installed = brought_along(set(asked))
    assert installed <= set(pinned)
    assert {name: pinned[name] for name in installed} == {name: version(name) for name in installed}
    if sys.version_info[:2] == (3, 11):  # the runtime in firebase.json; newer ones may need less
        assert set(pinned) == installed
    assert asked == {name: pinned[name] for name in asked}


def test_the_suite_and_the_deployment_agree_on_every_version() -> None:
    """What runs locally is what runs there: both lists of versions say the same."""
    everywhere = pins("constraints.txt")
    assert {
        name: found for name, found in pins("functions/constraints.txt").items() if everywhere.get(name) != found
    } == {}
