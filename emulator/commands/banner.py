"""What `start` shows once everything answers: where the services are, what is loaded, what to try."""

from __future__ import annotations

import sys
from pathlib import Path

from emulator.configuration import Configuration
from emulator.suite import Suite


def banner(suite: Suite, configuration: Configuration) -> str:
    """The table of services and a command that works as it stands."""
    lines = ["", f"  project {configuration.project_id}"]
    lines += [f"    {name:<10} {address}" for name, address in suite.addresses().items()]
    lines += [f"  warning: {warning}" for warning in suite.warnings]
    lines += [f"  ERROR: {broken}" for broken in suite.broken_rules]
    functions = suite.services.get("functions")
    if functions is not None:
        lines += ["  functions"]
        lines += [f"    {line}" for line in functions.summary()]
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
        failed = len(suite.records(failed_only=True))
        line += f"; functions were called {len(suite.records(failed_only=False)):,} times, {failed:,} failed"
    return line + "\n"


def _python() -> str:
    """The interpreter as one would type it here."""
    here, executable = Path.cwd(), Path(sys.executable)
    return str(executable.relative_to(here)) if executable.is_relative_to(here) else "python"


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
        lines.append(f"{_python()} -m emulator events --project {suite.project_id}")
    return lines
