"""What an owner reads of generations: one, a page, those of a project, those still under way. Newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from afterimage.generations.faults import NoGenerationError
from afterimage.paths import generation_path, generations_path, project_path, version_path
from afterimage.store.documents import Document, DocumentStore, Query, Where


@dataclass(frozen=True, kw_only=True, slots=True)
class ListPlace:
    """Behind which generation a page begins."""

    created_at: datetime
    id: str


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The generations of one user. Nobody else's can be named: every path begins with the reader's own."""

    documents: DocumentStore
    uid: str

    def one(self, generation: str) -> Document:
        found = self.documents.read(generation_path(self.uid, generation))
        if found is None:
            raise NoGenerationError(f"you have no generation `{generation}`")
        return found

    def version(self, generation: str, version: int) -> Document | None:
        return self.documents.read(version_path(self.uid, generation, version))

    def page(self, behind: ListPlace | None, limit: int) -> Sequence[Document]:
        return self._find((), behind, limit)

    def in_project(self, project: str, behind: ListPlace | None, limit: int) -> Sequence[Document]:
        owned = self.documents.read(project_path(project))
        if owned is None or owned.fields.get("owner") != self.uid:
            raise NoGenerationError(f"you have no project `{project}`")
        return self._find((Where(field="project_id", comparison="==", value=project),), behind, limit)

    def active(self, behind: ListPlace | None, limit: int) -> Sequence[Document]:
        return self._find((Where(field="status", comparison="==", value="processing"),), behind, limit)

    def iterations(self, generation: str, below: int | None, limit: int) -> Sequence[Document]:
        """The versions of a generation, the newest first, below a number."""
        head = self.one(generation)
        last = (below if below is not None else int(head.fields["version"]) + 1) - 1
        numbers = range(last, max(0, last - limit), -1)
        found = self.documents.read_many([version_path(self.uid, generation, number) for number in numbers])
        return [version for version in found if version is not None]

    def _find(self, where: tuple[Where, ...], behind: ListPlace | None, limit: int) -> Sequence[Document]:
        return self.documents.find(
            Query(
                collection=generations_path(self.uid),
                where=where,
                order_by="created_at",
                descending=True,
                after_id=behind.id if behind else "",
                after_value=behind.created_at if behind else None,
                limit=limit,
            )
        )
