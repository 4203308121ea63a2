"""Making files public and taking them back, whatever order events come in.

The document of a publication is there exactly as long as its file is public: the origin reads it at each request, and
serves nothing without it. Nothing else needs to be asked. Taking back deletes it, and in the same commit notes that
caches are to forget it, so that no crash can leave one without the other.

How it holds against events in any order: what is written follows from mark and record as they are, never from what an
event says; and whoever has made something public looks at both again afterwards, so that a mark that was taken away
meanwhile is noticed by one of the two.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from afterimage.faults import TransientError
from afterimage.paths import (
    PUBLICATIONS,
    object_id,
    public_id,
    publication_path,
    published_mark_path,
    purge_path,
    records_of,
)
from afterimage.publications.publication import Mark, mark_in, may_be_public, publication_fields
from afterimage.publications.purge_notes import purge_note
from afterimage.store.documents import (
    ConflictError,
    ContendedError,
    Document,
    DocumentStore,
    Expect,
    Query,
    Remove,
    Replace,
    Where,
)

logger = logging.getLogger("afterimage.publications")
_ROUNDS: Final = 8


class PublicationOutcome(StrEnum):
    """How a look at a file ended."""

    PUBLIC = "public"
    PRIVATE = "private"
    """It is not public, and was not."""
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, kw_only=True)
class Publications:
    """Decides from marks and records what is public, and keeps the documents that say so."""

    documents: DocumentStore
    has_cdn: bool
    """Whether anything stands in front that must forget what is taken back."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def settle(self, owner: str, identifier: str) -> PublicationOutcome:
        """Makes one file public or takes it back, as its owner's mark and its record say now."""
        for _ in range(_ROUNDS):
            mark, record = self._read(owner, identifier)
            try:
                if record is None or mark is None or not may_be_public(record.fields, owner, mark):
                    return self._withdraw_others(owner, identifier, kept=None)
                self._publish(owner, identifier, record, mark)
                self._withdraw_others(owner, identifier, kept=mark.generation)
            except ConflictError:
                continue
            # Somebody who took the mark away while this was written has found nothing to take back.
            mark_now, record_now = self._read(owner, identifier)
            if mark_now == mark and record_now is not None and record_now.version == record.version:
                return PublicationOutcome.PUBLIC
        raise TransientError(f"`{published_mark_path(owner, identifier)}` is contended; deliver again")

    def follow(self, bucket: str, name: str, generation: int, owner: str | None) -> None:
        """The record of this generation was settled, or is gone: what is public of it follows.

        Nearly all files are published by nobody; for those it reads two documents that are not there.
        """
        identifier = object_id(bucket, name)
        paths = [publication_path(public_id(bucket, name, generation))]
        paths += [published_mark_path(owner, identifier)] if owner is not None else []
        publication, *mark = self.documents.read_many(paths)
        if publication is not None:
            self.settle(publication.fields["owner"], identifier)
        elif owner is not None and any(mark):
            self.settle(owner, identifier)

    def withdraw(self, publication: Document, reason: str) -> None:
        """Makes one file private, and notes that caches are to forget it; ConflictError if it has changed since."""
        removal = Remove(path=publication.path, expected=publication.version)
        self._commit([removal, *self._notes([publication], reason)])
        logger.info("withdrew `%s`: %s", publication.path, reason)

    def withdraw_all(self, owner: str, limit: int) -> int:
        """Takes back up to `limit` files of one user, whatever their marks say; returns how many were found."""
        found = self.documents.find(self._owned_by(owner, limit))
        if found:
            removals = [Remove(path=publication.path, expected=Expect.ANYTHING) for publication in found]
            self._commit([*removals, *self._notes(found, "its owner is erased")])
        return len(found)

    def _publish(self, owner: str, identifier: str, record: Document, mark: Mark) -> None:
        source = record.fields["source"]
        path = publication_path(public_id(source["bucket"], source["name"], record.fields["generation"]))
        fields = publication_fields(record.fields, owner, identifier, mark)
        found = self.documents.read(path)
        if found is not None and found.fields == fields:
            return
        writes: list[Replace | Remove] = [
            Replace(path=path, fields=fields, expected=found.version if found else Expect.ABSENT)
        ]
        if found is not None and set(found.fields["files"]) - set(fields["files"]):
            # An original that its owner shows no longer, or the files of a plan that was replaced.
            writes += self._notes([found], "less of it is published")
        # A note of an earlier withdrawal stays: it forgets too much, never too little.
        self._commit(writes)
        logger.info("`%s` is public", path)

    def _read(self, owner: str, identifier: str) -> tuple[Mark | None, Document | None]:
        own, shared = records_of(owner, identifier)
        mark, own_record, shared_record = self.documents.read_many(
            [published_mark_path(owner, identifier), own, shared]
        )
        return mark_in(mark.fields if mark else None), own_record or shared_record

    def _withdraw_others(self, owner: str, identifier: str, *, kept: int | None) -> PublicationOutcome:
        """Takes back what is public of a file but one generation: an earlier one's deletion may be on its way yet."""
        is_its = Where(field="object", comparison="==", value=identifier)
        outcome = PublicationOutcome.PRIVATE
        for found in self.documents.find(Query(collection=PUBLICATIONS, where=(is_its,), limit=100)):
            if found.fields["owner"] == owner and found.fields["generation"] != kept:
                self.withdraw(found, "not published by its owner")
                outcome = PublicationOutcome.WITHDRAWN
        return outcome

    def _owned_by(self, owner: str, limit: int) -> Query:
        return Query(collection=PUBLICATIONS, where=(Where(field="owner", comparison="==", value=owner),), limit=limit)

    def _notes(self, publications: list[Document], reason: str) -> list[Replace]:
        if not self.has_cdn:
            return []
        return [
            Replace(
                path=purge_path(publication.id),
                fields=purge_note(publication.id, reason, self.now()),
                expected=Expect.ANYTHING,
            )
            for publication in publications
        ]

    def _commit(self, writes: list[Replace | Remove]) -> None:
        try:
            self.documents.commit(writes)
        except ContendedError as error:
            raise ConflictError(str(error)) from error
