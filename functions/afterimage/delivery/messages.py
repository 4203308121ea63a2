"""Messages to Pub/Sub topics: JSON out, and back only when the service has taken it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from afterimage.store import clients

logger = logging.getLogger("afterimage.delivery")

_TIMEOUT_SECONDS: Final = 60


def publish_each(messages: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Publishes every one, whatever becomes of the others; then raises the first failure, if there was any."""
    failures = list[Exception]()
    for topic, body in messages:
        try:
            publish(topic, body)
        except Exception as error:
            # Every kind: what keeps one job from starting must not keep the others of that night.
            logger.exception("`%s` is not told: %s", topic, dict(body))
            failures.append(error)
    if failures:
        raise failures[0]


def publish(topic: str, body: Mapping[str, Any]) -> None:
    publisher = clients.publisher()
    path = publisher.topic_path(clients.settings().project_id, topic)
    publisher.publish(path, json.dumps(dict(body)).encode()).result(timeout=_TIMEOUT_SECONDS)
