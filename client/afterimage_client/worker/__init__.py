"""The worker of generations: opens a user's generation, uploads what was made, ends it whatever happens.

A worker is a server: it writes past the security rules, in the name of a caller whom it can prove. The official server
SDKs are imported when a worker connects to its cloud, and not before.
"""

from __future__ import annotations

from afterimage_client.worker.callers.signing import SigningKeys
from afterimage_client.worker.cloud import Cloud, CloudSettings
from afterimage_client.worker.generation import Generation, WorkerStep
from afterimage_client.worker.handlers.http import http_application
from afterimage_client.worker.handlers.runpod import runpod_handler
from afterimage_client.worker.offline.drawing import draw
from afterimage_client.worker.records import AlreadyDoneError, LostError
from afterimage_client.worker.requests import GenerationRequest
from afterimage_client.worker.worker import Worker

__all__ = [
    "AlreadyDoneError",
    "Cloud",
    "CloudSettings",
    "Generation",
    "GenerationRequest",
    "LostError",
    "SigningKeys",
    "Worker",
    "WorkerStep",
    "draw",
    "http_application",
    "runpod_handler",
]
