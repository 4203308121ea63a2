"""Tasks of one machine: put into the queue in the transaction of what they follow from, and done at least once.

| kind | what it does | once, because |
|---|---|---|
| generate | works on a version | the version itself says how far it has come |
| arrived | makes a version of an upload that has come | the upload's document is closed in the same commit |
| book | enters what an output cost into its user's books | the books know which version of it they have |
| job | gives a job its turn | the job's document holds the turn that is due |
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from afterimage.api.services import no_jobs
from afterimage.faults import TransientError
from afterimage.generations.records import VersionKey
from afterimage.jobs.progress import Jobs
from afterimage.paths import (
    GENERATION_VERSIONS,
    USERS,
    parse_alert,
    parse_artifact_file,
    parse_version,
)
from afterimage.store.documents import Change, Where
from afterimage_client.database import FileTransaction
from afterimage_client.queue import DurableQueue, Entry, PostponedError
from afterimage_server.store.erasures import user_of_document
from afterimage_server.store.folder_files import FileChanged
from afterimage_server.store.local_documents import DocumentChanged
from afterimage_server.store.machine_folder import MachineFolder
from afterimage_server.work.bookkeeping import BOOK
from afterimage_server.work.machine_jobs import ERASE, MachineJobs

logger = logging.getLogger("afterimage_server.work")
GENERATE: Final = "generate"
ARRIVED: Final = "arrived"
JOB: Final = "job"
MOST_ATTEMPTS: Final = 4
"""As many as the queue makes."""


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """What the queue of one machine holds, and who does it."""

    folder: MachineFolder
    queue: DurableQueue
    jobs: MachineJobs

    # -- putting in

    def enqueue_version(self, key: VersionKey) -> None:
        """Hands a version to the queue; one that is there already stays as it is."""
        payload = {"uid": key.uid, "generation": key.generation, "version": key.version}
        with self.queue.database.transaction():
            if not any(entry.kind == GENERATE for entry in self.queue.entries(kinds=[GENERATE], key=key.path)):
                self.queue.enqueue(GENERATE, key.path, payload, priority=5)

    def publish_asked(self, topic: str, body: Mapping[str, Any]) -> None:
        """A message that the API was asked to send; ApiError for a job that one machine does not have."""
        if topic in self.jobs.works(self.enqueue_version):
            self.publish(topic, body)
        else:
            no_jobs(topic, body)

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        """Hands a job's message to the queue; a message that waits already is the same one."""
        name = f"{topic}/{body.get('job', '')}/{body.get('turn', 0)}"
        with self.queue.database.transaction():
            if not self.queue.entries(kinds=[JOB], key=name):
                self.queue.enqueue(JOB, name, {"topic": topic, "body": dict(body)})

    def file_changed(self, _transaction: FileTransaction, change: FileChanged) -> None:
        """In the transaction that lays an upload down: whatever happens then, it is looked at."""
        after = change.after
        place = parse_artifact_file(change.name)
        if after is not None and place is not None and place.is_upload:
            payload = {"bucket": after.bucket, "name": after.name, "generation": after.generation}
            self.queue.enqueue(ARRIVED, f"file|{after.bucket}/{after.name}", payload, priority=10)

    def documents_changed(self, transaction: FileTransaction, changes: Sequence[DocumentChanged]) -> None:
        self.jobs.bookkeeping.documents_changed(transaction, changes)
        for change in changes:
            about, after, before = parse_alert(change.path), change.after or {}, change.before or {}
            if about is not None and after.get("state") == "raised" and before.get("state") != "raised":
                said = f"user `{about[1]}` has reached {after.get('level')} % of what `{about[0]}` allows"
                transaction.after_commit(partial(logger.warning, "%s", said))

    # -- doing

    def performers(self) -> Mapping[str, Callable[[Entry], Awaitable[None]]]:
        return {kind: _in_a_thread(do) for kind, do in self.handlers().items()}

    def handlers(self) -> Mapping[str, Callable[[Entry], object]]:
        doing = {GENERATE: self._generate, ARRIVED: self._arrived, BOOK: self.jobs.bookkeeping.book, JOB: self._turn}
        return {kind: partial(self._as_work, do) for kind, do in doing.items()}

    def release_claims(self) -> int:
        """Puts down what workers of a process that is gone had taken up; only for one who is alone in the folder."""
        under_way = (Where(field="status", comparison="==", value="processing"),)
        released, after = 0, ""
        documents = self.folder.documents
        while found := documents.beneath(USERS, GENERATION_VERSIONS, where=under_way, after=after, limit=100):
            after = found[-1].path
            for version in found:
                if version.fields.get("claimed_until") is not None:
                    documents.commit([Change(path=version.path, put={"claimed_until": None}, expected=version.version)])
                    released += 1
                parts = parse_version(version.path)
                if parts is not None:
                    self.enqueue_version(VersionKey(uid=parts[0], generation=parts[1], version=parts[2]))
        return released

    def _as_work(self, do: Callable[[Entry], object], entry: Entry) -> None:
        with self.folder.erasures.work():
            do(entry)

    def _generate(self, entry: Entry) -> None:
        said = entry.payload
        key = VersionKey(uid=said["uid"], generation=said["generation"], version=said["version"])
        workshop = self.jobs.workshop()
        try:
            logger.info("`%s`: %s", key.path, workshop.work(key))
        except TransientError as error:
            if entry.attempts + 1 < MOST_ATTEMPTS:
                raise
            logger.warning("`%s` is given up: %s; %s", key.path, error, workshop.give_up(key, str(error)))

    def _arrived(self, entry: Entry) -> None:
        said = entry.payload
        arrival = self.jobs.collector().arrivals.finalized(said["bucket"], said["name"], said["generation"])
        logger.info("`%s`: %s", said["name"], arrival)

    def _turn(self, entry: Entry) -> None:
        topic, body = entry.payload["topic"], entry.payload["body"]
        work = self.jobs.works(self.enqueue_version)[topic]
        keep_for = self.jobs.settings.keep_finished_for
        jobs = Jobs(kind=topic, documents=self.folder.documents, publish=self.publish, keep_for=keep_for)
        try:
            state = jobs.receive(body, entry.idempotency_key, work())
        except TransientError as error:
            if topic != ERASE:
                raise
            # However long Google is not there or somebody reads: no attempt is counted, and none is given up.
            raise PostponedError(str(error)) from error
        logger.debug("%s: %s", topic, state)


def forget_letters(queue: DurableQueue, user: str) -> None:
    """Lets go of dead letters about a user who is erased: nobody can make good what they tell of."""
    for letter in queue.dead_letters():
        if _user_of(letter) == user:
            queue.discard(letter.id)


def _user_of(entry: Entry) -> str | None:
    """Whose version, upload or output an entry is about; None for what is nobody's, and for what the cloud has yet."""
    if entry.kind == GENERATE:
        return str(entry.payload["uid"])
    if entry.kind == ARRIVED:
        place = parse_artifact_file(entry.payload["name"])
        return place.user if place is not None else None
    return user_of_document(entry.key) if entry.kind == BOOK else None


def _in_a_thread(do: Callable[[Entry], object]) -> Callable[[Entry], Awaitable[None]]:
    async def perform(entry: Entry) -> None:
        await asyncio.to_thread(do, entry)

    return perform
