"""Owns the form of RunPod's serverless handlers: a job in, a response or `{"error": …}` out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from afterimage_client.errors import WorkerError
from afterimage_client.worker.worker import TAKEOVER_AFTER_SECONDS, Make, Worker

WAIT_SECONDS = TAKEOVER_AFTER_SECONDS + 30.0


def runpod_handler(
    worker: Worker, make: Make, *, wait_seconds: float = WAIT_SECONDS
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """For `runpod.serverless.start({"handler": runpod_handler(worker, make)})`.

    RunPod marks a job as failed by the key `error`. What `make` itself raises goes through to RunPod, which notes it.
    """

    def handler(job: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return worker.handle(job.get("input") or {}, make, wait_seconds=wait_seconds)
        except WorkerError as error:
            return {"error": str(error), "code": error.code}

    return handler
