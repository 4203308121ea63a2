"""The queue of versions that wait to be made: one task for each, under a name that says which."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any, Final

from afterimage.faults import TransientError
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
    from firebase_admin import functions
    from firebase_admin.exceptions import AlreadyExistsError, ConflictError, FirebaseError

    region = clients.settings().region
    queue = functions.task_queue(f"locations/{region}/functions/{QUEUE}", app=clients.firebase_app())
    name = hashlib.sha256(key.path.encode()).hexdigest()
    options = functions.TaskOptions(task_id=name, dispatch_deadline_seconds=DEADLINE_SECONDS)
    data = {"uid": key.uid, "generation": key.generation, "version": key.version, "project": key.project}
    body = {"data": data}
    try:
        queue.enqueue(body, options)
    except (AlreadyExistsError, ConflictError):
        return
    except FirebaseError as error:
        raise TransientError(f"the queue took no task: {error}") from error


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
