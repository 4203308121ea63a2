"""Whether an event is one that a trigger asked for. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from afterimage_emulator.events import CHANNEL_ATTRIBUTE
from afterimage_emulator.functions.codebases.manifest import EventTrigger
from afterimage_emulator.linear_patterns import LinearPattern

_CAPTURE: Final = re.compile(r"\{[^/{}=]+(?:=([^{}]*))?\}")
_CHANNEL_LOCATION: Final = "us-central1"
PUBSUB_MESSAGE: Final = "google.cloud.pubsub.topic.v1.messagePublished"

Matches = Callable[[Mapping[str, str]], bool]


def compile_pattern(pattern: str) -> LinearPattern:
    """`cards/{id}`, `{x=**}`, `*`, `**`: one star is part of one segment, two are any number of segments."""
    plain = _CAPTURE.sub(lambda found: found[1] or "*", pattern.strip("/"))
    parts: list[str] = []
    for segment in plain.split("/"):
        if segment == "**":
            parts.append(r"(?:/[^/]+)*")
        else:
            parts.append("/" + ".*".join("[^/]*".join(map(re.escape, p.split("*"))) for p in segment.split("**")))
    # A capture of one whole segment takes at least one character.
    text = "".join("/[^/]+" if part == "/[^/]*" else part for part in parts)
    return LinearPattern(text)


def channel_name(text: str, project_id: str) -> str:
    """In full, as events name it: the Admin SDKs and the Firebase CLI fill in a name in the same way."""
    if not text or text.startswith("projects/"):
        return text
    return f"projects/{project_id}/{text if '/' in text else f'locations/{_CHANNEL_LOCATION}/channels/{text}'}"


def filter_of(trigger: EventTrigger, project_id: str) -> Matches:
    """The test of a trigger on an event's attributes; events of other projects never pass."""
    exact = dict(trigger.filters)
    if trigger.event_type == PUBSUB_MESSAGE and "topic" in exact:
        exact["topic"] = exact["topic"].rpartition("/")[2]
    channel = channel_name(trigger.channel, project_id)
    patterns = {name: compile_pattern(pattern) for name, pattern in trigger.patterns.items()}

    def matches(attributes: Mapping[str, str]) -> bool:
        published_to = attributes.get(CHANNEL_ATTRIBUTE)
        if published_to is not None:
            # Attributes of such an event are its publisher's own, `project` too.
            if published_to != channel:
                return False
        elif attributes.get("project", project_id) != project_id:
            return False
        if any(attributes.get(name) != value for name, value in exact.items()):
            return False
        return all(
            name in attributes and pattern.covers("/" + attributes[name].strip("/"))
            for name, pattern in patterns.items()
        )

    return matches
