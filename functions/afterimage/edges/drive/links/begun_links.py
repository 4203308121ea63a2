"""Links that are under way: begun by a signed-in user, consented to at Google, completed by the same user. Pure.

Three secrets, none of which is stored as it is. `state` goes through Google and comes back with the code, which is only
parked then: it proves nothing about who is at the browser. `ticket` is given to the browser in which the consent was
given, and to nobody else. The verifier never leaves this side, so that a code is worth nothing to who catches it.

Whoever completes has to be signed in as the user who began, and to bring state and ticket. A user who sends the address
of a link to somebody else gets no ticket; who is made to complete a stranger's link is signed in as another user.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from afterimage.drive_paths import drive_begun_path

BEGUN_LIVES: Final = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class BegunLink:
    """What is handed out when a link begins, and what is stored of it."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)
    uid: str
    expires_at: datetime

    @property
    def path(self) -> str:
        return begun_path(self.state)

    @property
    def fields(self) -> dict[str, Any]:
        return {
            "uid": self.uid,
            "verifier": self.verifier,
            "expires_at": self.expires_at,
            "code": "",
            "refused": "",
            "ticket": "",
        }


def begun_link(uid: str, now: datetime) -> BegunLink:
    # 64 letters: within what Google takes for a verifier, 43 to 128.
    return BegunLink(
        state=secrets.token_urlsafe(32), verifier=secrets.token_urlsafe(48), uid=uid, expires_at=now + BEGUN_LIVES
    )


def begun_path(state: str) -> str:
    """Under the digest: whoever reads the database cannot come back as Google."""
    return drive_begun_path(hashed(state))


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def may_be_parked(fields: Mapping[str, Any], now: datetime) -> bool:
    """Whether Google's answer may still be parked: once, and in time."""
    return not fields["ticket"] and now < fields["expires_at"]


def parked(fields: Mapping[str, Any], *, code: str, refused: str, ticket: str) -> dict[str, Any]:
    return {**fields, "code": code, "refused": refused, "ticket": hashed(ticket)}


def is_its_ticket(fields: Mapping[str, Any], ticket: str) -> bool:
    return hmac.compare_digest(fields["ticket"], hashed(ticket))
