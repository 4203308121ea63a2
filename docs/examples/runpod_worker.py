"""A generation worker for RunPod's serverless machines: put your model where the offline generator stands.

Packages: afterimage-client[worker], and runpod. Variables: FIREBASE_STORAGE_BUCKET, FIREBASE_SERVICE_ACCOUNT_KEY, and
AFTERIMAGE_WORKER_KEYS where a server of yours signs requests.
"""

from __future__ import annotations

import importlib

from afterimage_client.worker import Generation, Worker, draw, runpod_handler


def make(job: Generation) -> None:
    """Yours: read `job.request`, call `job.add` with PNG or MP4 bytes, and say what it cost."""
    draw(job)


handler = runpod_handler(Worker.from_environment(), make)

if __name__ == "__main__":
    importlib.import_module("runpod").serverless.start({"handler": handler})
