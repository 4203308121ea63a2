"""How a trigger is declared: the SDK describes it to the platform, and our own receiver takes its events.

Each function here returns what `main.py` binds to a name; the name must be repeated, because the platform looks the
function up by it. Handlers are named as `package.module:function` and imported at the first event.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from firebase_functions import https_fn, pubsub_fn, scheduler_fn, storage_fn, tasks_fn

from afterimage.delivery import events
from afterimage.delivery.dead_letters import DeadLetters
from afterimage.delivery.document_triggers import declare_on_written
from afterimage.delivery.handler_names import handler_at
from afterimage.delivery.receiver import Decoder, Receiver
from afterimage.deployment import ORIGINALS_BUCKET, RETRY_EVENTS
from afterimage.store import clients

Function = Callable[[Any], Any]


def _dead_letters() -> DeadLetters:
    return DeadLetters(clients.documents())


def _age_limit() -> timedelta:
    return clients.settings().event_age_limit


def _platform_retries() -> bool:
    return clients.settings().platform_retries


RECEIVER = Receiver(dead_letters=_dead_letters, age_limit=_age_limit, platform_retries=_platform_retries)

_STORAGE_TRIGGERS: dict[str, Callable[..., Any]] = {
    "finalized": storage_fn.on_object_finalized,
    "deleted": storage_fn.on_object_deleted,
    "archived": storage_fn.on_object_archived,
}


def on_object(happening: str, name: str, handler: str, **options: Any) -> Function:
    """Calls `handler` with an ObjectEvent when something in the originals' bucket was finalized, deleted, archived."""
    declare = _STORAGE_TRIGGERS[happening](bucket=ORIGINALS_BUCKET, **options)
    return _declared(declare, name, handler, events.decode_object_event)


def on_document_written(pattern: str, name: str, handler: str, **options: Any) -> Function:
    """Calls `handler` with a DocumentEvent when a document was created, changed or deleted."""
    return _declared(declare_on_written(document=pattern, **options), name, handler, events.decode_document_event)


def on_message(topic: str, name: str, handler: str, **options: Any) -> Function:
    """Calls `handler` with a MessageEvent for every message on a topic."""
    return _declared(pubsub_fn.on_message_published(topic=topic, **options), name, handler, events.decode_message_event)


def on_schedule(schedule: str, name: str, handler: str, **options: Any) -> Function:
    """Calls `handler` with a ScheduledEvent when the schedule comes due; a failure is the scheduler's to retry."""

    def run(event: scheduler_fn.ScheduledEvent) -> None:
        handler_at(handler)(event)

    run.__name__ = run.__qualname__ = name
    run.__dict__["__handler__"] = handler
    declared: Function = scheduler_fn.on_schedule(schedule=schedule, **options)(run)
    return declared


def on_web_request(name: str, handler: str, **options: Any) -> Function:
    """Calls `handler` with the Flask request of anybody; it answers, whatever goes wrong."""

    def serve(request: Any) -> Any:
        return handler_at(handler)(request)

    serve.__name__ = serve.__qualname__ = name
    declared: Function = https_fn.on_request(**options)(serve)
    declared.__dict__["__handler__"] = handler
    return declared


def on_task(name: str, handler: str, **options: Any) -> Function:
    """Calls `handler` with each task of the queue of this name, until it returns; the name has no underscore."""

    def work(request: Any) -> None:
        handler_at(handler)(request)

    work.__name__ = work.__qualname__ = name
    declared: Function = tasks_fn.on_task_dispatched(**options)(work)
    declared.__dict__["__handler__"] = handler
    return declared


def _declared(declare: Callable[[Function], Any], name: str, handler: str, decode: Decoder) -> Function:
    def receive(raw: Any) -> None:
        RECEIVER.receive(name, raw, decode, lambda event: handler_at(handler)(event))

    receive.__name__ = receive.__qualname__ = name
    endpoint = declare(receive).__firebase_endpoint__
    # The SDK writes `retry: false` for storage and documents and takes no option; the manifest itself has the field.
    endpoint.eventTrigger["retry"] = RETRY_EVENTS
    receive.__dict__.update(__firebase_endpoint__=endpoint, __handler__=handler)
    return receive
