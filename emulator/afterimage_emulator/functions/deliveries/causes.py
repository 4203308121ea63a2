"""What made what: which run of a function wrote, uploaded or published, as far as can be known.

A request tells nobody's name, yet its connection ends in a process, and each process of a function serves that function
alone. One run at work there made the request; of several each may have. A run that is over may have left work behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from afterimage_emulator.attempts import AttemptRecord, Effect, EventCause
from afterimage_emulator.functions.instances.instances import RunsAt
from afterimage_emulator.wire.observers import CURRENT_PEER, Peer

_SHOWN_CHARACTERS: Final = 1_000


class Causes:
    """Told by services after they have changed something. `runs_at` knows the functions' processes."""

    def __init__(self, record: AttemptRecord, runs_at: Callable[[Peer], RunsAt]) -> None:
        self._record = record
        self._runs_at = runs_at

    def note(self, service: str, what: str, resource: str, event_ids: Sequence[str] = ()) -> None:
        """`event_ids` are what functions, or a task's target, hear of the change."""
        peer = CURRENT_PEER.get()
        found = RunsAt() if peer is None else self._runs_at(peer)
        if event_ids:
            runs, is_certain = tuple(found.runs), found.is_certain
            cause = EventCause(service=service, runs=runs, is_certain=is_certain, is_known=peer is not None)
            self._record.note_cause(event_ids, cause)
        for run in found.runs:
            run.add_effect(Effect(what, resource[:_SHOWN_CHARACTERS], tuple(event_ids), found.is_certain))
