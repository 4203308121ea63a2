"""`events`: asks a running suite what its functions were sent, and sends an event again."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from emulator.configuration import ConfigurationError, find_configuration, load_configuration
from emulator.hub.locator import locator_path


def run_events(options: argparse.Namespace) -> int:
    try:
        origin = _find_hub(options.project)
        if options.replay:
            answer = _ask(origin, f"/control/events/{options.replay}:replay", method="POST")
            sys.stdout.write(f"sent again to {answer['deliveries']} function(s)\n")
        else:
            events = _ask(origin, f"/control/events?failed={int(options.failed)}")["events"]
            sys.stdout.writelines(_line(event) for event in events)
            if not events:
                sys.stdout.write("no events yet\n" if not options.failed else "nothing failed\n")
    except (ConfigurationError, urllib.error.HTTPError) as error:
        sys.stderr.write(f"{_reason(error)}\n")
        return 1
    return 0


def _find_hub(project: str | None) -> str:
    project = project or load_configuration(find_configuration(Path.cwd())).project_id
    try:
        origins = json.loads(locator_path(project).read_text())["origins"]
    except (OSError, ValueError, KeyError):
        raise ConfigurationError(
            f"no suite of project `{project}` is running; start one with `python -m emulator start`, "
            "or name its project with --project"
        ) from None
    return str(origins[0])


def _ask(origin: str, path: str, method: str = "GET") -> Any:
    request = urllib.request.Request(origin + path, method=method)  # noqa: S310 — the locator file holds a local origin
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 — as above
            return json.load(answer)
    except urllib.error.HTTPError:
        raise
    except OSError as error:
        raise ConfigurationError(f"the suite at {origin} does not answer: {error}") from None


def _line(event: dict[str, Any]) -> str:
    return (
        f"{event.get('time', ''):<26} {event.get('function', ''):<28} {event.get('outcome', ''):<10} "
        f"attempt {event.get('attempt', '')}  {event.get('id', '')}\n"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        try:
            return str(json.load(error)["error"]["message"])
        except (ValueError, KeyError, TypeError):
            return str(error)
    return str(error)
