"""`events`: asks a running suite what its functions were sent, and sends an event again."""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.parse
from collections.abc import Iterator
from typing import Any

from afterimage_emulator.commands.hub_client import ask_hub, find_hub, refusal_text
from afterimage_emulator.configuration import ConfigurationError


def run_events(options: argparse.Namespace) -> int:
    try:
        origin = find_hub(options.project)
        if options.replay:
            return _replay(origin, options.replay)
        events = ask_hub(origin, f"/control/events?failed={int(options.failed)}")["events"]
    except (ConfigurationError, urllib.error.HTTPError) as error:
        sys.stderr.write(f"{refusal_text(error)}\n")
        return 1
    for event in events:
        sys.stdout.writelines(f"{line}\n" for line in _lines(event, with_log=options.log))
    if not events:
        sys.stdout.write("no events yet\n" if not options.failed else "nothing failed\n")
    return 0


def _replay(origin: str, event_id: str) -> int:
    path = f"/control/events/{urllib.parse.quote(event_id, safe='')}:replay"
    count = ask_hub(origin, path, method="POST")["deliveries"]
    if not count:
        sys.stderr.write(f"`{event_id}` is not sent again: no function wants it now\n")
        return 1
    sys.stdout.write(f"sent again to {count} function(s)\n")
    return 0


def _lines(event: dict[str, Any], *, with_log: bool) -> Iterator[str]:
    duration = event.get("duration_ms")
    taken = "" if duration is None else f"{duration:.0f} ms"
    yield (
        f"{event['time']:<32} {event['function']:<28} {event['outcome']:<13} {taken:>9}  "
        f"attempt {event['attempt']}  {event['type']} {event['id']}"
    )
    if event["detail"]:
        yield f"    {event['detail']}"
    if event["consequence"]:
        yield f"    → {event['consequence']}"
    if with_log:
        yield from (f"    | {line}" for line in event["log"])
        if event["log_lines_left_out"]:
            yield f"    | ({event['log_lines_left_out']:,} more lines)"
