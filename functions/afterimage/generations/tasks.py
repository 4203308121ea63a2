"""The queue of versions that wait to be made: one task for each, under a name that says which."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any, Final

from afterimage.delivery.tasks import add_task
from afterimage.generations.records import VersionKey
from afterimage.generations.working import Workshop
from afterimage.made_once import made_once
from afterimage.store import clients

if TYPE_CHECKING:
    from firebase_functions.tasks_fn import CallableRequest

logger = logging.getLogger("afterimage.generations")

QUEUE: Final = "generate"
DEADLINE_SECONDS: Final = 330


def enqueue(key: VersionKey) -> None:
    """Adds the task of a version; a task of that name that is there already is the same."""
    name = hashlib.sha256(key.path.encode()).hexdigest()
    data = {"uid": key.uid, "generation": key.generation, "version": key.version, "project": key.project}
    add_task(QUEUE, name, data, deadline_seconds=DEADLINE_SECONDS)


def work_on_task(request: CallableRequest[Any]) -> None:
    """Handles one task; an exception makes the queue deliver it again."""
    data = request.data
    key = VersionKey(
        uid=str(data["uid"]),
        generation=str(data["generation"]),
        version=int(data["version"]),
        project=str(data.get("project", "")),
    )
    logger.info("`%s`: %s", key.path, workshop().work(key))


@made_once
def workshop() -> Workshop:
    from datetime import UTC, datetime

    from afterimage.edges.generators import generator_of
    from afterimage.ledger.prices.pricing import Prices

    settings = clients.settings()
    return Workshop(
        documents=clients.documents(),
        files=clients.files(),
        bucket=settings.originals_bucket,
        generator=generator_of(settings),
        prices=Prices(),
        now=lambda: datetime.now(UTC),
    )
