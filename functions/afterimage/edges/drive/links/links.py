"""Links of users to their Google Drive: begun, completed, broken, taken back; and the tokens that come of them."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import httpx2

from afterimage.artifacts.drive_notes import drive_note
from afterimage.drive_paths import drive_link_path, drive_path
from afterimage.edges.drive.faults import DriveBusyError, DriveRefusedError, KeyUnknownError, LinkBrokenError
from afterimage.edges.drive.google.drive_api import GOOGLE_API, DriveApi
from afterimage.edges.drive.google.drive_exchange import DriveExchange, new_drive_client
from afterimage.edges.drive.google.google_oauth import GoogleOAuth, GrantedTokens
from afterimage.edges.drive.keys.sealing import Sealer
from afterimage.edges.drive.links.begun_links import (
    BegunLink,
    begun_link,
    begun_path,
    is_its_ticket,
    may_be_parked,
    parked,
)
from afterimage.edges.drive.links.link_documents import (
    ACTIVE,
    broken_writes,
    linked_writes,
    room_shown,
    unlinked_writes,
)
from afterimage.faults import TransientError
from afterimage.store.documents import (
    ConflictError,
    Document,
    DocumentStore,
    ErasedError,
    Expect,
    Remove,
    Replace,
    UncertainError,
    Write,
    compare_and_set,
)

logger = logging.getLogger("afterimage.drive")
PROVIDER: Final = "google_drive"
_ROUNDS: Final = 5
_TOKENS_KEPT: Final = 1000
_RENEWED_BEFORE: Final = timedelta(minutes=5)
"""A token is not used up to its last moment: an upload of one piece takes a while."""


class Parking(StrEnum):
    """What became of Google's answer."""

    PARKED = "parked"
    UNKNOWN = "unknown"
    """Never begun, used before, or too late: to a stranger these are one."""


class NotParkedError(Exception):
    """Google's answer has not come yet: the user is still asked."""


class NoSuchLinkError(Exception):
    """Nothing that this user could complete with this state and ticket."""


@dataclass(frozen=True, kw_only=True)
class OpenLink:
    """A link with its permission opened, for the time of some work."""

    uid: str
    document: Document
    refresh_token: str = field(repr=False)
    key: bytes = field(repr=False)

    @property
    def fields(self) -> Mapping[str, Any]:
        return self.document.fields

    @property
    def account(self) -> str:
        """Which account at Google: files in one are not in another."""
        return str(self.document.fields["account"])


@dataclass
class _Tokens:
    """Access tokens of users, kept as long as they are good."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: OrderedDict[str, tuple[str, datetime]] = field(default_factory=OrderedDict)

    def found(self, key: str, now: datetime) -> str:
        with self.lock:
            token, until = self.kept.get(key, ("", now))
            return token if now < until else ""

    def keep(self, key: str, token: str, until: datetime) -> None:
        with self.lock:
            self.kept[key] = (token, until)
            self.kept.move_to_end(key)
            while len(self.kept) > _TOKENS_KEPT:
                self.kept.popitem(last=False)


@dataclass(frozen=True, kw_only=True)
class DriveLinks:
    """All links, over any store of documents."""

    documents: DocumentStore
    oauth: GoogleOAuth
    sealer: Sealer
    api_root: str = GOOGLE_API
    client: httpx2.Client = field(default_factory=new_drive_client)
    wait: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _access: _Tokens = field(default_factory=_Tokens)

    # -- beginning and completing

    def begin(self, uid: str) -> tuple[BegunLink, str]:
        """A link that this user alone can complete, and the address where consent is given."""
        begun = begun_link(uid, self.now())
        self.documents.commit([Replace(path=begun.path, fields=begun.fields, expected=Expect.ABSENT)])
        return begun, self.oauth.consent_url(begun.state, begun.verifier)

    def park(self, state: str, *, code: str, refused: str) -> tuple[Parking, str]:
        """Keeps Google's answer until the user completes; the ticket for the browser that brought it.

        Nothing is linked by this: it may be anybody's browser.
        """
        found = self.documents.read(begun_path(state))
        if found is None or not may_be_parked(found.fields, self.now()):
            return Parking.UNKNOWN, ""
        ticket = secrets.token_urlsafe(32)
        try:
            fields = parked(found.fields, code=code, refused=refused, ticket=ticket)
            compare_and_set(self.documents, found.path, fields, found)
        except ConflictError:
            return Parking.UNKNOWN, ""
        return Parking.PARKED, ticket

    def complete(self, uid: str, state: str, ticket: str) -> Mapping[str, Any]:
        """Links the Drive in which consent was given, once; what the user is shown of it.

        NotParkedError while the user is still asked, NoSuchLinkError for anybody else's, LinkBrokenError where Google
        gives nothing for the code.
        """
        found = self.documents.read(begun_path(state))
        if found is None or found.fields["uid"] != uid or self.now() >= found.fields["expires_at"]:
            raise NoSuchLinkError
        if not found.fields["ticket"]:
            raise NotParkedError
        if not is_its_ticket(found.fields, ticket):
            raise NoSuchLinkError
        try:
            # Taken before it is used: two that complete at once are one, and a code is good for one.
            self.documents.commit([Remove(path=found.path, expected=found.version)])
        except ConflictError as error:
            raise NoSuchLinkError from error
        if found.fields["refused"]:
            raise LinkBrokenError(f"consent was not given: {found.fields['refused']}")
        return self.keep_granted(uid, self.oauth.exchanged(found.fields["code"], found.fields["verifier"]))

    def keep_granted(self, uid: str, granted: GrantedTokens) -> Mapping[str, Any]:
        """Links the Drive that these tokens are for; what the user is shown of it."""
        now = self.now()
        api = self._api(_Given(granted.access_token))
        about, changes = api.about(), api.changes_from_now()
        before = self.documents.read(drive_link_path(uid))
        shown_before = self.documents.read(drive_path(uid))
        writes = linked_writes(
            uid,
            about=about,
            changes_token=changes,
            sealed=self.sealer.seal(uid, granted.refresh_token),
            earlier=shown_before.fields if shown_before else None,
            now=now,
        )
        # The look at the link also wakes what waited while it was broken.
        try:
            self._commit([*writes, drive_note(uid, "", now)])
        except ErasedError:
            # What nobody keeps nobody could take back later.
            self.oauth.revoke(granted.refresh_token)
            raise
        if before is not None and before.fields["account"] != about.user.permission_id:
            # Two permissions of one account are one: to take back the old would take back the new.
            try:
                self._revoke(uid, before)
            except (DriveBusyError, DriveRefusedError) as error:
                logger.warning("the permission that `%s` gave before could not be taken back: %s", uid, error)
        return writes[1].fields

    # -- using

    def opened(self, uid: str) -> OpenLink | None:
        """The link with its permission; None where there is none, LinkBrokenError where it is broken."""
        found = self.documents.read(drive_link_path(uid))
        if found is None:
            return None
        if found.fields["state"] != ACTIVE:
            raise LinkBrokenError(str(found.fields["error"]))
        # A key that is missing is an operator's to bring back: it breaks nobody's link.
        key = self.sealer.key_of(uid, found.fields["permission"])
        token = self.sealer.open_under(key, uid, found.fields["permission"]["sealed"])
        return OpenLink(uid=uid, document=found, refresh_token=token, key=key)

    def api_of(self, link: OpenLink) -> DriveApi:
        """The user's Drive."""
        return self._api(_Renewed(links=self, link=link))

    def access_token(self, link: OpenLink, *, refused: str = "") -> str:
        """A token that is good for a while yet."""
        now = self.now()
        key = link.refresh_token
        known = self._access.found(key, now)
        if known and known != refused:
            return known
        granted = self.oauth.refreshed(link.refresh_token)
        until = now + timedelta(seconds=granted.expires_in) - _RENEWED_BEFORE
        self._access.keep(key, granted.access_token, until)
        return granted.access_token

    def tell_room(self, link: OpenLink, api: DriveApi) -> None:
        """Shows the user how much room there is now."""
        shown = self.documents.read(drive_path(link.uid))
        if shown is None:
            return
        fields = {**shown.fields, "quota": room_shown(api.about().storage_quota, self.now())}
        try:
            compare_and_set(self.documents, shown.path, fields, shown)
        except ConflictError:
            # Somebody else has just written it, room included or a broken link.
            return

    # -- ending

    def broke(self, uid: str, reason: str) -> None:
        """Notes that the permission is gone and tells the user; what is queued stays."""
        for _ in range(_ROUNDS):
            found, shown = self.documents.read_many([drive_link_path(uid), drive_path(uid)])
            if found is None or found.fields["state"] != ACTIVE:
                return
            try:
                self.documents.commit(broken_writes(found, shown, reason, self.now()))
            except (ConflictError, UncertainError):
                continue
            logger.warning("the link of `%s` to Google Drive is broken: %s", uid, reason)
            return
        raise TransientError(f"`{drive_link_path(uid)}` is contended; try again")

    def unlink(self, uid: str) -> bool:
        """Takes the permission back at Google and forgets it; what lies in Drive stays there, and is the user's."""
        found = self.documents.read(drive_link_path(uid))
        if found is None:
            return False
        self._revoke(uid, found)
        shown = self.documents.read(drive_path(uid))
        self._commit(unlinked_writes(uid, shown, self.now()))
        return True

    def _revoke(self, uid: str, found: Document) -> None:
        try:
            token = self.sealer.open(uid, found.fields["permission"])
        except KeyUnknownError as error:
            # Nobody can use it any more, and nobody can take it back: the user can, in the account's own settings.
            logger.error("the permission of `%s` cannot be opened, so it cannot be taken back: %s", uid, error)
            return
        self.oauth.revoke(token)

    # -- within

    def _api(self, tokens: Any) -> DriveApi:
        exchange = DriveExchange(tokens=tokens, client=self.client, wait=self.wait, now=self.now)
        return DriveApi(exchange=exchange, root=self.api_root)

    def _commit(self, writes: list[Write]) -> None:
        """Writes that say the same when they are applied twice."""
        for _ in range(_ROUNDS):
            try:
                self.documents.commit(writes)
            except ErasedError:
                raise
            except (ConflictError, UncertainError):
                continue
            return
        raise TransientError("the link could not be written; try again")


@dataclass(frozen=True)
class _Given:
    """The token that came with the code."""

    access_token: str

    def token(self) -> str:
        return self.access_token

    def renewed(self, refused: str) -> str:
        raise LinkBrokenError("Google does not take the token that it has just given")


@dataclass(frozen=True, kw_only=True)
class _Renewed:
    """Tokens that are renewed as they run out."""

    links: DriveLinks
    link: OpenLink

    def token(self) -> str:
        return self.links.access_token(self.link)

    def renewed(self, refused: str) -> str:
        return self.links.access_token(self.link, refused=refused)
