"""What `start` shows once everything answers: where the services are, what is loaded, what to try."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from afterimage_emulator import BEGAN_AT
from afterimage_emulator.attempts import OK
from afterimage_emulator.commands.env_file import exports
from afterimage_emulator.commands.platforms import missing_on
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite


def banner(suite: Suite, configuration: Configuration, *, for_another_terminal: bool) -> str:
    """The table of services; for whoever works beside it, what to export and commands that work as they stand."""
    lines = ["", f"  project {configuration.project_id}, ready in {time.perf_counter() - BEGAN_AT:.2f} s"]
    lines += [f"    {name:<10} {address}" for name, address in suite.addresses().items()]
    lines += [f"  warning: {warning}" for warning in [*suite.warnings, *missing_on(sys.platform)]]
    lines += [f"  ERROR: {broken}" for broken in suite.broken_rules]
    if configuration.not_emulated:
        lines += [f"  not emulated, though firebase.json names it: {', '.join(configuration.not_emulated)}"]
    functions = suite.services.get("functions")
    if functions is not None:
        lines += ["  functions"]
        lines += [f"    {line}" for line in functions.summary()]
    if not for_another_terminal:
        return "\n".join([*lines, "", ""])
    lines += ["  for the SDKs; `exec` sets these, `--env-file FILE` writes them"]
    lines += [f"    {line}" for line in exports(suite.environment())]
    try_it = _try_it(suite)
    if try_it:
        lines += ["  try", *(f"    {line}" for line in try_it)]
    return "\n".join([*lines, "", ""])


def farewell(suite: Suite) -> str:
    """What happened, in one line: requests by service, and events to functions with how many went wrong."""
    counts = suite.observer.counts
    parts = [f"{name} {counts[name]:,}" for name in suite.addresses() if counts[name]]
    line = f"served {counts.total():,} requests" + (f" ({', '.join(parts)})" if parts else "")
    if "functions" in suite.services:
        outcomes = suite.services["functions"].figures.outcomes
        failed = sum(count for (_, outcome), count in outcomes.items() if outcome != OK)
        line += f"; functions were called {outcomes.total():,} times, {failed:,} failed"
    return line + "\n"


def _command() -> str:
    """This command as one would type it here."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py":
        return f"{_as_typed(Path(sys.executable))} -m afterimage_emulator"
    return _as_typed(script)


def _as_typed(program: Path) -> str:
    here = Path.cwd()
    return str(program.relative_to(here)) if program.is_relative_to(here) else program.name


def _try_it(suite: Suite) -> list[str]:
    """Commands that work as they stand, in another terminal."""
    addresses = suite.addresses()
    lines = []
    if "storage" in addresses:
        objects = f"http://{addresses['storage']}/upload/storage/v1/b/{suite.configuration.default_bucket}/o"
        lines.append(
            f"curl -d hello -H 'content-type: text/plain' '{objects}?uploadType=media&name=media/first/hello.txt'"
        )
    if "firestore" in addresses:
        root = f"http://{addresses['firestore']}/v1/projects/{suite.project_id}/databases/(default)/documents"
        lines.append(f"curl -X POST -H 'authorization: Bearer owner' '{root}:listCollectionIds'")
    if "functions" in addresses:
        lines.append(f"{_command()} events --project {suite.project_id}")
    return lines
