"""artifacts.cleanup and quota.audit: what one turn of each does.

The clean-up hands recorded events of the artifacts' triggers on once more, then walks through all uploads, contents and
stored files below `artifacts/`, each decided by the rules of an event, so that it may run while events are handled, and
twice. The audit goes from user to user; its request may name
one (`user`), and whether to put right what it finds (`repair`, default true).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from afterimage.artifacts.collector import Collector
from afterimage.delivery.dead_letters import DeadLetter, DeadLetters
from afterimage.delivery.events import DocumentEvent, decode_document_event, decode_object_event
from afterimage.jobs.faults import passed_over
from afterimage.jobs.ledger_jobs import Checked, Done, PerUser
from afterimage.jobs.progress import Page, Turn
from afterimage.ledger.book_documents import ids_in
from afterimage.paths import ARTIFACT_BLOBS, ARTIFACT_UPLOADS, ARTIFACTS, QUOTA
from afterimage.quota.audit import QuotaAuditor
from afterimage.store.documents import Document, DocumentStore

PAGE: Final = 100
ALERT_TRIGGERS: Final = frozenset({"quota_alert_written", "budget_alert_written"})
TRIGGERS_REPLAYED: Final = ALERT_TRIGGERS | {"artifact_finalized", "artifact_deleted", "artifact_archived"}


@dataclass(frozen=True, kw_only=True)
class ArtifactCleanup:
    """One turn; the cursor is `walk:position`."""

    collector: Collector
    letters: DeadLetters
    alert: Callable[[DocumentEvent], None]
    """What an alert's event is handed to."""
    page: int = PAGE

    def turn(self, turn: Turn) -> Page:
        walk, _, position = (turn.cursor or "letters:").partition(":")
        counts: Counter[str] = Counter()
        failures: list[str] = []
        if walk == "letters":
            position = self._letters(position, counts, failures)
            following = f"letters:{position}" if position else f"{ARTIFACT_UPLOADS}:"
        elif walk == ARTIFACT_UPLOADS:
            position = self._documents(ARTIFACT_UPLOADS, position, self.collector.upload, counts, failures)
            following = f"{ARTIFACT_UPLOADS}:{position}" if position else f"{ARTIFACT_BLOBS}:"
        elif walk == ARTIFACT_BLOBS:
            position = self._documents(ARTIFACT_BLOBS, position, self.collector.content, counts, failures)
            following = f"{ARTIFACT_BLOBS}:{position}" if position else "stored:"
        else:
            position = self._stored(position, counts, failures)
            following = f"stored:{position}" if position else ""
        return Page(next_cursor=following or None, counts=dict(counts), failures=tuple(failures))

    def _letters(self, after: str, counts: Counter[str], failures: list[str]) -> str:
        found = self.letters.open_letters(after=after, limit=self.page)
        for letter in found:
            if isinstance(letter, DeadLetter) and letter.trigger in TRIGGERS_REPLAYED:
                with passed_over(letter.key, counts, failures, count="letters failed again"):
                    self.letters.close(letter.key, self._handed_on(letter))
                    counts["letters closed"] += 1
        return found[-1].key if len(found) == self.page else ""

    def _handed_on(self, letter: DeadLetter) -> str:
        if letter.trigger in ALERT_TRIGGERS:
            self.alert(decode_document_event(letter.attributes, letter.raw_data()))
            return "announced"
        event, arrivals = decode_object_event(letter.attributes, letter.raw_data()), self.collector.arrivals
        handle = arrivals.finalized if letter.trigger == "artifact_finalized" else arrivals.deleted
        return str(handle(event.bucket, event.name, event.generation))

    def _documents(
        self,
        group: str,
        after: str,
        decide: Callable[[str, Document], str],
        counts: Counter[str],
        failures: list[str],
    ) -> str:
        found = self.collector.versions.documents.beneath(ARTIFACTS, group, after=after, limit=self.page)
        for stored in found:
            with passed_over(stored.path, counts, failures):
                counts[decide(stored.path.split("/")[1], stored)] += 1
        return found[-1].path if len(found) == self.page else ""

    def _stored(self, token: str, counts: Counter[str], failures: list[str]) -> str:
        contents = self.collector.versions.contents
        found = contents.files.page(contents.bucket, f"{ARTIFACTS}/", token, self.page)
        for file in found.files:
            with passed_over(file.name, counts, failures):
                counts[self.collector.file(file)] += 1
        return found.next_token


def quota_audit_job(auditor: QuotaAuditor) -> PerUser:
    """Every user who has an account, in the order of their ids."""
    return PerUser(
        name="quota.audit",
        store=auditor.store,
        work=_audited(auditor),
        options={"repair": bool},
        users=users_with_accounts,
    )


def users_with_accounts(store: DocumentStore, after: str, limit: int) -> list[str]:
    return ids_in(store, QUOTA, after, limit)


def _audited(auditor: QuotaAuditor) -> Checked:
    def audit(user: str, request: Mapping[str, Any], _carried: str, _is_over: Callable[[], bool]) -> Done:
        repair = request.get("repair", True)
        report = auditor.audit(user, repair=repair)
        failures = []
        if not report.is_clean:
            failures.append(
                f"{user}: {report.used_drift:+d} bytes used, {report.reserved_drift:+d} reserved, "
                f"{report.wrong_references} wrong references, {report.lost_contents} contents lost"
                + ("; others moved it meanwhile, it is left to the next audit" if report.unclear else "")
            )
        is_repaired = repair and not report.unclear and not report.is_clean
        counts = {"clean": int(report.is_clean), "repaired": int(is_repaired), "contents lost": report.lost_contents}
        return Done(counts=counts, failures=failures)

    return audit
