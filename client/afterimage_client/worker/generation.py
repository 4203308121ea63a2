"""Owns one generation from its opening to its end: `completed` or `failed`, whatever way the block is left.

Without a cloud, or where storing fails, the same block answers with the data inline.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from afterimage_client.errors import WorkerError
from afterimage_client.worker.answers import WorkerFile, answer, data_url, links_of
from afterimage_client.worker.cloud import Cloud
from afterimage_client.worker.files import GenerationFiles
from afterimage_client.worker.places import MediaKind, object_name
from afterimage_client.worker.records import GenerationRecord, Heart, LostError
from afterimage_client.worker.requests import GenerationRequest
from afterimage_client.worker.stopping import EndingOnSigterm

_log = logging.getLogger("afterimage_client.worker")
NANO: Final = 10**9
MOST_COST_USD: Final = 1000
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")


class WorkerStep(StrEnum):
    """What a generation is about to do, and has done: for logs, and for progress bars."""

    OPENING = "opening"
    OPENED = "opened"
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    ENDING = "ending"
    ENDED = "ended"
    REMOVING = "removing"
    REMOVED = "removed"


OnStep = Callable[[WorkerStep], None]


class OpenGenerations:
    """Which generations of a worker are under way, in whatever threads."""

    def __init__(self) -> None:
        self._open: set[Generation] = set()
        self._lock = threading.Lock()

    def add(self, generation: Generation) -> None:
        with self._lock:
            self._open.add(generation)

    def discard(self, generation: Generation) -> None:
        with self._lock:
            self._open.discard(generation)

    def all(self) -> list[Generation]:
        with self._lock:
            return list(self._open)


class Generation:
    """`with worker.generation(request) as job:`; `add` what was made, then read `response` behind the block."""

    def __init__(
        self,
        request: GenerationRequest,
        *,
        user_id: str,
        cloud: Cloud | None,
        record: GenerationRecord | None,
        beat_every_seconds: float,
        on_step: OnStep,
        still_open: OpenGenerations,
    ) -> None:
        self.request = request
        self.user_id = user_id
        self._cloud = cloud
        self._record = record
        self._on_step = on_step
        self._still_open = still_open
        self._heart = Heart(record, beat_every_seconds, self._lost) if record else None
        self._sigterm = EndingOnSigterm()
        self._files: GenerationFiles | None = None
        self._made: list[bytes] = []
        self._stored: list[WorkerFile] = []
        self._is_lost = False
        self._stopped: str | None = None
        self._ending = threading.RLock()
        self._is_completed = self._is_failed = False
        self._inline_because = ""
        self._model = ""
        self._cost_nano_usd: int | None = None
        self._begun = time.monotonic()
        self._response: dict[str, Any] | None = None

    @property
    def response(self) -> dict[str, Any]:
        """What the caller is answered; there once the block has ended well."""
        if self._response is None:
            raise WorkerError("failed", "the generation has no response", way_out="read it behind the block")
        return self._response

    def __enter__(self) -> Self:
        try:
            if self._record is not None and self._cloud is not None:
                self._open(self._record, self._cloud)
            self._still_open.add(self)
            # From here on a signal ends the block like any exception: an orchestrator sends one before it kills.
            self._sigterm.begin()
        except BaseException as error:
            # A block that is not entered is not left either: its heart would beat, and nobody would ever end it.
            if self._files is not None:
                self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # What is being ended is ended first: half an end would have to wait for the expiry.
        self._sigterm.hold()
        try:
            if self._heart is not None:
                self._heart.stop()
            if error is None:
                self._complete()
            else:
                self._fail(reason_of(error))
        finally:
            self._still_open.discard(self)
            self._sigterm.end()

    def add(self, made: bytes | Path) -> None:
        """Takes one picture or video, checks it and stores it."""
        self._refuse_what_is_over()
        data = made.read_bytes() if isinstance(made, Path) else bytes(made)
        self.request.kind.refuse_others(data)
        index = len(self._made)
        if index >= self.request.count:
            raise WorkerError(
                "invalid-output", f"`{self.request.count}` were asked for", way_out="add no more than the request says"
            )
        self._made.append(data)
        if self._files is None or self._inline_because:
            return
        path = object_name(self.user_id, self.request.file_uid, self.request.kind, index, self.request.count)
        self._tell(WorkerStep.UPLOADING)
        try:
            self._stored.append(self._files.put(path, data, self.request.kind.content_type))
        except LostError:
            self._lost()
            raise
        except cloud_faults() as error:
            self._answer_inline(f"a file could not be stored ({type(error).__name__})", error)
            return
        self._tell(WorkerStep.UPLOADED)

    def made_by(self, model: str) -> None:
        """Names the model, under which the ledger books; a model that the request names counts for nothing then."""
        self._model = model

    def confirm_cost(self, dollars: Decimal | str | int) -> None:
        """What this generation was billed, which the ledger books before every price."""
        try:
            cost = Decimal(dollars)
        except (ArithmeticError, TypeError, ValueError):
            cost = Decimal("NaN")
        if isinstance(dollars, bool) or not cost.is_finite() or not 0 <= cost <= MOST_COST_USD:
            raise ValueError(f"`{str(dollars)[:40]}` is no cost from 0 to {MOST_COST_USD} dollars")
        self._cost_nano_usd = int((cost * NANO).to_integral_value())

    def stop(self, reason: str) -> None:
        """Ends it as failed from another thread; the block finds out at its next step."""
        self._stopped = reason
        if self._heart is not None:
            self._heart.stop()
        self._fail(reason)

    def _open(self, record: GenerationRecord, cloud: Cloud) -> None:
        self._tell(WorkerStep.OPENING)
        try:
            record.open()
        except cloud_faults() as error:
            self._record = self._heart = None
            self._answer_inline(f"the generation could not be opened ({type(error).__name__})", error)
            return
        self._files = GenerationFiles(cloud, run=record.run, claimed=record.claimed, file_uid=self.request.file_uid)
        if self._heart is not None:
            self._heart.start()
        self._tell(WorkerStep.OPENED)

    def _complete(self) -> None:
        """One ends it: the block itself, or whoever stops it from another thread."""
        with self._ending:
            if self._stopped is not None:
                # What was still going up when the stop came is nobody's.
                self._remove_stored()
                raise WorkerError("failed", self._stopped)
            self._end_well()

    def _end_well(self) -> None:
        if not self._made:
            self._fail("nothing was made")
            raise WorkerError("failed", "nothing was made", way_out="call `add` within the block")
        inline = [data_url(self.request.kind.content_type, data) for data in self._made]
        if self._record is None:
            self._response = answer(self.request, self.user_id, inline)
            return
        links = [] if self._inline_because else [file.url for file in self._stored]
        self._is_completed = True
        try:
            self._end({"status": "completed", **self._results(links)})
        except LostError:
            self._remove_stored()
            raise
        except cloud_faults() as error:
            # The document stays `processing` until the expiry ends it; its files go with it, so links would not last.
            self._answer_inline(f"the generation could not be ended ({type(error).__name__})", error)
            links = []
        else:
            if self._inline_because:
                self._remove_stored()
        self._response = answer(self.request, self.user_id, links or inline)

    def _results(self, links: list[str]) -> dict[str, Any]:
        data: dict[str, Any] = {
            **links_of(self.request.kind, links),
            "seed": self.request.seed,
            "task_type": self.request.task_type,
            "delivery": "storage" if links else "inline",
            "latency_ms": round((time.monotonic() - self._begun) * 1000),
            **self._figures(),
        }
        if not links:
            data["inline_reason"] = self._inline_because
        if self._model:
            data["model"] = self._model
        found: dict[str, Any] = {
            "generation_data": data,
            "files": [file.to_fields() for file in self._stored] if links else [],
        }
        if self._cost_nano_usd is not None:
            # An answer that was inline and is made again was billed each time.
            before = self._record.confirmed_before if self._record else 0
            found["confirmed_cost_nano_usd"] = min(before + self._cost_nano_usd, MOST_COST_USD * NANO)
        return found

    def _figures(self) -> dict[str, Any]:
        """By which the ledger prices it: what was made, whatever else the request says about itself."""
        if self.request.kind is MediaKind.IMAGE:
            return {"num_images": len(self._made)}
        frames, rate = self.request.number("num_frames"), self.request.number("fps")
        return {"num_frames": frames, "fps": rate, "duration_seconds": round(frames / rate, 3)}

    def _tell(self, step: WorkerStep) -> None:
        try:
            self._on_step(step)
        except Exception:  # a log's or a progress bar's own, whatever it is: it decides no generation's end
            _log.exception("`on_step` failed at `%s`", step)

    def _fail(self, reason: str) -> None:
        """Never in the way of what ended the block: what cannot be told is left to the expiry."""
        with self._ending:
            if self._record is None or self._is_completed:
                return
            if not self._is_failed:
                self._is_failed = True
                self._tell_failed(self._record, reason)
            self._remove_stored()

    def _tell_failed(self, record: GenerationRecord, reason: str) -> None:
        try:
            self._end({"status": "failed", "reason": reason})
        except LostError:
            pass
        except cloud_faults() as error:
            _log.warning("`%s` could not be ended: %s", record.path, error)

    def _end(self, fields: Mapping[str, Any]) -> None:
        assert self._record is not None
        self._tell(WorkerStep.ENDING)
        try:
            self._record.end(fields)
        except LostError:
            self._let_go()
            raise
        self._tell(WorkerStep.ENDED)

    def _let_go(self) -> None:
        assert self._record is not None
        try:
            self._record.let_go()
        except cloud_faults() as error:
            _log.warning("the sign of life of `%s` stays until the expiry: %s", self._record.path, error)

    def _remove_stored(self) -> None:
        """What no document names goes at once; what cannot be removed now goes with the nightly look at all files."""
        assert self._files is not None or not self._stored
        while self._stored and self._files is not None:
            self._tell(WorkerStep.REMOVING)
            file = self._stored.pop()
            try:
                self._files.remove(file)
            except cloud_faults() as error:
                _log.warning("`%s` stays until the nightly expiry: %s", file.path, error)
                continue
            self._tell(WorkerStep.REMOVED)

    def _answer_inline(self, because: str, error: Exception) -> None:
        self._inline_because = because
        _log.warning("%s, so the answer is inline: %s", because, error)

    def _lost(self) -> None:
        self._is_lost = True

    def _refuse_what_is_over(self) -> None:
        if self._stopped is not None:
            raise WorkerError("failed", self._stopped)
        if self._is_lost and self._record is not None:
            raise LostError(self._record.path)


def reason_of(error: BaseException) -> str:
    """What the user is told: one line, not too long, without what the worker's own tools append."""
    if isinstance(error, WorkerError):
        text = error.message
    elif isinstance(error, SystemExit | KeyboardInterrupt):
        text = "the worker was stopped"
    else:
        text = f"{type(error).__name__}: {error}"
    return _UNPRINTABLE.sub(" ", text).encode(errors="replace").decode()[:500].strip() or "it failed"


def cloud_faults() -> tuple[type[Exception], ...]:
    """What the official clients raise when the network, the service or the credentials fail."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
    from requests.exceptions import RequestException

    return (GoogleAPIError, GoogleAuthError, RequestException, InvalidResponse, DataCorruption)
