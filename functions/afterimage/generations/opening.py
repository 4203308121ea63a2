"""How a generation and its next versions begin: owned, numbered and paid for in one commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from afterimage.faults import TransientError
from afterimage.generations.budgets import BudgetChange, budget_writes, reserved_for
from afterimage.generations.faults import NoGenerationError, NotReadyError, NotTheirsError
from afterimage.generations.generator import Assignment, Generator, Mode
from afterimage.generations.project_files import MOST_PROJECT_BYTES
from afterimage.generations.records import MOST_VERSIONS, VersionKey, generation_fields, version_fields
from afterimage.ledger.prices.pricing import Prices
from afterimage.paths import budget_path, generation_path, opened_path, project_path
from afterimage.store.documents import (
    ConflictError,
    Document,
    DocumentStore,
    ErasedError,
    Expect,
    Replace,
    UncertainError,
    Write,
)

_ROUNDS: Final = 24
"""Each lost round means that somebody else's commit went through."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a caller asks for; `operation` names the request, and the same one begins nothing twice."""

    uid: str
    operation: str
    prompt: str
    mode: Mode


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Begins generations and versions."""

    documents: DocumentStore
    generator: Generator
    prices: Prices
    now: Callable[[], datetime]

    def generation(self, wish: Wish, project_id: str | None) -> VersionKey:
        """A new generation with its first version. A project belongs to its first owner, whatever id is sent."""
        key = VersionKey(uid=wish.uid, generation=f"g{wish.operation}", version=1)
        project = project_id or f"p{wish.operation}"
        path, owner_path = generation_path(wish.uid, key.generation), project_path(project)

        def attempt() -> VersionKey:
            begun, owned, budget = self.documents.read_many([path, owner_path, budget_path(wish.uid)])
            if begun is not None:
                return key
            if owned is not None and owned.fields.get("owner") != wish.uid:
                raise NotTheirsError(f"project `{project}` belongs to somebody else; name another, or none")
            now = self.now()
            reserved, writes = self._paid(key, wish, {}, budget, now)
            first = generation_fields(project_id=project, prompt=wish.prompt, mode=wish.mode, now=now)
            version = version_fields(
                project_id=project, version=1, parent=None, prompt=wish.prompt, mode=wish.mode, reserved=reserved,
                now=now,
            )  # fmt: skip
            if owned is None:
                fields = {"owner": wish.uid, "created_at": now}
                writes.append(Replace(path=owner_path, fields=fields, expected=Expect.ABSENT))
            writes.append(Replace(path=path, fields=first, expected=Expect.ABSENT))
            writes.append(Replace(path=key.path, fields=version, expected=Expect.ABSENT))
            self.documents.commit(writes)
            return key

        return _until_settled(attempt, path)

    def iteration(self, wish: Wish, generation: str) -> VersionKey:
        """The next version of a generation; numbers follow each other without a gap, however many ask at once."""
        path = generation_path(wish.uid, generation)
        opened = opened_path(wish.uid, generation, wish.operation)

        def attempt() -> VersionKey:
            head, before, budget = self.documents.read_many([path, opened, budget_path(wish.uid)])
            if before is not None:
                return VersionKey(uid=wish.uid, generation=generation, version=before.fields["version"])
            if head is None:
                raise NoGenerationError(f"you have no generation `{generation}`")
            parent = head.fields["current_version"]
            if parent is None:
                raise NotReadyError(f"generation `{generation}` has no finished version to go on from")
            number = head.fields["version"] + 1
            if number > MOST_VERSIONS:
                raise NotReadyError(f"generation `{generation}` has {MOST_VERSIONS} versions; begin another")
            key = VersionKey(uid=wish.uid, generation=generation, version=number)
            now = self.now()
            # At worst the whole project is read again.
            size = sum(file["bytes"] + len(file["path"]) for file in head.fields["files"])
            reserved, writes = self._paid(key, wish, {"everything": " " * min(size, MOST_PROJECT_BYTES)}, budget, now)
            fields = {**head.fields, "version": number, "status": "processing", "error": None, "updated_at": now}
            version = version_fields(
                project_id=head.fields["project_id"], version=number, parent=parent, prompt=wish.prompt,
                mode=wish.mode, reserved=reserved, now=now,
            )  # fmt: skip
            writes.append(Replace(path=path, fields=fields, expected=head.version))
            writes.append(Replace(path=key.path, fields=version, expected=Expect.ABSENT))
            writes.append(Replace(path=opened, fields={"version": number}, expected=Expect.ABSENT))
            self.documents.commit(writes)
            return key

        return _until_settled(attempt, path)

    def _paid(
        self, key: VersionKey, wish: Wish, files: dict[str, str], budget: Document | None, now: datetime
    ) -> tuple[int, list[Write]]:
        """What is reserved for the worst case, and the writes that reserve it."""
        if budget is None:
            return 0, []
        most = self.generator.most(Assignment(prompt=wish.prompt, mode=wish.mode, files=files))
        reserved = reserved_for(budget, most, self.prices, now)
        if not reserved:
            return 0, []
        return reserved, list(budget_writes(wish.uid, key.name, budget, BudgetChange(reserve=reserved), now))


def _until_settled(attempt: Callable[[], VersionKey], path: str) -> VersionKey:
    for _ in range(_ROUNDS):
        try:
            return attempt()
        except ErasedError:
            raise
        except (ConflictError, UncertainError):
            # Applied or not: the next round reads, and finds what this one has begun.
            continue
    raise TransientError(f"`{path}` is contended; ask again")
