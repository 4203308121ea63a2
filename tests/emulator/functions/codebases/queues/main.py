"""Functions with task queues: each notes what it hears, and fails where its task says so."""

import json
import os

from firebase_functions import https_fn, options, tasks_fn

NOTES = os.environ.get("NOTES", os.devnull)


def note(*what):
    with open(NOTES, "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


@tasks_fn.on_task_dispatched()
def plain(request):
    headers = request.raw_request.headers
    note("plain", request.data, {name.lower(): value for name, value in headers.items()})


@tasks_fn.on_task_dispatched(
    retry_config=options.RetryConfig(
        max_attempts=5, min_backoff_seconds=10, max_backoff_seconds=60, max_doublings=1, max_retry_seconds=0
    ),
    rate_limits=options.RateLimits(max_concurrent_dispatches=3, max_dispatches_per_second=50),
    region="europe-west1",
)
def stubborn(request):
    attempt = int(request.raw_request.headers["x-cloudtasks-taskretrycount"]) + 1
    note("stubborn", request.data["name"], attempt)
    if request.data.get("crashes", 0) >= attempt:
        os._exit(1)
    if request.data.get("fails", 0) >= attempt:
        raise https_fn.HttpsError(https_fn.FunctionsErrorCode.UNAVAILABLE, "not yet")


@tasks_fn.on_task_dispatched()
def with_underscore(request):
    note("with_underscore", request.data)


@https_fn.on_request()
def web(request):
    note("web", request.method, request.path, request.get_data(as_text=True))
    return "ok"
