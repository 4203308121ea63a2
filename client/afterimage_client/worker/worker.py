"""Owns the composition of a worker: its cloud, whom it believes, and the generations that are open."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from afterimage_client.errors import WorkerError
from afterimage_client.worker.callers.proof import Callers, proven, what_was_signed
from afterimage_client.worker.callers.signing import NonceMemory, SignatureVerifier, SigningKeys
from afterimage_client.worker.cloud import Cloud, CloudSettings
from afterimage_client.worker.generation import Generation, OnStep, OpenGenerations
from afterimage_client.worker.places import check_ids
from afterimage_client.worker.records import AlreadyDoneError, GenerationRecord
from afterimage_client.worker.requests import GenerationRequest

BEAT_EVERY_SECONDS: Final = 20.0
TAKEOVER_AFTER_SECONDS: Final = 120.0
"""Six beats missed: the worker is dead, or cut off."""
HTTP_WINDOW_SECONDS: Final = 300
QUEUE_WINDOW_SECONDS: Final = 24 * 3600
_LOOK_AGAIN_SECONDS: Final = 2.0

Make = Callable[[Generation], None]
"""Makes what a generation's request asks for, and adds it."""


class Worker:
    """Makes generations. Without a cloud it answers inline; with one it stores, for callers whom it can prove."""

    def __init__(
        self,
        cloud: Cloud | None = None,
        *,
        keys: SigningKeys | None = None,
        window_seconds: int | None = None,
        beat_every_seconds: float = BEAT_EVERY_SECONDS,
        takeover_after_seconds: float = TAKEOVER_AFTER_SECONDS,
        on_step: OnStep = lambda _step: None,
    ) -> None:
        if takeover_after_seconds < 3 * beat_every_seconds:
            raise WorkerError(
                "invalid-options",
                f"taking over after `{takeover_after_seconds:g}` seconds would end workers that live",
                way_out=f"wait for three beats of {beat_every_seconds:g} seconds at least",
            )
        self._cloud = cloud
        keys = keys or SigningKeys({})
        self._callers = Callers(
            uid_of_token=cloud.uid_of if cloud else _nobody,
            queue=SignatureVerifier(keys=keys, window_seconds=window_seconds or QUEUE_WINDOW_SECONDS),
            http=SignatureVerifier(
                keys=keys, window_seconds=window_seconds or HTTP_WINDOW_SECONDS, nonces=NonceMemory()
            ),
        )
        self._beat_every_seconds = beat_every_seconds
        self._takeover_after_seconds = takeover_after_seconds
        self._on_step = on_step
        self._open = OpenGenerations()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **options: Any) -> Self:
        """With the cloud that `FIREBASE_STORAGE_BUCKET` names, or without one where it names none."""
        variables = os.environ if environment is None else environment
        settings = CloudSettings.from_environment(variables)
        window = variables.get("AFTERIMAGE_WORKER_WINDOW_SECONDS", "").strip()
        if window and not (window.isascii() and window.isdigit() and 0 < int(window) <= 7 * 24 * 3600):
            raise WorkerError(
                "invalid-options",
                f"`AFTERIMAGE_WORKER_WINDOW_SECONDS` is `{window}`",
                way_out="write whole seconds, a week at most",
            )
        return cls(
            Cloud.connect(settings) if settings else None,
            keys=SigningKeys.from_text(variables.get("AFTERIMAGE_WORKER_KEYS", "")),
            window_seconds=int(window) if window else None,
            **options,
        )

    @property
    def stores(self) -> bool:
        """Whether there is a cloud to store in."""
        return self._cloud is not None

    def generation(self, given: Mapping[str, Any]) -> Generation:
        """From what stands under `input`, with its proof: an `id_token`, or `signed_request` and `signature`."""
        if not isinstance(given, Mapping):
            raise WorkerError("invalid-request", "the request is no object", way_out="put it under `input`")
        uid = self._callers.of_job(given) if self._cloud else None
        return self._generation(what_was_signed(given), uid)

    def http_generation(
        self, given: Mapping[str, Any], *, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Generation:
        """From an HTTP request, which its headers prove; `input` may hold a proof as well."""
        uid = self._callers.of_http(method=method, path=path, headers=headers, body=body) if self._cloud else None
        if uid is None:
            return self.generation(given)
        return self._generation(given, uid)

    def handle(self, given: Mapping[str, Any], make: Make, *, wait_seconds: float = 0.0) -> dict[str, Any]:
        """Makes what is asked for and answers; what was made before is answered again without making it.

        While another worker is at the same `file_uid`, this one waits so long: a queue delivers a dead worker's job
        anew before anybody can know that it is dead.
        """
        return self.run(lambda: self.generation(given), make, wait_seconds=wait_seconds)

    def run(self, begin: Callable[[], Generation], make: Make, *, wait_seconds: float = 0.0) -> dict[str, Any]:
        """The same, for a generation that `begin` makes."""
        until = time.monotonic() + wait_seconds
        while True:
            try:
                with begin() as job:
                    make(job)
                return job.response
            except AlreadyDoneError as done:
                return done.response
            except WorkerError as error:
                if error.code != "in-progress" or time.monotonic() >= until:
                    raise
            time.sleep(min(_LOOK_AGAIN_SECONDS, self._takeover_after_seconds / 4))

    def close(self, reason: str = "the worker was stopped") -> None:
        """Ends what is open as failed."""
        for generation in self._open.all():
            generation.stop(reason)
        if self._cloud is not None:
            self._cloud.close()

    def _generation(self, given: Mapping[str, Any], uid: str | None) -> Generation:
        request = GenerationRequest.from_input(given)
        cloud = self._cloud if request.use_cloud_storage else None
        user_id, record = request.user_id, None
        if cloud is not None:
            user_id = proven(uid, request.user_id)
            if not request.file_uid:
                raise WorkerError(
                    "invalid-request", "`file_uid` is missing", way_out="name the generation, with a new UUID for each"
                )
            check_ids(user_id, request.file_uid)
            record = GenerationRecord(
                cloud.firestore,
                uid=user_id,
                request=request,
                takeover_after_seconds=self._takeover_after_seconds,
            )
        return Generation(
            request,
            user_id=user_id,
            cloud=cloud,
            record=record,
            beat_every_seconds=self._beat_every_seconds,
            on_step=self._on_step,
            still_open=self._open,
        )


def _nobody(_token: str) -> str:
    raise WorkerError("unavailable", "this worker stores nothing", way_out="set `FIREBASE_STORAGE_BUCKET`")
