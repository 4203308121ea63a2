"""Handlers of a user's Google Drive: translation only; what is decided lies in edges/drive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from afterimage.api.errors import ApiError, ErrorCode
from afterimage.api.rooms.drive_routes import (
    Authorization,
    DriveLinkShown,
    DriveQuota,
    GoogleAnswer,
    ParkedLink,
    ToComplete,
    Unlinked,
)
from afterimage.api.routes import Asked, Caller, Reply
from afterimage.api.services import Services
from afterimage.drive_paths import drive_path
from afterimage.edges.drive.faults import DriveBusyError, DriveRefusedError, LinkBrokenError
from afterimage.edges.drive.links.links import DriveLinks, NoSuchLinkError, NotParkedError, Parking


def authorize(services: Services, caller: Caller, _asked: Asked[Any, None]) -> Authorization:
    begun, url = _links(services).begin(caller.uid)
    return Authorization(authorization_url=url, state=begun.state, expires_at=begun.expires_at)


def park_answer(services: Services, _caller: Caller, asked: Asked[GoogleAnswer, None]) -> Reply:
    """The ticket goes to the page behind the `#`, which no server and no log is sent."""
    said = asked.query
    if not said.state or bool(said.code) == bool(said.error):
        raise ApiError(ErrorCode.INVALID_REQUEST, "this is no answer of Google's", "begin the link again")
    parking, ticket = _links(services).park(said.state, code=said.code, refused=said.error[:100])
    if parking is not Parking.PARKED:
        raise _no_such_link()
    parked = ParkedLink(state=said.state, ticket=ticket)
    drive = services.settings().drive
    if drive is None or not drive.return_url:
        return Reply(body=parked)
    page = f"{drive.return_url}#{urlencode({'drive_state': said.state, 'drive_ticket': ticket})}"
    return Reply(body=None, status=303, headers={"Location": page})


def complete(services: Services, caller: Caller, asked: Asked[Any, ToComplete]) -> DriveLinkShown:
    said = asked.body
    try:
        shown = _links(services).complete(caller.uid, said.state, said.ticket)
    except NotParkedError as error:
        raise ApiError(ErrorCode.CONFLICT, "Google has not answered yet", "let the user finish there first") from error
    except NoSuchLinkError as error:
        raise _no_such_link() from error
    except (LinkBrokenError, DriveRefusedError, DriveBusyError) as error:
        # What was begun is used up, whatever went wrong behind it: a code is good once.
        raise ApiError(ErrorCode.SYNC_FAILED, "the Drive was not linked", f"{error}; begin the link again") from error
    return _shown(services, shown)


def show_link(services: Services, caller: Caller, _asked: Asked[Any, None]) -> DriveLinkShown:
    found = services.documents().read(drive_path(caller.uid))
    if found is None:
        return DriveLinkShown(state="unlinked", can_link=_can_link(services))
    return _shown(services, found.fields)


def unlink(services: Services, caller: Caller, _asked: Asked[Any, None]) -> Unlinked:
    try:
        return Unlinked(was_linked=_links(services).unlink(caller.uid))
    except DriveRefusedError as error:
        raise ApiError(ErrorCode.SYNC_FAILED, "Google did not take the permission back", str(error)) from error


def _links(services: Services) -> DriveLinks:
    found = services.drive()
    if found is None:
        raise ApiError(ErrorCode.NOT_FOUND, "no Google Drive can be linked here", "its operator has not set it up")
    return found


def _no_such_link() -> ApiError:
    return ApiError(ErrorCode.NOT_FOUND, "no link was begun so, or its time is over", "begin the link again")


def _can_link(services: Services) -> bool:
    return services.settings().drive is not None


def _shown(services: Services, fields: Mapping[str, Any]) -> DriveLinkShown:
    return DriveLinkShown(
        state=fields["state"],
        account_email=fields["account_email"],
        account_name=fields["account_name"],
        folder_id=fields["folder_id"],
        error=fields["error"],
        linked_at=fields["linked_at"],
        quota=DriveQuota(**fields["quota"]),
        can_link=_can_link(services),
    )
