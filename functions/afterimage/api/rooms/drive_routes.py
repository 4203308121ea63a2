"""Routes of a user's Google Drive: a link is begun, consented to at Google, completed; shown and taken back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from afterimage.api.errors import ErrorCode
from afterimage.api.routes import Access, AppCheck, Cost, Route

_HANDLERS: Final = "afterimage.api.rooms.drive_handlers"
_ROOT: Final = "/api/phase5/auth"
_Secret = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{43}$")]


class Authorization(Struct, frozen=True, kw_only=True):
    """Where the user gives consent, and what completes the link afterwards."""

    success: bool = True
    authorization_url: str
    state: str
    expires_at: datetime


class GoogleAnswer(Struct, frozen=True, kw_only=True):
    """What Google sends back with the user's browser; more may come, and is not read."""

    state: Annotated[str, Meta(max_length=64)] = ""
    code: Annotated[str, Meta(max_length=512)] = ""
    """Google's codes have 256 bytes at most."""
    error: Annotated[str, Meta(max_length=100)] = ""


class ParkedLink(Struct, frozen=True, kw_only=True):
    """Consent is known and nothing is linked yet: the user who began completes with these."""

    success: bool = True
    state: str
    ticket: str


class ToComplete(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came with the browser in which consent was given."""

    state: _Secret
    ticket: _Secret


class DriveQuota(Struct, frozen=True, kw_only=True):
    """Room at Google, shared by all its services; no limit is null."""

    limit_bytes: int | None
    usage_bytes: int
    usage_in_drive_bytes: int
    usage_in_trash_bytes: int
    usage_percentage: float
    as_of: datetime


class DriveLinkShown(Struct, frozen=True, kw_only=True):
    """A user's link: `active`, `broken` (then only a new link helps), or `unlinked`."""

    success: bool = True
    state: str
    account_email: str = ""
    account_name: str = ""
    folder_id: str = ""
    error: str = ""
    linked_at: datetime | None = None
    quota: DriveQuota | None = None
    can_link: bool
    """Whether this deployment is set up for Google Drive: a page offers a link only then."""


class Unlinked(Struct, frozen=True, kw_only=True):
    """The permission was taken back; what lies in Drive stays."""

    success: bool = True
    was_linked: bool


def _route(method: Any, path: str, handler: str, summary: str, answers: Any, **options: Any) -> Route:
    refusals = (ErrorCode.NOT_FOUND, ErrorCode.UNAVAILABLE, *options.pop("refusals", ()))
    return Route(
        method=method, path=f"{_ROOT}{path}", handler=f"{_HANDLERS}:{handler}", summary=summary, answers=answers,
        refusals=refusals, **options,
    )  # fmt: skip


DRIVE_ROUTES: Final = (
    _route(
        "POST", "/authorize", "authorize", "begins to link the user's Google Drive", Authorization,
        cost=Cost.WRITES,
    ),
    # Google sends a browser here: no app can vouch for it, and nobody is signed in.
    _route(
        "GET", "/callback", "park_answer", "takes Google's answer, and links nothing by it", ParkedLink,
        query=GoogleAnswer, access=Access.ANYBODY, app_check=AppCheck.EXEMPT,
    ),
    _route(
        "POST", "/complete", "complete", "links the Drive in which the user consented", DriveLinkShown,
        body=ToComplete, cost=Cost.WRITES,
        refusals=(ErrorCode.CONFLICT, ErrorCode.SYNC_FAILED),
    ),
    _route("GET", "/link", "show_link", "the user's link to Google Drive", DriveLinkShown),
    _route(
        "DELETE", "/link", "unlink", "takes the user's permission back at Google", Unlinked,
        cost=Cost.WRITES, refusals=(ErrorCode.SYNC_FAILED,),
    ),
)  # fmt: skip
