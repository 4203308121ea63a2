"""What stands between callers and documents: the questions that the adapters ask before they read or write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from afterimage_emulator.firestore.documents.document_store import Database, StoredDocument
from afterimage_emulator.firestore.queries.query import Query
from afterimage_emulator.front.callers import Caller


@dataclass(frozen=True, slots=True)
class WriteAccess:
    """One write as rules see it: `method` is create, update or delete, or get for one that only verifies."""

    method: str
    path: str
    before: StoredDocument | None
    after: StoredDocument | None


class RulesGate(Protocol):
    """Every method returns for what is allowed and raises `StatusError(PERMISSION_DENIED)` for what is not."""

    def is_open_to(self, caller: Caller, database: Database) -> bool:
        """Whether everything is allowed: then nothing else is asked."""
        ...

    def check_get(self, caller: Caller, database: Database, path: str, document: StoredDocument | None) -> None: ...

    def check_query(self, caller: Caller, database: Database, query: Query) -> None: ...

    def check_writes(self, caller: Caller, database: Database, writes: Sequence[WriteAccess], time: int) -> None:
        """All writes of one commit, in order: look-ups `after` see the last of them."""
        ...

    def check_admin(self, caller: Caller, database: Database, method: str) -> None:
        """Methods that only admins may call."""
        ...

    def on_change(self, tell: Callable[[], None]) -> None:
        """`tell` is called whenever other rules are in force: what goes on has to be asked about again."""
        ...


class RulesControl(Protocol):
    """Loading rules and asking about them, as the control routes do; rules belong to a project."""

    def load(self, project: str, source: str, *, file_name: str) -> list[dict[str, Any]]:
        """The issues found; rules with errors are not taken."""
        ...

    def source(self, project: str) -> tuple[str, str]:
        """The name of the file and its text."""
        ...

    def coverage(self, project: str) -> dict[str, Any]: ...

    def coverage_text(self, project: str) -> str: ...
