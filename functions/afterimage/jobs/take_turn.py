"""How every job's message is handled: the job's documents and letters are in the store, and it is given one turn."""

from __future__ import annotations

import logging

from afterimage.delivery.dead_letters import DeadLetters
from afterimage.delivery.events import MessageEvent
from afterimage.delivery.messages import publish
from afterimage.jobs.progress import Jobs, Work
from afterimage.store import clients

logger = logging.getLogger("afterimage.jobs")


def take_turn(kind: str, event: MessageEvent, work: Work) -> None:
    """Gives the job that a message names its turn, and publishes the next one."""
    keep_for = clients.settings().keep_finished_for
    jobs = Jobs(kind=kind, documents=clients.documents(), publish=publish, keep_for=keep_for)
    state = jobs.receive(event.body, event.envelope.id, work)
    logger.info("%s: %s", kind, state)


def letters() -> DeadLetters:
    return DeadLetters(clients.documents(), keep_for=clients.settings().keep_finished_for)
