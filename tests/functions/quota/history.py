"""Owns a long mixed history of saved files: users act, events go astray, processes die, and the oracle is asked."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from afterimage.artifacts.refusals import RefusedError
from afterimage.artifacts.uploads import Announced
from afterimage.faults import TransientError
from afterimage.quota.audit import QuotaAuditor
from afterimage.quota.cleanup import Cleanup, CleanupOptions
from afterimage.store.documents import ConflictError, UncertainError
from afterimage.store.files import StoredFile
from tests.functions.artifacts.desk import BUCKET, Desk
from tests.functions.media_world import Crash

USERS = ("ana", "борис", "chen")


@dataclass
class History:
    """One world of events, decided by a seed."""

    seed: int
    faults: float = 0.05
    desk: Desk = field(init=False)
    events: int = 0
    open: list[tuple[str, Announced, bytes]] = field(default_factory=list)
    waiting: list[Callable[[], object]] = field(default_factory=list)
    """Deliveries that are still to come, some more than once."""

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.desk = Desk(room=3_000, dice=random.Random(self.seed), pack_from=150)
        self.auditor = QuotaAuditor(store=self.desk.store, collector=self.desk.collector)
        self.desk.store.before = self.desk.uploads.before = self._before
        self.desk.store.after = self._after

    def run(self, events: int) -> None:
        """So many things happen, one after the other, and each may fail half-way or come again later."""
        while self.events < events:
            self.events += 1
            self._whatever_comes(self._deed())

    def settle(self) -> None:
        """No more faults: what is waiting is delivered, time passes, and the clean-up runs."""
        self.faults = 0.0
        while self.waiting:
            self._whatever_comes(self.waiting.pop(self.dice.randrange(len(self.waiting))))
        self.desk.pass_time(days=4)
        for _ in range(2):
            self.desk.clean_up()

    def _whatever_comes(self, deed: Callable[[], object]) -> None:
        try:
            deed()
        except (RefusedError, TransientError, Crash, ConflictError):
            # Refused, or ended by a fault; an event would be delivered again, and a client would ask again.
            if self.faults and self.dice.random() < 0.5:
                self.waiting.append(deed)

    def _deed(self) -> Callable[[], object]:
        user, dice = self.dice.choice(USERS), self.dice
        data = b"%d\n" % dice.randrange(25) * dice.randrange(1, 60)
        files = self._files(user)
        kind = dice.random()
        if kind < 0.30 or not files:
            file = dice.choice(files) if files and kind < 0.25 else None
            save = f"{self.seed}/{self.events}"
            return partial(
                self.desk.save, data, user=user, file=file, save=save,
                auto_save=kind < 0.1, create_version=dice.random() < 0.5,
            )  # fmt: skip
        file = dice.choice(files)
        if kind < 0.45:
            return partial(self._announce, user, data)
        if kind < 0.60 and self.open:
            return partial(self._send, *self.open.pop(dice.randrange(len(self.open))))
        if kind < 0.75 and self.waiting:
            return self.waiting.pop(dice.randrange(len(self.waiting)))
        if kind < 0.80:
            number = dice.choice(self.desk.library.head(user, file).versions).number if not self.faults else 1
            return partial(self.desk.library.pin, user, file, number, is_pinned=dice.random() < 0.6)
        if kind < 0.84:
            return partial(
                self.desk.library.revert, user, file, dice.randrange(1, 5), save=f"r{self.seed}/{self.events}"
            )
        if kind < 0.88:
            return partial(self.desk.library.remove, user, file)
        if kind < 0.91:
            return partial(self._clean, user)
        if kind < 0.93:
            return self._somebody_deletes
        if kind < 0.96:
            return partial(self.desk.pass_time, minutes=dice.randrange(1, 600))
        return self.desk.clean_up if dice.random() < 0.2 else partial(self.desk.library.archive, user, file)

    def _announce(self, user: str, data: bytes) -> None:
        size = len(data) + (self.dice.random() < 0.1)
        announced = self.desk.announce(size, user=user)
        if announced.link is not None:
            self.open.append((user, announced, data))

    def _send(self, user: str, announced: Announced, data: bytes) -> None:
        """The bytes arrive, and their event comes once, twice, much later, or never."""
        if self.dice.random() < 0.1 and announced.upload is not None:
            self.desk.uploading.cancel(user, announced.upload.id)
        file = self.desk.send(announced, data, user)
        self._delivered(partial(self.desk.tell, file))

    def _somebody_deletes(self) -> None:
        """An operator, by hand, in the bucket; sometimes stores it again."""
        found = [key for key in self.desk.uploads.files if "/blobs/" in key[1]]
        if not found:
            return
        file, data = self.desk.uploads.files.pop(self.dice.choice(found))
        self._delivered(partial(self.desk.arrivals.deleted, BUCKET, file.name, file.generation))
        if self.dice.random() < 0.3 and not file.content_encoding:
            stored: StoredFile = self.desk.uploads.put(BUCKET, file.name, data, content_type=file.content_type)
            self._delivered(partial(self.desk.tell, stored))

    def _delivered(self, event: Callable[[], object]) -> None:
        self.waiting += [event] * self.dice.choice([1, 1, 1, 2, 3])

    def _clean(self, user: str) -> None:
        cleanup, options = Cleanup(library=self.desk.library), CleanupOptions(older_than_days=0, keep_newest=2)
        cleanup.run(user, options, cleanup.plan(user, options).name)

    def _files(self, user: str) -> list[str]:
        start = f"artifacts/{user}/files/"
        return sorted(
            p.rpartition("/")[2] for p in self.desk.store.documents if p.startswith(start) and p.count("/") == 3
        )

    def _before(self, call: str) -> None:
        if self.faults and self.dice.random() < self.faults / 4:
            raise Crash if self.dice.random() < 0.3 else UncertainError(call)

    def _after(self, call: str) -> None:
        if call == "commit" and self.faults and self.dice.random() < self.faults:
            # Applied, and the answer lost, or the process dead behind it.
            raise Crash if self.dice.random() < 0.3 else UncertainError(call)

    def drift(self) -> list[str]:
        """What the account and the audit disagree on, user by user; and whatever does not agree with the stores."""
        found = []
        for user in USERS:
            report = self.auditor.audit(user, repair=False)
            if report.used_drift or report.reserved_drift or report.wrong_references:
                found.append(f"{user}: {report}")
        return found
