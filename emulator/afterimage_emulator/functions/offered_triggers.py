"""What functions can declare and how they are called, for the table of what the suite serves: from what reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from afterimage_emulator.environment import NO_DATABASE
from afterimage_emulator.functions.codebases.manifest import (
    BLOCKING_EVENTS,
    BLOCKING_NOT_ASKED,
    DATABASE_EVENTS,
    TRIGGERS,
)
from afterimage_emulator.functions.http_front import SERVICE_DOMAIN
from afterimage_emulator.wire.offered import Offered

_NOTHING_SENDS: Final = "nothing here sends it: publish it to Eventarc's `/google/publishEvents`, or send it by hand"
_SENT_ELSEWHERE: Final = (
    "google.firebase.firebasealerts.alerts.v1.published",
    "google.firebase.remoteconfig.remoteConfig.v1.updated",
    "google.firebase.testlab.testMatrix.v1.completed",
    "google.firebase.dataconnect.connector.v1.mutationExecuted",
)

OFFERED: Final[Sequence[Offered]] = (
    Offered(wire="HTTP", name="* /{project}/{region}/{function}{rest=**}"),
    Offered(wire="HTTP", name=f"* http://{{service}}-{{number}}.{{region}}{SERVICE_DOMAIN}/{{rest=**}}"),
    *(Offered(wire="trigger", name=name) for name in TRIGGERS),
    *(Offered(wire="trigger", name=f"blockingTrigger {event}") for event in BLOCKING_EVENTS),
    *(
        Offered(wire="trigger", name=f"blockingTrigger {event}", refused="no service here asks it")
        for event in BLOCKING_NOT_ASKED
    ),
    *(Offered(wire="trigger", name=f"eventTrigger {event}", differs=_NOTHING_SENDS) for event in _SENT_ELSEWHERE),
    Offered(wire="trigger", name=f"eventTrigger {DATABASE_EVENTS}*", differs=f"{NO_DATABASE}; `send` raises it"),
)
