"""`events`: asks a running suite what its functions were sent, and sends an event again."""

from __future__ import annotations

import argparse
import sys
import urllib.error
from typing import Any

from emulator.commands.hub_client import ask_hub, find_hub, reason_of
from emulator.configuration import ConfigurationError


def run_events(options: argparse.Namespace) -> int:
    try:
        origin = find_hub(options.project)
        if options.replay:
            answer = ask_hub(origin, f"/control/events/{options.replay}:replay", method="POST")
            sys.stdout.write(f"sent again to {answer['deliveries']} function(s)\n")
        else:
            events = ask_hub(origin, f"/control/events?failed={int(options.failed)}")["events"]
            sys.stdout.writelines(_line(event) for event in events)
            if not events:
                sys.stdout.write("no events yet\n" if not options.failed else "nothing failed\n")
    except (ConfigurationError, urllib.error.HTTPError) as error:
        sys.stderr.write(f"{reason_of(error)}\n")
        return 1
    return 0


def _line(event: dict[str, Any]) -> str:
    return (
        f"{event.get('time', ''):<26} {event.get('function', ''):<28} {event.get('outcome', ''):<10} "
        f"attempt {event.get('attempt', '')}  {event.get('id', '')}\n"
    )
