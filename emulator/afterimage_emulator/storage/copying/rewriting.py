"""Copies in several calls: how far each is, and the token that the next call shows."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Final

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock
from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.messages.customer_keys import check_customer_key
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.requests import Copy
from afterimage_emulator.storage.objects.store import ObjectStore

STEP_BYTES: Final = 1024 * 1024
TOKEN_SECONDS: Final = 7 * 24 * 3600


@dataclass(kw_only=True, slots=True)
class UnfinishedRewrite:
    """One copy under way. It stands on one generation of its source; what it is to become, it is told each time."""

    generation: int
    asked: str
    written_bytes: int
    started_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RewriteStep:
    """What one call did: `record` is the new object, once all is done."""

    written_bytes: int
    size: int
    token: str | None = None
    record: ObjectRecord | None = None


class Rewrites:
    """Bytes are shared, so that none are moved; the steps are those that production would take."""

    def __init__(self, *, store: ObjectStore, clock: Clock, touch: Touch = touch_nothing) -> None:
        self._touch = touch
        self._store = store
        self._clock = clock
        self._unfinished: dict[str, UnfinishedRewrite] = {}

    def reset(self) -> None:
        self._unfinished.clear()

    def find(self, token: str) -> UnfinishedRewrite | None:
        return self._unfinished.get(token)

    def adopt(self, token: str, begun: UnfinishedRewrite) -> None:
        """One that an earlier run of the suite had begun."""
        self._unfinished[token] = begun

    def step(self, request: Copy, *, token: str | None, step_bytes: int | None, asked: str) -> RewriteStep:
        """`asked` is the whole of what was asked; no call may change it."""
        if step_bytes is not None and (step_bytes < STEP_BYTES or step_bytes % STEP_BYTES):
            raise invalid(
                f"Invalid value for `maxBytesRewrittenPerCall`: `{step_bytes}` is no multiple of {STEP_BYTES}"
            )
        begun = None if token is None else self._begun(token, asked)
        if begun is not None:
            request = replace(request, source=replace(request.source, generation=begun.generation))
        source = self._store.read(request.source)
        check_customer_key(source, request.source_key)
        written = 0 if begun is None else begun.written_bytes
        size = source.blob.size
        if step_bytes is not None and self._moves_bytes(source, request) and written + step_bytes < size:
            self._store.check_upload(request.target)
            if token is None or begun is None:
                token = secrets.token_urlsafe(48)
                begun = UnfinishedRewrite(
                    generation=source.generation, asked=asked, written_bytes=0, started_ns=self._clock.now_ns()
                )
                self._unfinished[token] = begun
            begun.written_bytes += step_bytes
            self._touch(f"rewrite/{token}")
            return RewriteStep(written_bytes=begun.written_bytes, size=size, token=token)
        record = self._store.copy(request)
        if self._unfinished.pop(token or "", None) is not None:
            self._touch(f"rewrite/{token}")
        return RewriteStep(written_bytes=size, size=size, record=record)

    def _begun(self, token: str, asked: str) -> UnfinishedRewrite:
        self._forget_old()
        begun = self._unfinished.get(token)
        if begun is None:
            raise StorageError(
                Reason.NOT_FOUND, f"Rewrite token `{token[:100]}` does not exist; start the rewrite again without one"
            )
        if begun.asked != asked:
            raise invalid("The rewrite token belongs to a call that asked for something else; send what started it")
        return begun

    def _forget_old(self) -> None:
        oldest = self._clock.now_ns() - TOKEN_SECONDS * NANOS_PER_SECOND
        for token in [token for token, begun in self._unfinished.items() if begun.started_ns < oldest]:
            del self._unfinished[token]
            self._touch(f"rewrite/{token}")

    def _moves_bytes(self, source: ObjectRecord, request: Copy) -> bool:
        """Production rewrites bytes where the place or the class changes; everywhere else it only counts them."""
        here = self._store.bucket(source.bucket)
        there = self._store.bucket_or_none(request.target.bucket)
        location = "US" if there is None else there.location
        default = "STANDARD" if there is None else there.storage_class
        if request.source_key != request.target.metadata.customer_key_sha256:
            return True
        return (location, request.target.storage_class or default) != (here.location, source.storage_class)
