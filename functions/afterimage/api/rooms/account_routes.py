"""The route by which a user has everything erased."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from afterimage.api.errors import ErrorCode
from afterimage.api.routes import Cost, Route


class EraseToAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Says it twice: the token says who asks, and `confirm` names that user once more."""

    confirm: Annotated[str, Meta(min_length=1, max_length=128)]


class JobStarted(Struct, frozen=True, kw_only=True):
    """A job was asked for; its document, which operators read, has this name."""

    success: bool = True
    job: str


ACCOUNT_ROUTES: Final = (
    Route(
        method="POST",
        path="/api/account/erase",
        handler="afterimage.api.rooms.account_handlers:erase_account",
        summary="erases everything of the user's; the account itself the client deletes",
        answers=JobStarted,
        status=202,
        body=EraseToAsk,
        cost=Cost.WRITES,
        takes_idempotency_key=True,
        refusals=(ErrorCode.FORBIDDEN, ErrorCode.UNAVAILABLE),
    ),
)
