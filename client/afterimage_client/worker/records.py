"""Owns a generation's document while a worker is at it: opened, taken over, kept alive and ended by compare-and-set.

Two documents: the generation itself, and below it the worker's sign of life, which no listener and no trigger hears.
Each write demands the version that this worker knows, so whoever has lost a generation finds out and changes nothing.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from afterimage_client.errors import WorkerError
from afterimage_client.worker.answers import answer_again
from afterimage_client.worker.places import beat_path, generation_path
from afterimage_client.worker.requests import GenerationRequest

if TYPE_CHECKING:
    from google.cloud.firestore import Client, DocumentSnapshot

_ROUNDS: Final = 5
_TIMEOUT_SECONDS: Final = 60.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LostError(WorkerError):
    """The generation is not this worker's any more: it was deleted, ended by the expiry, or taken over."""

    def __init__(self, path: str) -> None:
        super().__init__(
            "lost", f"`{path}` was deleted, ended or taken over by another worker", way_out="ask for it again"
        )


class AlreadyDoneError(WorkerError):
    """The same request was completed before; `response` is what it was answered with."""

    def __init__(self, path: str, fields: Mapping[str, Any]) -> None:
        super().__init__("already-done", f"`{path}` is completed", way_out="take its `response`")
        self.response = answer_again(fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What stands there, and for how many seconds, by the server's own clock, nothing of it has moved."""

    generation: DocumentSnapshot | None
    beat: DocumentSnapshot | None
    silent_seconds: float


class GenerationRecord:
    """The documents of one attempt of one worker."""

    def __init__(self, client: Client, *, uid: str, request: GenerationRequest, takeover_after_seconds: float) -> None:
        self._client = client
        self._uid = uid
        self._request = request
        self._takeover_after_seconds = takeover_after_seconds
        self.path = generation_path(uid, request.file_uid)
        self._generation = client.document(self.path)
        self._beat = client.document(beat_path(uid, request.file_uid))
        self.run = secrets.token_hex(8)
        self.attempt = 0
        self.confirmed_before = 0
        """What earlier attempts were billed, in nano-dollars."""
        self._lock = threading.Lock()
        self._generation_version: Any = None
        self._beat_version: Any = None
        self._beats = 0

    @property
    def claimed(self) -> int:
        """When the generation became this worker's, in microseconds: of two attempts the later one has more.

        Unlike `attempt`, which the document counts, it goes on where the generation was deleted and is asked for anew.
        """
        return int((self._generation_version - _EPOCH) // timedelta(microseconds=1))

    def open(self) -> None:
        """Makes the generation this worker's, or says whose it is."""
        from google.api_core import exceptions

        doubts = 0
        for _ in range(_ROUNDS):
            found = self._look()
            held = found.generation
            if held is not None and (fields := self._fields_of_own_run(held)) is not None:
                # The answer to our own write was lost.
                self._adopt(held, found.beat, fields)
                return
            self._refuse_unless_free(found)
            try:
                self._claim(held)
                return
            except (exceptions.Conflict, exceptions.FailedPrecondition, exceptions.NotFound):
                continue
            except (exceptions.ServerError, exceptions.RetryError):
                # Nobody knows whether it was applied: the next look tells.
                doubts += 1
                if doubts > 1:
                    raise
        raise WorkerError("in-progress", f"`{self.path}` is contended", way_out="try again", is_transient=True)

    def beat(self) -> None:
        """Shows that the worker lives; raises LostError where the generation is not its own any more."""
        from google.api_core import exceptions

        with self._lock:
            if self._beat_version is None:
                raise LostError(self.path)
            if not self._is_own(self._generation.get(timeout=_TIMEOUT_SECONDS)):
                raise LostError(self.path)
            option = self._client.write_option(last_update_time=self._beat_version)
            batch = self._client.batch()
            batch.update(self._beat, {"beats": self._beats + 1, "at": _server_time()}, option=option)
            try:
                self._beat_version = batch.commit(timeout=_TIMEOUT_SECONDS)[0].update_time
            except (exceptions.FailedPrecondition, exceptions.NotFound, exceptions.Aborted) as error:
                held = self._beat.get(timeout=_TIMEOUT_SECONDS)
                if not self._is_own(held):
                    raise LostError(self.path) from error
                self._beat_version = held.update_time
            self._beats += 1

    def end(self, fields: Mapping[str, Any]) -> None:
        """Ends the generation and takes the sign of life away, in one commit; LostError where it is not ours to end."""
        from google.api_core import exceptions

        with self._lock:
            if self._generation_version is None:
                raise LostError(self.path)
            batch = self._client.batch()
            batch.update(
                self._generation,
                {**fields, "completed_at": _server_time()},
                option=self._client.write_option(last_update_time=self._generation_version),
            )
            batch.delete(self._beat)
            try:
                batch.commit(timeout=_TIMEOUT_SECONDS)
            except (exceptions.ClientError, exceptions.ServerError, exceptions.RetryError) as error:
                # Perhaps it was applied, and its answer was lost.
                held = self._generation.get(timeout=_TIMEOUT_SECONDS)
                status = (held.to_dict() or {}).get("status") if self._is_own(held) else None
                if status == "processing":
                    raise
                if status != fields["status"]:
                    raise LostError(self.path) from error
            self._generation_version = self._beat_version = None

    def let_go(self) -> None:
        """Removes the own sign of life of a generation that was lost; another worker's stays."""
        from google.api_core import exceptions

        with self._lock:
            held = self._beat.get(timeout=_TIMEOUT_SECONDS)
            if self._is_own(held):
                batch = self._client.batch()
                batch.delete(self._beat, option=self._client.write_option(last_update_time=held.update_time))
                try:
                    batch.commit(timeout=_TIMEOUT_SECONDS)
                except (exceptions.FailedPrecondition, exceptions.NotFound):
                    pass
            self._generation_version = self._beat_version = None

    def _look(self) -> _Found:
        """Both in one read, so that they are compared with one moment of the server's clock."""
        snapshots = {
            snapshot.reference.path: snapshot
            for snapshot in self._client.get_all([self._generation, self._beat], timeout=_TIMEOUT_SECONDS)
        }
        generation, beat = snapshots[self._generation.path], snapshots[self._beat.path]
        times = [snapshot.update_time for snapshot in (generation, beat) if snapshot.exists]
        silent = (generation.read_time - max(times)).total_seconds() if times else 0.0
        return _Found(
            generation=generation if generation.exists else None,
            beat=beat if beat.exists else None,
            silent_seconds=silent,
        )

    def _refuse_unless_free(self, found: _Found) -> None:
        if found.generation is None:
            return
        fields = found.generation.to_dict() or {}
        if fields.get("request_digest", self._request.digest) != self._request.digest:
            raise WorkerError(
                "already-exists", "`file_uid` names another request of this user", way_out="use a new one for each"
            )
        if fields.get("status") == "completed" and (fields.get("generation_data") or {}).get("delivery") != "inline":
            raise AlreadyDoneError(self.path, fields)
        if fields.get("status") == "processing" and found.silent_seconds < self._takeover_after_seconds:
            raise WorkerError(
                "in-progress",
                f"another worker is at `{self.path}`",
                way_out="listen to the document, or ask again later",
                is_transient=True,
            )

    def _claim(self, held: DocumentSnapshot | None) -> None:
        before = (held.to_dict() or {}) if held else {}
        number = before.get("attempt")
        self.attempt = (number if isinstance(number, int) else int(held is not None)) + 1
        billed = before.get("confirmed_cost_nano_usd")
        self.confirmed_before = billed if isinstance(billed, int) else 0
        fields = {
            "status": "processing",
            "created_at": before.get("created_at") or _server_time(),
            "completed_at": None,
            "request_data": dict(self._request.parameters),
            "generation_data": None,
            "file_uid": self._request.file_uid,
            "user_id": self._uid,
            "reason": None,
            "files": [],
            "attempt": self.attempt,
            "run": self.run,
            "request_digest": self._request.digest,
        }
        batch = self._client.batch()
        if held is None:
            batch.create(self._generation, fields)
        else:
            batch.update(self._generation, fields, option=self._client.write_option(last_update_time=held.update_time))
        batch.set(self._beat, {"run": self.run, "beats": 0, "at": _server_time()})
        results = batch.commit(timeout=_TIMEOUT_SECONDS)
        self._generation_version, self._beat_version = results[0].update_time, results[1].update_time

    def _fields_of_own_run(self, held: DocumentSnapshot) -> Mapping[str, Any] | None:
        return (held.to_dict() or {}) if self._is_own(held) else None

    def _adopt(self, held: DocumentSnapshot, beat: DocumentSnapshot | None, fields: Mapping[str, Any]) -> None:
        if fields.get("status") != "processing" or beat is None or not self._is_own(beat):
            raise LostError(self.path)
        self.attempt = fields["attempt"]
        self._generation_version, self._beat_version = held.update_time, beat.update_time

    def _is_own(self, snapshot: DocumentSnapshot) -> bool:
        return bool(snapshot.exists) and (snapshot.to_dict() or {}).get("run") == self.run


class Heart:
    """Beats in a thread until it is stopped; a beat that fails for want of a network is tried again at the next."""

    def __init__(self, record: GenerationRecord, every_seconds: float, on_lost: Callable[[], None]) -> None:
        self._record = record
        self._every_seconds = every_seconds
        self._on_lost = on_lost
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="afterimage-worker-heart", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError

        while not self._stopped.wait(self._every_seconds):
            try:
                self._record.beat()
            except LostError:
                self._on_lost()
                return
            except (GoogleAPIError, GoogleAuthError, OSError):
                continue


def _server_time() -> Any:
    from google.cloud.firestore import SERVER_TIMESTAMP

    return SERVER_TIMESTAMP
