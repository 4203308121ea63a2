"""Routes of generations: made by a generator, read by their owner."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from afterimage.api.cursors import MOST_CURSOR_CHARACTERS
from afterimage.api.dispatch import IDENTIFIER
from afterimage.api.errors import ErrorCode
from afterimage.api.routes import AppCheck, Cost, Route

Identifier = Annotated[str, Meta(pattern=f"^{IDENTIFIER}$")]
Prompt = Annotated[str, Meta(min_length=1, max_length=20_000, pattern=r"[^\s\x1c-\x1f\x85\ufeff]")]
"""More than blanks, by Python's word and by JavaScript's, which differ: the description is read by both."""
Cursor = Annotated[str, Meta(max_length=MOST_CURSOR_CHARACTERS)]
Limit = Annotated[int, Meta(ge=1, le=100)]


class GenerateBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be made."""

    prompt: Prompt
    mode: Literal["classic", "enhanced"] = "classic"
    project_id: Identifier | None = None
    """A project of the caller's, or a new id; without one the API makes an id."""


class IterateBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed."""

    generation_id: Identifier
    prompt: Prompt
    mode: Literal["classic", "enhanced"] = "classic"


class DetailQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one generation says."""

    include_download_url: bool = True


class ListQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of a list."""

    limit: Limit = 20
    cursor: Cursor = ""
    include_download_url: bool = False
    """Each URL may cost a call of its own to be signed."""


class IterationsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of versions."""

    limit: Limit = 20
    before: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Only versions with a smaller number."""
    include_download_url: bool = False


class FileEntry(Struct, frozen=True, kw_only=True):
    """One file of a project."""

    path: str
    bytes: int


class GenerationView(Struct, frozen=True, kw_only=True):
    """A generation, or one of its versions, as its owner sees it."""

    id: str
    project_id: str
    version: int
    status: Literal["processing", "completed", "failed"]
    """How far this version has come; a failed one leaves those before it as they are."""
    mode: Literal["classic", "enhanced"]
    prompt: str
    """In lists cut after 500 characters."""
    files_count: int
    files: list[FileEntry]
    """The files of the newest finished version."""
    download_url: str | None
    """A tar.gz, good for at least half an hour; null until it is there, and where it was not asked for."""
    cloud_storage_enabled: bool
    model: str | None
    error: str | None
    created_at: datetime
    updated_at: datetime


class GenerationPage(Struct, frozen=True, kw_only=True):
    """Some generations, newest first."""

    generations: list[GenerationView]
    next_cursor: str | None


class IterationPage(Struct, frozen=True, kw_only=True):
    """Some versions of one generation, newest first."""

    generation_id: str
    iterations: list[GenerationView]
    next_before: int | None


_HANDLERS: Final = "afterimage.api.rooms.generation_handlers"
_OWN: Final = (ErrorCode.NOT_FOUND, ErrorCode.UNAVAILABLE)
_BEGINS: Final = (ErrorCode.BUDGET_EXCEEDED, ErrorCode.FORBIDDEN, ErrorCode.UNAVAILABLE)

GENERATION_ROUTES: Final = (
    Route(
        method="POST",
        path="/generations/generate",
        handler=f"{_HANDLERS}:generate",
        summary="makes a project from a prompt; answers `processing` where that takes long",
        answers=GenerationView,
        body=GenerateBody,
        app_check=AppCheck.CONSUMED,
        cost=Cost.SPENDS,
        takes_idempotency_key=True,
        refusals=_BEGINS,
    ),
    Route(
        method="POST",
        path="/generations/iterate",
        handler=f"{_HANDLERS}:iterate",
        summary="makes the next version of a generation",
        answers=GenerationView,
        body=IterateBody,
        app_check=AppCheck.CONSUMED,
        cost=Cost.SPENDS,
        takes_idempotency_key=True,
        refusals=(*_BEGINS, ErrorCode.NOT_FOUND, ErrorCode.CONFLICT),
    ),
    Route(
        method="GET",
        path="/generations",
        handler=f"{_HANDLERS}:list_generations",
        summary="your generations",
        answers=GenerationPage,
        query=ListQuery,
        refusals=(ErrorCode.UNAVAILABLE,),
    ),
    Route(
        method="GET",
        path="/generations/active",
        handler=f"{_HANDLERS}:list_active",
        summary="your generations whose newest version is under way",
        answers=GenerationPage,
        query=ListQuery,
        refusals=(ErrorCode.UNAVAILABLE,),
    ),
    Route(
        method="GET",
        path="/generations/project/{project_id}",
        handler=f"{_HANDLERS}:list_of_project",
        summary="the generations of a project of yours",
        answers=GenerationPage,
        query=ListQuery,
        refusals=_OWN,
    ),
    Route(
        method="GET",
        path="/generations/{generation_id}",
        handler=f"{_HANDLERS}:show",
        summary="one generation",
        answers=GenerationView,
        query=DetailQuery,
        refusals=_OWN,
    ),
    Route(
        method="GET",
        path="/generations/{generation_id}/iterations",
        handler=f"{_HANDLERS}:list_iterations",
        summary="the versions of one generation",
        answers=IterationPage,
        query=IterationsQuery,
        refusals=_OWN,
    ),
)
