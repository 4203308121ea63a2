"""The grammar of Cloud Tasks' resource names. Pure."""

from __future__ import annotations

import re
from typing import Final

from afterimage_emulator.status import Code, StatusError

_PARENT: Final = re.compile(r"projects/[A-Za-z0-9:.-]{1,100}/locations/[A-Za-z0-9-]{1,100}")
_QUEUE_ID: Final = re.compile(r"[A-Za-z0-9-]{1,100}")
_TASK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,500}")
_SHOWN_CHARACTERS: Final = 600


def check_parent(name: str) -> str:
    """`projects/P/locations/L`."""
    if not _PARENT.fullmatch(name):
        raise _wrong('Location name must be formatted: "projects/<PROJECT_ID>/locations/<LOCATION_ID>"', name)
    return name


def check_queue_form(name: str) -> str:
    """A queue's full name as far as looking for it goes: those of functions may have letters that no other has."""
    parent, _, queue_id = name.rpartition("/queues/")
    if not _PARENT.fullmatch(parent) or not queue_id or "/" in queue_id:
        raise _wrong(
            'Queue name must be formatted: "projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/<QUEUE_ID>"', name
        )
    return name


def check_new_queue(name: str) -> str:
    queue_id = check_queue_form(name).rpartition("/")[2]
    if not is_queue_id(queue_id):
        raise _wrong(
            "Queue ID can contain only letters ([A-Za-z]), numbers ([0-9]), or hyphens (-), at most 100 of them",
            queue_id,
        )
    return name


def is_queue_id(text: str) -> bool:
    return _QUEUE_ID.fullmatch(text) is not None


def check_task(name: str) -> str:
    """A task's full name."""
    queue, separator, task_id = name.rpartition("/tasks/")
    if not separator:
        raise _wrong(
            'Task name must be formatted: "projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/<QUEUE_ID>/tasks/'
            '<TASK_ID>"',
            name,
        )
    check_queue_form(queue)
    if not _TASK_ID.fullmatch(task_id):
        raise StatusError(
            Code.INVALID_ARGUMENT,
            f'Task ID "{task_id[:_SHOWN_CHARACTERS]}" can contain only letters ([A-Za-z]), numbers ([0-9]), '
            "hyphens (-), or underscores (_). Task ID must between 1 and 500 characters.",
        )
    return name


def queue_of(task_name: str) -> str:
    return task_name.rpartition("/tasks/")[0]


def last_segment(name: str) -> str:
    return name.rpartition("/")[2]


def _wrong(form: str, name: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, f"{form}, not `{name[:_SHOWN_CHARACTERS]}`.")
