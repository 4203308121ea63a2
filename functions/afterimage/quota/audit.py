"""Proves a user's account: heads, contents, uploads and the account of one moment, compared and put right.

Everything is read at one moment, so a difference is a fault and not somebody's commit in between. What is put right is
written on the condition that nothing of it has moved since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from afterimage.artifacts.collector import Collector
from afterimage.artifacts.contents import ContentState, content_in, content_write
from afterimage.artifacts.heads import head_in
from afterimage.artifacts.upload_documents import upload_in
from afterimage.paths import artifacts_path, blob_path, blobs_path, quota_path, uploads_path
from afterimage.quota.account import account_in, account_writes
from afterimage.store.documents import MOST_WRITES, ConflictError, Document, DocumentHistory, DocumentReader, Write

_PAGE: Final = 300
_ROUNDS: Final = 3
_REPAIRS_A_COMMIT: Final = MOST_WRITES - 10


@dataclass(frozen=True, kw_only=True, slots=True)
class QuotaReport:
    """What an audit found."""

    used_drift: int = 0
    reserved_drift: int = 0
    wrong_references: int = 0
    lost_contents: int = 0
    """Contents whose bytes were gone, though no event had told."""
    unclear: bool = False
    """Whether others moved what was to be put right, each time it was tried."""

    @property
    def is_clean(self) -> bool:
        return self == QuotaReport()


@dataclass(frozen=True, kw_only=True)
class QuotaAuditor:
    """Audits one user after the other."""

    store: DocumentHistory
    collector: Collector

    def audit(self, user: str, *, repair: bool = True) -> QuotaReport:
        lost = self._lost(user) if repair else 0
        for _ in range(_ROUNDS):
            report, writes = self._compared(user)
            report = replace(report, lost_contents=lost)
            if not writes or not repair:
                return report
            try:
                self.store.commit(writes)
            except ConflictError:
                continue
            return report
        return replace(report, unclear=True)

    def _lost(self, user: str) -> int:
        """Contents whose file is missing or another one: handled as the event that did not come."""
        bucket, files = self.collector.versions.contents.bucket, self.collector.versions.contents.files
        there = {file.name: file.generation for file in files.walk(bucket, f"{blobs_path(user)}/")}
        lost = 0
        for stored in _all(self.store, blobs_path(user)):
            content = content_in(stored)
            if content is not None and there.get(blob_path(user, content.digest)) != content.generation:
                lost += self.collector.lost_content(user, stored) not in {"not counted", "there", "known"}
        return lost

    def _compared(self, user: str) -> tuple[QuotaReport, list[Write]]:
        moment = self.store.frozen()
        references: Counter[str] = Counter()
        for stored in _all(moment, artifacts_path(user)):
            head = head_in(stored)
            references.update(entry.digest for entry in (head.versions if head else ()))
        writes: list[Write] = []
        used = wrong = 0
        for stored in _all(moment, blobs_path(user)):
            content = content_in(stored)
            if content is None:
                continue
            count = references.get(content.digest, 0)
            if content.references != count:
                wrong += 1
                if len(writes) < _REPAIRS_A_COMMIT:
                    content = replace(content, references=0, state=_without_references(content.state)).referred(count)
                    writes.append(content_write(user, content, stored))
            used += content.counted_bytes
        uploads = (upload_in(stored) for stored in _all(moment, uploads_path(user)))
        reserved = sum(upload.reserved_bytes for upload in uploads if upload is not None)
        quota = moment.read(quota_path(user))
        account = account_in(user, quota, self.collector.versions.quota_bytes)
        report = QuotaReport(
            used_drift=account.used_bytes - used,
            reserved_drift=account.reserved_bytes - reserved,
            wrong_references=wrong,
        )
        if report.used_drift or report.reserved_drift:
            moved = replace(account, used_bytes=used, reserved_bytes=reserved)
            moved = replace(moved, alert_level=moved.alert_due())
            writes += account_writes(account, moved, quota, self.collector.versions.now())
        return report, writes


def _without_references(state: ContentState) -> ContentState:
    """A content that is referred to has bytes, or had them; only those that are gone stay gone."""
    return ContentState.RELEASED if state is ContentState.STORED else state


def _all(reader: DocumentReader, collection: str) -> Iterator[Document]:
    after = ""
    while page := reader.page(collection, after, _PAGE):
        yield from page
        after = page[-1].id
