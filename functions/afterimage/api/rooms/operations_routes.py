"""Routes of operators: users by what they cost, and jobs that hand recorded events on once more."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from afterimage.api.errors import ErrorCode
from afterimage.api.rooms.account_routes import JobStarted
from afterimage.api.routes import Access, Cost, Route

_HANDLERS: Final = "afterimage.api.rooms.operations_handlers"


class UsersQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many users."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class UserCost(Struct, frozen=True, kw_only=True):
    """The shown figures of one user's books."""

    uid: str
    total_cost_usd: float
    total_generations: int
    cache_rate: float
    updated_at: datetime | None


class UserCosts(Struct, frozen=True, kw_only=True):
    """The user who cost most comes first; what an app claims counts, however much."""

    users: list[UserCost]


class JobToStart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Recorded events are handled once more; `drive.rewrap` puts permissions of Drives under the newest key."""

    kind: Literal["media.replay", "ledger.replay", "artifacts.cleanup", "drive.rewrap"]


OPERATIONS_ROUTES: Final = (
    Route(
        method="GET",
        path="/api/operations/users",
        handler=f"{_HANDLERS}:list_users",
        summary="users by what their outputs cost",
        answers=UserCosts,
        query=UsersQuery,
        access=Access.ADMIN,
        refusals=(ErrorCode.UNAVAILABLE,),
    ),
    Route(
        method="POST",
        path="/api/operations/jobs",
        handler=f"{_HANDLERS}:start_job",
        summary="starts a job: recorded events once more, or permissions under the newest key",
        answers=JobStarted,
        status=202,
        body=JobToStart,
        access=Access.ADMIN,
        cost=Cost.WRITES,
        takes_idempotency_key=True,
        refusals=(ErrorCode.UNAVAILABLE,),
    ),
)
