"""publications.audit: finds what lost events have left public, or private, and puts it right.

Two walks after each other: everything that is public, and every mark. Each file is settled by the rules of an event,
so the audit may run while events are handled, and changes nothing where all is right.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from afterimage.jobs.faults import passed_over
from afterimage.jobs.progress import Page, Turn
from afterimage.paths import PUBLICATIONS, PUBLISHED, USER_RECORDS, parse_published_mark
from afterimage.publications.publications import Publications

PAGE: Final = 100


@dataclass(frozen=True, kw_only=True)
class PublicationAudit:
    """One turn; the cursor is `walk:position`."""

    publications: Publications
    page: int = PAGE

    def turn(self, turn: Turn) -> Page:
        walk, _, position = (turn.cursor or "public:").partition(":")
        counts: Counter[str] = Counter()
        failures: list[str] = []
        if walk == "public":
            found = self.publications.documents.page(PUBLICATIONS, position, self.page)
            for publication in found:
                with passed_over(publication.path, counts, failures):
                    fields = publication.fields
                    counts[str(self.publications.settle(fields["owner"], fields["object"]))] += 1
            following = f"public:{found[-1].id}" if len(found) == self.page else "marks:"
            return Page(next_cursor=following, counts=dict(counts), failures=tuple(failures))
        found = self.publications.documents.beneath(PUBLISHED, USER_RECORDS, after=position, limit=self.page)
        for mark in found:
            owner_and_file = parse_published_mark(mark.path)
            with passed_over(mark.path, counts, failures):
                if owner_and_file is not None:
                    counts[str(self.publications.settle(*owner_and_file))] += 1
        following_mark = f"marks:{found[-1].path}" if len(found) == self.page else None
        return Page(next_cursor=following_mark, counts=dict(counts), failures=tuple(failures))
