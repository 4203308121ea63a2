"""Tasks added to the queue of a function: under a name of their own, so that one that is added twice is there once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterimage.faults import TransientError
from afterimage.store import clients


def add_task(
    queue: str, name: str, data: Mapping[str, Any], *, deadline_seconds: int, delay_seconds: int | None = None
) -> None:
    """Adds a task; one of that name that is there already, or was lately, is the same."""
    from firebase_admin import functions
    from firebase_admin.exceptions import AlreadyExistsError, ConflictError, FirebaseError

    region = clients.settings().region
    tasks = functions.task_queue(f"locations/{region}/functions/{queue}", app=clients.firebase_app())
    options = functions.TaskOptions(
        task_id=name, dispatch_deadline_seconds=deadline_seconds, schedule_delay_seconds=delay_seconds
    )
    try:
        tasks.enqueue({"data": dict(data)}, options)
    except (AlreadyExistsError, ConflictError):
        return
    except FirebaseError as error:
        raise TransientError(f"the queue `{queue}` took no task: {error}") from error
