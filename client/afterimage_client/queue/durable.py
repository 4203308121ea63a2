"""The durable queue: what is put in, taken out to run, done, failed, brought back; every step one transaction.

It knows nothing of Firebase. Whoever enqueues in a transaction of the same database, or completes in one, has state and
its record commit together.
"""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

from afterimage_client.database.clock import Clock
from afterimage_client.database.encoding import Encoding
from afterimage_client.database.file import Database, FileTransaction, Row
from afterimage_client.database.sealing import Sealer
from afterimage_client.queue.entries import (
    AfterFailure,
    Entry,
    EntryStatus,
    QueueStats,
    after_failed_attempt,
    waiting_between,
)
from afterimage_client.queue.owners import Owner

_COLUMNS: Final = (
    "id, kind, key, payload, priority, status, attempts, waits, due, progress, reason, idempotency_key, owner, created"
)
_AT_ONCE: Final = 500
_IDS: Final = "(SELECT value FROM json_each(?))"
_HELD: Final = f"SELECT id FROM queue WHERE status = 'in_progress' AND owner = ? AND id IN {_IDS}"


class DurableQueue:
    """A queue in a table. `notify` callbacks hear of work that may be ready, after its transaction is committed."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock | None = None,
        chance: random.Random | None = None,
        encoding: Encoding | None = None,
        sealer: Sealer | None = None,
    ) -> None:
        self.database = database
        self.clock = clock or Clock()
        self._chance = chance or random.Random()
        self._encoding = encoding or Encoding()
        self._sealer = sealer or Sealer()
        self._owner = Owner(database.path)
        self._listeners: list[Callable[[], None]] = []
        self.take_back()

    def close(self) -> None:
        """Gives back what this queue has taken and not finished."""
        try:
            with self.database.transaction() as transaction:
                self._give_back(transaction, self._owner.name)
        finally:  # a full disk keeps nobody from seeing that this owner is gone
            self._owner.close()

    def notify(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def forget(self, listener: Callable[[], None]) -> None:
        self._listeners.remove(listener)

    # -- putting in

    def enqueue(
        self,
        kind: str,
        key: str,
        payload: Any = None,
        *,
        priority: int = 0,
        idempotency_key: str | None = None,
        keep: bool = False,
    ) -> int:
        """Puts an entry in and returns its id; one with an `idempotency_key` that is known already is that entry.

        `keep` leaves the entry in the table as `completed` when it is done.
        """
        with self.database.transaction() as transaction:
            if idempotency_key is not None:
                known = transaction.row("SELECT id FROM queue WHERE idempotency_key = ?", (idempotency_key,))
                if known is not None:
                    return int(known[0])
            earlier = transaction.row("SELECT 1 FROM queue WHERE key = ? AND status != 'completed' LIMIT 1", (key,))
            chosen = idempotency_key or secrets.token_hex(16)
            return self._put(transaction, kind, key, payload, chosen, priority, is_first=earlier is None, keep=keep)

    def enqueue_once(self, kind: str, key: str, payload: Any = None, *, priority: int = 0) -> None:
        """Puts an entry in, unless one of this kind and key waits already: it will see the newest state."""
        with self.database.transaction() as transaction:
            # True where one waits, False where there are others of the key, no row where there is none.
            found = transaction.row(
                "SELECT kind = ? AND status = 'pending' AS waits FROM queue WHERE key = ? AND status != 'completed'"
                " ORDER BY waits DESC LIMIT 1",
                (kind, key),
            )
            if found is None or not found[0]:
                chosen = secrets.token_hex(16)
                self._put(transaction, kind, key, payload, chosen, priority, is_first=found is None, keep=False)

    def enqueue_if_none(self, kind: str, keys: Collection[str]) -> None:
        """Puts an entry in for each key of which none of this kind waits, runs or is dead."""
        if not keys:
            return
        with self.database.transaction() as transaction:
            live = {
                key
                for (key,) in transaction.rows(
                    f"SELECT key FROM queue WHERE key IN ({_marks(keys)}) AND kind = ? AND status != 'completed'",
                    (*keys, kind),
                )
            }
            for key in dict.fromkeys(keys):
                if key not in live:
                    self.enqueue(kind, key)

    # -- running

    def take(
        self,
        kinds: Collection[str],
        *,
        limit: int = 1,
        up_to: int | None = None,
        early: bool = False,
        without: Collection[int] = (),
    ) -> list[Entry]:
        """Takes entries to run, the most urgent first; they are this queue's until it completes or fails them.

        `early` takes those too whose back-off has not run out; `up_to` takes only ids up to that one, `without` none of
        these.
        """
        with self.database.transaction() as transaction:
            found = transaction.rows(
                f"SELECT {_COLUMNS} FROM queue WHERE ready = 1 AND status = 'pending'"
                " AND (due NOT BETWEEN ? AND ? OR ?)"
                f" AND kind IN ({_marks(kinds)}) AND id <= ? AND id NOT IN {_IDS}"
                " ORDER BY priority DESC, id LIMIT ?",
                (*waiting_between(self.clock.now()), int(early), *kinds, up_to or 2**62, _ids(without), limit),
            )
            transaction.execute(
                f"UPDATE queue SET status = 'in_progress', owner = ? WHERE id IN {_IDS}",
                (self._owner.name, _ids(row[0] for row in found)),
            )
        return [self._entry(row, status=EntryStatus.IN_PROGRESS, owner=self._owner.name) for row in found]

    def complete(self, *entries: Entry) -> None:
        """The entries are done, the next of their keys may run. It is part of a transaction of the caller's."""
        with self.database.transaction() as transaction:
            self._must_hold(transaction, entries)
            ids = _ids(entry.id for entry in entries)
            transaction.execute(f"DELETE FROM queue WHERE keep = 0 AND id IN {_IDS}", (ids,))
            transaction.execute(
                "UPDATE queue SET status = 'completed', ready = 0, progress = 100, owner = '', reason = ''"
                f" WHERE id IN {_IDS}",
                (ids,),
            )
            self._make_ready(transaction, {entry.key for entry in entries})

    def fail(self, entry: Entry, error: BaseException) -> AfterFailure:
        """The attempt failed; the entry waits for the next one, or is a dead letter."""
        after = after_failed_attempt(entry, error, now=self.clock.now(), chance=self._chance)
        with self.database.transaction() as transaction:
            self._must_hold(transaction, [entry])
            transaction.execute(
                "UPDATE queue SET status = ?, attempts = ?, waits = ?, due = ?, reason = ?, owner = '' WHERE id = ?",
                (after.status.value, after.attempts, after.waits, after.due, after.reason, entry.id),
            )
            transaction.after_commit(self._tell)
        return after

    def give_back(self, *entries: Entry) -> None:
        """The attempt was called off; the entries may run again at once, and none is counted."""
        with self.database.transaction() as transaction:
            transaction.execute(
                f"UPDATE queue SET status = 'pending', owner = '' WHERE owner = ? AND id IN {_IDS}",
                (self._owner.name, _ids(entry.id for entry in entries)),
            )
            transaction.after_commit(self._tell)

    def hurry(self, kinds: Collection[str]) -> None:
        """What waits because nobody could be reached waits no longer."""
        with self.database.transaction() as transaction:
            transaction.execute(
                f"UPDATE queue SET due = 0 WHERE status = 'pending' AND waits > 0 AND kind IN ({_marks(kinds)})",
                tuple(kinds),
            )

    def is_held(self, entry: Entry) -> bool:
        return bool(self.held([entry]))

    def held(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those that still run here: a performer may have ended others in a transaction of its own."""
        asked = list(entries)
        rows = self.database.rows(_HELD, (self._owner.name, _ids(entry.id for entry in asked)))
        ids = {entry_id for (entry_id,) in rows}
        return [entry for entry in asked if entry.id in ids]

    def report_progress(self, entry: Entry, percent: int) -> None:
        with self.database.transaction() as transaction:
            self._must_hold(transaction, [entry])
            transaction.execute("UPDATE queue SET progress = ? WHERE id = ?", (min(max(percent, 0), 100), entry.id))

    def take_back(self) -> int:
        """Entries of owners that have ended are pending again; returns how many."""
        owners = self.database.rows("SELECT DISTINCT owner FROM queue WHERE status = 'in_progress'")
        gone = [name for (name,) in owners if self._owner.is_gone(name)]
        if not gone:
            return 0
        with self.database.transaction() as transaction:
            return sum(self._give_back(transaction, name) for name in gone)

    # -- dead letters

    def dead_letters(self) -> list[Entry]:
        return self._entries("status = 'failed' ORDER BY id")

    def retry(self, entry_id: int) -> bool:
        """Gives a dead letter its attempts again; False where there is none of this id."""
        with self.database.transaction() as transaction:
            cursor = transaction.execute(
                "UPDATE queue SET status = 'pending', attempts = 0, waits = 0, due = 0"
                " WHERE id = ? AND status = 'failed'",
                (entry_id,),
            )
            transaction.after_commit(self._tell)
            return cursor.rowcount == 1

    def discard(self, entry_id: int) -> bool:
        """Removes an entry that does not run; the next of its key may. False where there is none, or it runs."""
        with self.database.transaction() as transaction:
            row = transaction.row(
                "SELECT key FROM queue WHERE id = ? AND status IN ('pending', 'failed', 'completed')", (entry_id,)
            )
            if row is None:
                return False
            transaction.execute("DELETE FROM queue WHERE id = ?", (entry_id,))
            self._make_ready(transaction, [row[0]])
            return True

    def discard_key(self, key: str, kind: str) -> int:
        """Removes what waits or is dead of one key and kind; returns how many."""
        with self.database.transaction() as transaction:
            cursor = transaction.execute(
                "DELETE FROM queue WHERE key = ? AND kind = ? AND status IN ('pending', 'failed')", (key, kind)
            )
            self._make_ready(transaction, [key])
            return cursor.rowcount

    def forget_completed(self, before: float) -> int:
        """Removes entries that were kept when they were done; returns how many."""
        with self.database.transaction() as transaction:
            return transaction.execute(
                "DELETE FROM queue WHERE status = 'completed' AND created < ?", (before,)
            ).rowcount

    # -- looking

    def get(self, entry_id: int) -> Entry | None:
        found = self._entries("id = ?", (entry_id,))
        return found[0] if found else None

    def entries(self, *, kinds: Sequence[str] = (), key: str | None = None) -> list[Entry]:
        wanted = [f"kind IN ({_marks(kinds)})"] if kinds else []
        wanted += ["key = ?"] if key is not None else []
        return self._entries(
            " AND ".join(wanted or ["1"]) + " ORDER BY id", (*kinds, *([key] if key is not None else []))
        )

    def stats(self) -> QueueStats:
        counts: dict[str, int] = dict(self.database.rows("SELECT status, count(*) FROM queue GROUP BY status"))
        blocked = self.database.row("SELECT count(*) FROM queue WHERE status = 'pending' AND ready = 0")
        oldest = self.database.row("SELECT min(created) FROM queue WHERE status IN ('pending', 'in_progress')")
        kinds = self.database.rows(
            "SELECT kind, count(*) FROM queue WHERE status IN ('pending', 'in_progress') GROUP BY kind"
        )
        return QueueStats(
            **{status.value: int(counts.get(status.value, 0)) for status in EntryStatus},
            blocked=int(blocked[0]) if blocked else 0,
            oldest=oldest[0] if oldest else None,
            by_kind=dict(kinds),
        )

    def newest_id(self) -> int:
        found = self.database.row("SELECT coalesce(max(id), 0) FROM queue")
        return int(found[0]) if found else 0

    def next_due(self, kinds: Collection[str]) -> float | None:
        """When the next entry may run; None where none is waiting."""
        found = self.database.row(
            "SELECT min(CASE WHEN due BETWEEN ? AND ? THEN due ELSE 0 END) FROM queue"
            f" WHERE ready = 1 AND status = 'pending' AND kind IN ({_marks(kinds)})",
            (*waiting_between(self.clock.now()), *kinds),
        )
        return None if found is None else found[0]

    def check_invariants(self) -> list[str]:
        """Every fault of the table, named; an empty list is a sound queue."""
        faults = []
        seen: set[str] = set()
        for entry_id, key, status, ready, owner in self.database.rows(
            "SELECT id, key, status, ready, owner FROM queue ORDER BY id"
        ):
            if (status == EntryStatus.IN_PROGRESS) != bool(owner):
                faults.append(f"entry {entry_id} is `{status}` and owned by `{owner}`")
            if status == EntryStatus.COMPLETED:
                if ready:
                    faults.append(f"entry {entry_id} is completed and ready")
                continue
            if bool(ready) != (key not in seen):
                faults.append(
                    f"entry {entry_id} of `{key}` is {'ready though not' if ready else 'not ready though'} the first"
                )
            if status == EntryStatus.IN_PROGRESS and key in seen:
                faults.append(f"entry {entry_id} runs before an earlier one of `{key}`")
            seen.add(key)
        return faults

    # -- inside

    def _put(
        self,
        transaction: FileTransaction,
        kind: str,
        key: str,
        payload: Any,
        idempotency_key: str,
        priority: int,
        *,
        is_first: bool,
        keep: bool,
    ) -> int:
        if not (isinstance(kind, str) and kind and isinstance(key, str) and key and type(priority) is int):
            raise ValueError(
                f"an entry of kind {kind!r}, key {key!r} and priority {priority!r}: give texts and a number"
            )
        sealed = self._sealer.seal(self._encoding.encode(payload), f"queue|{idempotency_key}")
        cursor = transaction.execute(
            "INSERT INTO queue (kind, key, payload, priority, status, ready, idempotency_key, keep, created)"
            " VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?)",
            (kind, key, sealed, priority, int(is_first), idempotency_key, int(keep), self.clock.now()),
        )
        transaction.after_commit(self._tell)
        return int(cursor.lastrowid or 0)

    def _entries(self, where: str, parameters: Sequence[Any] = ()) -> list[Entry]:
        return [
            self._entry(row) for row in self.database.rows(f"SELECT {_COLUMNS} FROM queue WHERE {where}", parameters)
        ]

    def _entry(self, row: Row, *, status: EntryStatus | None = None, owner: str | None = None) -> Entry:
        payload = self._encoding.decode(self._sealer.open(row[3], f"queue|{row[11]}"))
        return Entry(
            id=row[0],
            kind=row[1],
            key=row[2],
            payload=payload,
            priority=row[4],
            status=status or EntryStatus(row[5]),
            attempts=row[6],
            waits=row[7],
            due=row[8],
            progress=row[9],
            reason=row[10],
            idempotency_key=row[11],
            owner=row[12] if owner is None else owner,
            created=row[13],
        )

    def _must_hold(self, transaction: FileTransaction, entries: Sequence[Entry]) -> None:
        held = {row[0] for row in transaction.rows(_HELD, (self._owner.name, _ids(entry.id for entry in entries)))}
        for entry in entries:
            if entry.id not in held:
                raise RuntimeError(f"entry {entry.id} of `{entry.key}` is not held here: take it before you end it")

    def _make_ready(self, transaction: FileTransaction, keys: Collection[str]) -> None:
        several = list(keys)
        for start in range(0, len(several), _AT_ONCE):
            part = several[start : start + _AT_ONCE]
            transaction.execute(
                "UPDATE queue SET ready = 1 WHERE ready = 0 AND id IN (SELECT min(id) FROM queue"
                f" WHERE key IN ({_marks(part)}) AND status != 'completed' GROUP BY key)",
                part,
            )
        transaction.after_commit(self._tell)

    def _give_back(self, transaction: FileTransaction, owner: str) -> int:
        cursor = transaction.execute(
            "UPDATE queue SET status = 'pending', owner = '' WHERE status = 'in_progress' AND owner = ?", (owner,)
        )
        transaction.after_commit(self._tell)
        return cursor.rowcount

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()


def _ids(ids: Iterable[int]) -> str:
    """One parameter for any number of ids, where a list of marks would have an end."""
    return json.dumps(list(ids))


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
