"""Tokens of one machine's own: made by a command, kept as digests, good until they expire or are taken back."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage.api.admission.tokens import CallerTokens
from afterimage.api.errors import ApiError, ErrorCode
from afterimage.paths import is_document_id
from afterimage.store.documents import Document, DocumentStore, Expect, Query, Remove, Replace

MARK: Final = "afl_"
COLLECTION: Final = "_tokens"
LONGEST_LIFE: Final = timedelta(days=3650)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenShown:
    """What is known of a token; the token itself is kept nowhere."""

    id: str
    uid: str
    is_admin: bool
    note: str
    expires_at: datetime


class LocalTokens:
    """Tokens in the machine's own documents; where a project is configured, its Firebase tokens beside them."""

    def __init__(
        self,
        documents: DocumentStore,
        *,
        others: CallerTokens | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._documents = documents
        self._others = others
        self._now = now

    # -- what the API asks

    def user(self, id_token: str) -> Mapping[str, Any]:
        if not id_token.startswith(MARK):
            if self._others is not None:
                return self._others.user(id_token)
            raise _refused("the token is none of this machine's")
        found = self._documents.read(f"{COLLECTION}/{_digest(id_token)}")
        if found is None:
            raise _refused("the token was taken back, or never was")
        if found.fields["ends_at"] <= self._now():
            raise _refused("the token has expired")
        return {"uid": found.fields["uid"], "admin": found.fields["admin"]}

    def app(self, app_check_token: str, *, consume: bool) -> str:
        if self._others is None:
            raise ApiError(ErrorCode.APP_CHECK_FAILED, "nobody vouches for apps here", "set API_APP_CHECK to `off`")
        return self._others.app(app_check_token, consume=consume)

    # -- what the command does

    def make(self, uid: str, *, life: timedelta, is_admin: bool = False, note: str = "") -> str:
        """A new token, which is shown this once."""
        if not is_document_id(uid) or "/" in uid:
            raise ValueError(f"`{uid[:80]}` cannot be the id of a user")
        if not timedelta() < life <= LONGEST_LIFE:
            raise ValueError(f"a token lives for 1 to {LONGEST_LIFE.days} days")
        token = MARK + secrets.token_urlsafe(32)
        fields = {
            "uid": uid,
            "admin": is_admin,
            "note": note[:200],
            "made_at": self._now(),
            "ends_at": self._now() + life,
        }
        self._documents.commit([Replace(path=f"{COLLECTION}/{_digest(token)}", fields=fields, expected=Expect.ABSENT)])
        return token

    def listed(self) -> list[TokenShown]:
        found: list[TokenShown] = []
        after = ""
        while page := self._documents.find(Query(collection=COLLECTION, after_id=after, limit=100)):
            found += [_shown(each) for each in page]
            after = page[-1].id
        return found

    def take_back(self, identifier: str) -> bool:
        """Ends a token by its id, as `listed` shows it, or by the beginning of that."""
        matching = [each for each in self.listed() if identifier and each.id.startswith(identifier)]
        if len(matching) != 1:
            return False
        self._documents.commit([Remove(path=f"{COLLECTION}/{matching[0].id}", expected=Expect.ANYTHING)])
        return True


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _shown(found: Document) -> TokenShown:
    fields = found.fields
    return TokenShown(
        id=found.id, uid=fields["uid"], is_admin=fields["admin"], note=fields["note"], expires_at=fields["ends_at"]
    )


def _refused(sentence: str) -> ApiError:
    return ApiError(
        ErrorCode.AUTHENTICATION_FAILED, sentence, "make one with `python -m afterimage_server token add USER`"
    )
