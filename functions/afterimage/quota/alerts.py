"""Alerts to others: a document says that a user's room or budget runs out, and a topic is told of it, at least once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from afterimage.delivery.document_changes import DocumentChange
from afterimage.delivery.events import DocumentEvent
from afterimage.delivery.messages import publish
from afterimage.paths import BUDGETS, QUOTA, parse_alert
from afterimage.store import clients

logger = logging.getLogger("afterimage.quota")


_FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    QUOTA: ("used_bytes", "limit_bytes"),
    BUDGETS: ("spent_nano_usd", "limit_nano_usd"),
}
"""What is told of an alert, by what it is about."""


def alert_written(event: DocumentEvent) -> None:
    settings = clients.settings()
    news = alert_news(event.change)
    if news is None:
        return
    is_budget = "limit_nano_usd" in news
    logger.warning(
        "user `%s` has reached %s %% of the %s", news["uid"], news["level"], "budget" if is_budget else "quota"
    )
    topic = settings.budget_alert_topic if is_budget else settings.quota_alert_topic
    if topic:
        publish(topic, news)


def alert_news(change: DocumentChange) -> Mapping[str, Any] | None:
    """What is announced of a written alert; None where it was on already, or ends."""
    found = parse_alert(change.path)
    after, before = change.after or {}, change.before or {}
    if found is None or after.get("state") != "raised" or before.get("state") == "raised":
        return None
    about, user = found
    prefix = "budget/" if about == BUDGETS else ""
    return {
        # The same alert delivered twice has one name; the next time it is raised it has another.
        "alert": f"{prefix}{user}/{after['level']}/{after['at'].isoformat()}",
        "uid": user,
        "level": after["level"],
        **{name: after[name] for name in _FIGURES[about]},
        "at": after["at"].isoformat(),
    }
