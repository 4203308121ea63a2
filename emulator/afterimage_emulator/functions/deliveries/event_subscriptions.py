"""The Pub/Sub subscription behind each function with an event trigger: its name, and what is asked of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from afterimage_emulator.events import CloudEvent
from afterimage_emulator.functions.codebases.manifest import EventTrigger, FunctionSpec
from afterimage_emulator.functions.deliveries.event_filters import PUBSUB_MESSAGE


class EventSubscriptions(Protocol):
    """What a Pub/Sub service beside the functions offers them. Subscriptions and topics go by their full names."""

    def declare(self, wanted: Callable[[], Mapping[str, str]]) -> None:
        """Which subscriptions there are, and the topic of each."""
        ...

    def backoff_seconds(self, name: str, failures: int) -> float | None:
        """How long to wait after so many failures; None where the subscription does not say."""
        ...

    def window_seconds(self, name: str) -> float | None:
        """For how long an event is tried again."""
        ...

    def give_up(self, name: str, event: CloudEvent, attempts: int) -> str:
        """The dead letter topic that has taken the event; empty where it is to be tried on."""
        ...


def subscription_of(spec: FunctionSpec, project_id: str) -> str:
    return f"projects/{project_id}/subscriptions/{_trigger_name(spec)}-sub"


def topic_of(spec: FunctionSpec, project_id: str) -> str:
    """A Pub/Sub trigger's own topic; all other events come over one that Eventarc makes for the trigger."""
    trigger = spec.trigger
    if isinstance(trigger, EventTrigger) and trigger.event_type == PUBSUB_MESSAGE and "topic" in trigger.filters:
        return f"projects/{project_id}/topics/{trigger.filters['topic'].rpartition('/')[2]}"
    return f"projects/{project_id}/topics/{_trigger_name(spec)}"


def addressed_to(event: CloudEvent, subscription: str) -> CloudEvent:
    """A message tells its function by which subscription it came, and each function has its own."""
    if event.type != PUBSUB_MESSAGE:
        return event
    try:
        body = json.loads(event.data)
    except ValueError:  # made by hand: for the function to judge
        return event
    if not isinstance(body, dict):
        return event
    body["subscription"] = subscription
    return replace(event, data=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())


def _trigger_name(spec: FunctionSpec) -> str:
    return f"eventarc-{spec.regions[0]}-{spec.name}"
