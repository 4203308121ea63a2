"""Messages to Pub/Sub topics: JSON out, and back only when the service has taken it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from afterimage.store import clients

_TIMEOUT_SECONDS: Final = 60


def publish(topic: str, body: Mapping[str, Any]) -> None:
    publisher = clients.publisher()
    path = publisher.topic_path(clients.settings().project_id, topic)
    publisher.publish(path, json.dumps(dict(body)).encode()).result(timeout=_TIMEOUT_SECONDS)
