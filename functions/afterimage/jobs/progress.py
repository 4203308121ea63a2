"""A job's document and its turns: pages of work, one message each, where the same message twice does the work once.

A message names a job and a turn. The job's document holds the turn that is due and where it begins; a turn is done,
then the document moves on by compare-and-set, then the next message is published and noted as published. A message for
a turn that is past publishes the next one only if nobody has noted doing so: that is what a crash leaves behind.

A job that is done says when its document may go (`expires_at`); a TTL policy deletes it then. Any other stays.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from afterimage.faults import PermanentError, TransientError
from afterimage.paths import is_document_id, job_path
from afterimage.settings import KEEP_FINISHED_FOR
from afterimage.store.documents import ConflictError, Document, DocumentStore, compare_and_set

logger = logging.getLogger("afterimage.jobs")
MOST_TURNS: Final = 100_000
"""No job goes on for ever: the ceiling of what one message can cost."""
_FAILURES_KEPT: Final = 20
_ROUNDS: Final = 5


class Publisher(Protocol):
    def __call__(self, topic: str, body: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Page:
    """What one turn did, and where the next one begins; None where there is nothing left."""

    next_cursor: str | None
    counts: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What a turn is given: the request that started the job, where to begin, and what was done before."""

    request: Mapping[str, Any]
    cursor: str
    counts: Mapping[str, int]


Work = Callable[[Turn], Page]


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Runs turns of jobs of one kind, which is also their topic."""

    kind: str
    documents: DocumentStore
    publish: Publisher
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    keep_for: timedelta = KEEP_FINISHED_FOR
    """How long the document of a job that is done stays: until then, its first message again starts nothing."""

    def receive(self, body: Mapping[str, Any], message_id: str, work: Work) -> str:
        """Takes one message through; returns the state of the job."""
        job = self._job_of(body, message_id)
        path = job_path(job)
        record = self.documents.read(path) or self._open(path, body)
        fields = record.fields
        if fields["kind"] != self.kind:
            raise PermanentError(f"job `{job}` is a `{fields['kind']}`; give this `{self.kind}` another name")
        if fields["state"] != "running":
            return str(fields["state"])
        turn = int(body.get("turn", 0))
        if turn < fields["turn"]:
            if not fields["next_published"]:
                self._announce(record, job)
            return "running"
        if turn > fields["turn"]:
            raise TransientError(f"turn {turn} of job `{job}` came before turn {fields['turn']} was done")
        page = work(Turn(request=fields["request"], cursor=fields["cursor"], counts=fields["counts"]))
        moved = self._move_on(record, page)
        if moved is None:
            return "running"
        if moved.fields["state"] == "running":
            self._announce(moved, job)
        else:
            _tell_the_end(job, moved.fields)
        return str(moved.fields["state"])

    def _move_on(self, record: Document, page: Page) -> Document | None:
        """Writes that the turn is done; None if another delivery of it has, which also announces the next."""
        turn = record.fields["turn"]
        for _ in range(_ROUNDS):
            try:
                return compare_and_set(self.documents, record.path, self._moved_on(record.fields, page), record)
            except ConflictError:
                # Perhaps only the note that this turn was published came between.
                found = self.documents.read(record.path)
                if found is None or found.fields["turn"] != turn:
                    return None
                record = found
        raise TransientError(f"`{record.path}` is contended; deliver again")

    def _job_of(self, body: Mapping[str, Any], message_id: str) -> str:
        """The job's name: given, or made from what is asked and from the message that asked it."""
        named = body.get("job")
        if named is not None:
            if not isinstance(named, str) or not is_document_id(named):
                raise PermanentError(f"`{named}` cannot name a job; use letters, digits and dashes")
            return named
        asked = json.dumps([self.kind, dict(body), message_id], sort_keys=True, default=str)
        return f"{self.kind}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"

    def _open(self, path: str, body: Mapping[str, Any]) -> Document:
        request = {key: value for key, value in body.items() if key not in {"job", "turn"}}
        fields = {
            "kind": self.kind,
            "state": "running",
            "request": request,
            "turn": 0,
            "cursor": "",
            "counts": {},
            "failures": [],
            "next_published": True,
            "started_at": self.now(),
            "updated_at": self.now(),
            "expires_at": None,
        }
        try:
            return compare_and_set(self.documents, path, fields, None)
        except ConflictError:
            found = self.documents.read(path)
            if found is None:
                raise TransientError(f"`{path}` came and went; deliver again") from None
            return found

    def _moved_on(self, fields: Mapping[str, Any], page: Page) -> dict[str, Any]:
        now = self.now()
        counts = dict(fields["counts"])
        for name, count in page.counts.items():
            counts[name] = counts.get(name, 0) + count
        turn = fields["turn"] + 1
        ongoing = "running" if turn < MOST_TURNS else "stopped: too many turns"
        state = "done" if page.next_cursor is None else ongoing
        return {
            **fields,
            "state": state,
            "turn": turn,
            "cursor": page.next_cursor or "",
            "counts": counts,
            "failures": [*fields["failures"], *page.failures][-_FAILURES_KEPT:],
            "next_published": state != "running",
            "updated_at": now,
            # Written even where there is none: a job that somebody sets going again must not expire on its way.
            "expires_at": now + self.keep_for if state == "done" else None,
        }

    def _announce(self, record: Document, job: str) -> None:
        self.publish(self.kind, {"job": job, "turn": record.fields["turn"]})
        try:
            compare_and_set(self.documents, record.path, {**record.fields, "next_published": True}, record)
        except ConflictError:
            # Whoever came between has moved the job on already.
            return


def _tell_the_end(job: str, fields: Mapping[str, Any]) -> None:
    """One line for each job, which alerts can be set on; a warning where somebody should look."""
    troubled = fields["state"] != "done" or bool(fields["failures"])
    level = logging.WARNING if troubled else logging.INFO
    counts = json.dumps(fields["counts"], sort_keys=True)
    logger.log(level, "job `%s` is %s, %d failures: %s", job, fields["state"], len(fields["failures"]), counts)
