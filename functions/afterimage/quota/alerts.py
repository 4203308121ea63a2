"""Alerts to others: a document says that a user's room is running out, and a topic is told of it, at least once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from afterimage.delivery.document_changes import DocumentChange
from afterimage.delivery.events import DocumentEvent
from afterimage.delivery.messages import publish
from afterimage.paths import parse_quota_alert
from afterimage.store import clients

logger = logging.getLogger("afterimage.quota")


def alert_written(event: DocumentEvent) -> None:
    topic = clients.settings().quota_alert_topic
    news = alert_news(event.change)
    if news is None:
        return
    logger.warning("user `%s` has reached %s %% of %s bytes", news["uid"], news["level"], news["limit_bytes"])
    if topic:
        publish(topic, news)


def alert_news(change: DocumentChange) -> Mapping[str, Any] | None:
    """What is announced of a written alert; None where it was on already, or ends."""
    user = parse_quota_alert(change.path)
    after, before = change.after or {}, change.before or {}
    if user is None or after.get("state") != "raised" or before.get("state") == "raised":
        return None
    return {
        # The same alert delivered twice has one name; the next time it is raised it has another.
        "alert": f"{user}/{after['level']}/{after['at'].isoformat()}",
        "uid": user,
        "level": after["level"],
        "used_bytes": after["used_bytes"],
        "limit_bytes": after["limit_bytes"],
        "at": after["at"].isoformat(),
    }
