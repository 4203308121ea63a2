"""HMAC keys: made, listed, switched off and deleted as Cloud Storage has them."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, replace
from typing import Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.storage.errors import Reason, StorageError, condition_not_met, invalid
from afterimage_emulator.storage.objects.records import etag_of

KEYS_OF_AN_ACCOUNT: Final = 10
_BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_STATES: Final = ("ACTIVE", "INACTIVE")


@dataclass(frozen=True, kw_only=True, slots=True)
class HmacKey:
    """One key. `state` is ACTIVE, INACTIVE or DELETED; times are nanoseconds since the epoch."""

    access_id: str
    secret: str
    project: str
    email: str
    state: str
    version: int
    created_ns: int
    updated_ns: int

    @property
    def etag(self) -> str:
        return etag_of(None, self.version)


class HmacKeys:
    """All projects' keys, deleted ones included: they stay readable."""

    def __init__(self, *, clock: Clock, touch: Touch = touch_nothing) -> None:
        self._touch = touch
        self._clock = clock
        self._keys: dict[str, HmacKey] = {}

    def reset(self) -> None:
        self._keys.clear()

    def create(self, project: str, email: str) -> HmacKey:
        if "@" not in email or len(email) > 254 or not email.isascii():
            raise invalid(f"Invalid value for `serviceAccountEmail`: `{email}` is no service account's address")
        kept = [key for key in self._keys.values() if key.email == email and key.state != "DELETED"]
        if len(kept) >= KEYS_OF_AN_ACCOUNT:
            raise invalid(f"`{email}` has {KEYS_OF_AN_ACCOUNT} HMAC keys; delete one before making another")
        now = self._clock.now_ns()
        key = HmacKey(
            access_id="GOOG1E" + "".join(secrets.choice(_BASE32) for _ in range(55)),
            secret=base64.b64encode(secrets.token_bytes(30)).decode(),
            project=project,
            email=email,
            state="ACTIVE",
            version=1,
            created_ns=now,
            updated_ns=now,
        )
        return self.adopt(key)

    def adopt(self, key: HmacKey) -> HmacKey:
        """As it is; also one of an earlier run of the suite."""
        self._keys[key.access_id] = key
        self._touch(f"hmac/{key.access_id}")
        return key

    def find(self, access_id: str) -> HmacKey | None:
        return self._keys.get(access_id)

    def get(self, project: str, access_id: str) -> HmacKey:
        key = self._keys.get(access_id)
        if key is None or key.project != project:
            raise StorageError(Reason.NOT_FOUND, f"Access ID not found in project {project}.")
        return key

    def list(self, project: str, *, email: str | None, with_deleted: bool) -> list[HmacKey]:
        """In order of their access ids."""
        return [
            key
            for _, key in sorted(self._keys.items())
            if key.project == project and email in (None, key.email) and (with_deleted or key.state != "DELETED")
        ]

    def update(self, project: str, access_id: str, *, state: str, etag: str | None) -> HmacKey:
        key = self.get(project, access_id)
        if etag is not None and etag != key.etag:
            raise condition_not_met()
        if state not in _STATES:
            raise invalid(f"Invalid value for `state`: `{state}`; choose one of {', '.join(_STATES)}")
        if key.state == "DELETED":
            raise invalid(f"the HMAC key `{access_id}` is deleted; make another")
        if key.state == state:
            raise invalid(f"the HMAC key `{access_id}` is {state} already")
        return self._changed(key, state)

    def delete(self, project: str, access_id: str) -> None:
        key = self.get(project, access_id)
        if key.state != "INACTIVE":
            raise invalid(f"the HMAC key `{access_id}` is {key.state}; only an INACTIVE one can be deleted")
        self._changed(key, "DELETED")

    def _changed(self, key: HmacKey, state: str) -> HmacKey:
        changed = replace(key, state=state, version=key.version + 1, updated_ns=self._clock.now_ns())
        return self.adopt(changed)
