"""What a route is: one row of the table, and the values that its handler is given and gives back.

Handlers know neither Flask nor headers: they get the services, a typed caller and a parsed request, and return a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Generic, Literal, TypeVar

from msgspec import Struct

from afterimage.api.errors import ErrorCode

JSON_LIMIT_BYTES: Final = 1024 * 1024
"""The largest JSON body that a route takes, unless it says otherwise."""

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Access(StrEnum):
    """The callers that a route serves."""

    ANYBODY = "anybody"
    USER = "user"
    ADMIN = "admin"


class AppCheck(StrEnum):
    """Whether a route asks for proof that a genuine app calls it."""

    EXEMPT = "exempt"
    REQUIRED = "required"
    CONSUMED = "consumed"
    """The token is good for one call only: where money is spent."""


class Cost(StrEnum):
    """What one call may cost; the rate limit counts everything but what is free."""

    FREE = "free"
    READS = "reads"
    WRITES = "writes"
    SPENDS = "spends"


class NoQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A route that takes no query parameters."""


Q = TypeVar("Q")
B = TypeVar("B")


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Whose request it is; a handler of a route for users always gets a uid."""

    uid: str = ""
    is_admin: bool = False
    app_id: str = ""
    """The app that App Check vouched for; empty where nothing was asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked(Generic[Q, B]):
    """A request after parsing: `query` and `body` are of the types that the route names."""

    path: Mapping[str, str]
    query: Q
    body: B
    content_type: str = ""
    operation_id: str
    """Names what this request is to do. A repeat with the same Idempotency-Key has the same one: a handler derives its
    new ids from it, so that the same request twice has its effect once."""
    request_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer with more to say than its body."""

    body: object
    status: int | None = None
    """None: the route's own."""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One row of the table."""

    method: Method
    path: str
    """Segments are literal or `{name}`; a literal one is tried before a name."""
    handler: str
    """`package.module:function`, imported at the first call."""
    summary: str
    answers: Any
    """The type of the body of a success."""
    status: int = 200
    query: Any = NoQuery
    body: Any = None
    """The type of the JSON body; `bytes` for a body of any other type; None for no body."""
    body_limit_bytes: int = JSON_LIMIT_BYTES
    access: Access = Access.USER
    app_check: AppCheck = AppCheck.REQUIRED
    cost: Cost = Cost.READS
    takes_idempotency_key: bool = False
    refusals: tuple[ErrorCode, ...] = ()
    """What this route may answer beside what every route may."""

    @property
    def room(self) -> str:
        """The part of the API that it belongs to, by which the documentation is ordered."""
        module = self.handler.partition(":")[0]
        return module.rpartition(".")[2].removesuffix("_handlers").removesuffix("_routes").replace("_", " ")

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @property
    def all_refusals(self) -> tuple[ErrorCode, ...]:
        found = {*self.refusals, ErrorCode.INVALID_REQUEST, ErrorCode.RATE_LIMITED, ErrorCode.INTERNAL}
        if self.access is not Access.ANYBODY:
            found |= {ErrorCode.AUTHENTICATION_FAILED, ErrorCode.UNAVAILABLE}
        if self.access is Access.ADMIN:
            found.add(ErrorCode.FORBIDDEN)
        if self.app_check is not AppCheck.EXEMPT:
            found |= {ErrorCode.APP_CHECK_FAILED, ErrorCode.UNAVAILABLE}
        if self.body is not None:
            found |= {ErrorCode.REQUEST_TOO_LARGE, ErrorCode.UNSUPPORTED_MEDIA_TYPE}
        if self.takes_idempotency_key:
            found |= {ErrorCode.IDEMPOTENCY_KEY_REUSED, ErrorCode.UNAVAILABLE}
        return tuple(sorted(found))
