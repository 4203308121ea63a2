"""A task as somebody asks for it, made into one that can wait: names, times, sizes and headers checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from afterimage_emulator.clock import NANOS_PER_SECOND
from afterimage_emulator.protos import cloud_tasks_v2, well_known
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.tasks.queue_settings import seconds_of
from afterimage_emulator.tasks.resource_names import check_task, queue_of
from afterimage_emulator.wire.http_client import split_address

TASK_LIMIT_BYTES: Final = 1024 * 1024
USER_AGENT: Final = "Google-Cloud-Tasks"
_HEADERS_LIMIT_BYTES: Final = 80 * 1024
_URL_LIMIT_CHARACTERS: Final = 2_083
_AHEAD_SECONDS: Final = 720 * 3600
_DEADLINE_SECONDS: Final = (15, 600, 1_800)
_OF_THE_SERVICE: Final = ("host", "content-length", "user-agent", "connection", "transfer-encoding", "x-google-",
                          "x-appengine-", "x-cloudtasks-")  # fmt: skip
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_HEADER_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")

METHODS: Final[Mapping[int, str]] = {
    value.number: value.name
    for value in cloud_tasks_v2.HttpRequest.DESCRIPTOR.fields_by_name["http_method"].enum_type.values
}
_POST: Final = 1


def check_new_task(
    wanted: cloud_tasks_v2.Task, queue: str, *, now_ns: int, has_own_target: bool
) -> cloud_tasks_v2.Task:
    """A copy as it is kept; `has_own_target` where the queue is a function's, so that a task needs no url."""
    task = cloud_tasks_v2.Task()
    task.CopyFrom(wanted)
    if task.name and queue_of(check_task(task.name)) != queue:
        raise _wrong(
            f"The queue name from request ('{queue}') must be the same as the queue name in the named task "
            f"('{queue_of(task.name)}')."
        )
    if task.HasField("app_engine_http_request"):
        raise StatusError(
            Code.UNIMPLEMENTED, "`app_engine_http_request` is not implemented here; use `http_request` with a url"
        )
    if not task.HasField("http_request"):
        raise _wrong("Task.httpRequest is required.")
    _check_request(task.http_request, has_own_target=has_own_target)
    if task.ByteSize() > TASK_LIMIT_BYTES:
        raise _wrong(f"Task size too large: {task.ByteSize():,} bytes, of {TASK_LIMIT_BYTES:,} that are allowed.")
    _check_times(task, now_ns)
    for field in ("dispatch_count", "response_count", "first_attempt", "last_attempt", "view"):
        task.ClearField(field)
    return task


def _check_request(request: cloud_tasks_v2.HttpRequest, *, has_own_target: bool) -> None:
    if request.url:
        _check_url(request.url)
    elif not has_own_target:
        raise _wrong("HttpRequest.url is required.")
    request.http_method = request.http_method or _POST
    method = METHODS.get(request.http_method)
    if method is None:
        raise _wrong(f"HttpRequest.httpMethod `{request.http_method}` is no method.")
    if request.body and method not in ("POST", "PUT", "PATCH"):
        raise _wrong(f"HttpRequest.body is allowed with POST, PUT and PATCH only, not with {method}.")
    size = 0
    for name, value in dict(request.headers).items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise _wrong(f"HttpRequest.headers: `{name[:100]!r}` is no header that can be sent.")
        size += len(name) + len(value.encode("utf-8", "surrogateescape"))
        if name.lower().startswith(_OF_THE_SERVICE):
            del request.headers[name]
    if size >= _HEADERS_LIMIT_BYTES:
        raise _wrong(f"HttpRequest.headers have {size:,} bytes; they must have less than 80 KB.")
    request.headers["User-Agent"] = USER_AGENT


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise _wrong("HttpTarget.url must start with 'http://' or 'https://'.")
    if len(url) > _URL_LIMIT_CHARACTERS:
        raise _wrong(f"HttpRequest.url has {len(url):,} characters; it may have {_URL_LIMIT_CHARACTERS:,}.")
    try:
        split_address(url)
    except ValueError as error:
        raise _wrong(f"HttpRequest.url cannot be called: {error}.") from None


def _check_times(task: cloud_tasks_v2.Task, now_ns: int) -> None:
    shortest, standard, longest = _DEADLINE_SECONDS
    if not task.HasField("dispatch_deadline"):
        task.dispatch_deadline.seconds = standard
    elif not shortest <= seconds_of(task.dispatch_deadline) <= longest:
        raise _wrong(
            f"Task.dispatchDeadline must be between {shortest}s and {longest}s, "
            f"not {seconds_of(task.dispatch_deadline):g}s."
        )
    if not task.HasField("schedule_time"):
        set_time(task.schedule_time, now_ns)
    elif time_ns(task.schedule_time) > now_ns + _AHEAD_SECONDS * NANOS_PER_SECOND:
        raise _wrong(
            f"The Task.scheduleTime, {task.schedule_time.ToJsonString()}, is too far in the future. "
            "Schedule time must be no more than 720h in the future."
        )
    set_time(task.create_time, now_ns)


def time_ns(moment: well_known.Timestamp) -> int:
    return int(moment.seconds * NANOS_PER_SECOND + moment.nanos)


def set_time(moment: well_known.Timestamp, now_ns: int) -> None:
    """To the microsecond, as production says its times."""
    moment.seconds, moment.nanos = divmod(now_ns // 1000 * 1000, NANOS_PER_SECOND)


def _wrong(message: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, message)
