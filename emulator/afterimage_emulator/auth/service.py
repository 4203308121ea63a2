"""Firebase Auth as one service, with App Check beside it: puts stores, operations and dialects together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from afterimage_emulator.auth.accounts.projects import Projects
from afterimage_emulator.auth.api.addressed import Addressed
from afterimage_emulator.auth.api.answers import error_answer
from afterimage_emulator.auth.api.control_api import CONTROL_PREFIX, AuthControlApi
from afterimage_emulator.auth.api.identity_toolkit_api import IdentityToolkitApi
from afterimage_emulator.auth.api.provider_pages import ProviderPages
from afterimage_emulator.auth.api.settings_api import SettingsApi
from afterimage_emulator.auth.app_check.app_check_api import CONSUME_VERB, AppCheckApi
from afterimage_emulator.auth.blocking.asked_functions import AskedFunctions, BlockingTargets
from afterimage_emulator.auth.exported_accounts import read_projects, write_projects
from afterimage_emulator.auth.tokens.sessions import SignedInUsers
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import NoteChange, note_nothing
from afterimage_emulator.front.local_hosts import is_this_machine
from afterimage_emulator.front.pages import answer_pages
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse
from afterimage_emulator.wire.offered import Offered
from afterimage_emulator.wire.router import Router

if TYPE_CHECKING:  # a suite that keeps nothing runs without them
    from afterimage_emulator.auth.kept_accounts import KeptAccounts
    from afterimage_emulator.durable.journal import Journal

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_ONLY_READING: Final = (":lookup", ":query", ":createAuthUri")
"""Verbs that come by POST all the same."""


class AuthService:
    """`project_id` is the project of clients, whose API keys name none.

    `app_check_debug_tokens` are the registered ones; None, the default, takes any. `functions` gives those of the same
    suite, of which some may want to be asked before an account is made or somebody signs in. No events are published:
    no trigger of Python functions hears of accounts afterwards. `note` is told of whatever may have changed an account.
    """

    grpc: Sequence[GrpcMethod] = ()

    def __init__(
        self,
        *,
        project_id: str,
        clock: Clock,
        app_check_debug_tokens: Collection[str] | None = None,
        functions: Callable[[], BlockingTargets | None] = lambda: None,
        may_call: Callable[[str], bool] = is_this_machine,
        note: NoteChange = note_nothing,
        keeping: Journal | None = None,
    ) -> None:
        self._note = note
        self._keeping = keeping
        self._kept: KeptAccounts | None = None
        self.projects = Projects(default_id=project_id)
        self._sessions = SignedInUsers(clock=clock)
        self._app_check = AppCheckApi(sessions=self._sessions, debug_tokens=app_check_debug_tokens)
        self._router = Router()
        self._pages = ProviderPages(projects=self.projects)
        AuthControlApi(projects=self.projects, sessions=self._sessions, pages=self._pages).add_routes(self._router)
        addressed = Addressed(projects=self.projects)
        self._toolkit = IdentityToolkitApi(
            projects=self.projects,
            sessions=self._sessions,
            functions=AskedFunctions(clock=clock, beside=functions, may_call=may_call),
            addressed=addressed,
        )
        self._toolkit.add_routes(self._router)
        SettingsApi(addressed=addressed).add_routes(self._router)
        self._app_check.add_routes(self._router)

    async def http(self, request: HttpRequest) -> HttpResponse:
        handler = self._router if self._kept is None else self._answer_once_kept
        answer = await answer_pages(request, handler, worded=error_answer)
        verb = request.raw_path.rpartition("/")[2]
        if answer.status < 300 and request.method not in _READS and not verb.endswith(_ONLY_READING):
            self._note("auth", "accounts asked", verb, ())
        return answer

    async def _answer_once_kept(self, request: HttpRequest) -> HttpResponse:
        """What it changed is on the disk before whoever asked hears of it, also where it was refused half way."""
        assert self._keeping is not None
        may_change = request.method not in _READS
        if may_change:
            self._keeping.check()
        try:
            return await self._router(request)
        finally:
            if self._kept is not None and self._kept.note(looks_at_settings=may_change):
                await self._keeping.kept()

    def kept(self, append: Callable[[bytes], None]) -> KeptAccounts:
        """From now on every change is appended; see `Part` for what is to be asked of the answer."""
        from afterimage_emulator.auth.kept_accounts import KeptAccounts

        self._kept = KeptAccounts(self.projects, append, self._sessions.now_ms)
        return self._kept

    def offered(self) -> Sequence[Offered]:
        return self._router.offered()

    def provider_page(self, request: HttpRequest, name: str) -> HttpResponse | None:
        """A page of a provider, for whoever serves it at another address; None where there is none of that name."""
        return self._pages.answer(request, name)

    def is_admin_route(self, request: HttpRequest) -> bool:
        """What asks for no credential: `/emulator/v1`, and using up App Check tokens. Other admin routes want one."""
        return request.raw_path.startswith(CONTROL_PREFIX) or request.raw_path.endswith(CONSUME_VERB)

    def reset(self) -> None:
        """Forgets all accounts, codes and switches of all projects. Tokens of before stand for nobody."""
        self.projects.clear()
        self._toolkit.forget()
        self._app_check.reset()
        self._note_for_keeping()

    def _note_for_keeping(self) -> None:
        if self._kept is not None:
            self._kept.note()

    async def export_to(self, directory: Path) -> None:
        write_projects(self.projects, directory)

    async def import_from(self, directory: Path) -> None:
        """Replaces the projects that the export holds; others stay."""
        imported = await asyncio.to_thread(
            read_projects, directory, default_id=self.projects.default_id, now_ms=self._sessions.now_ms()
        )
        for project in imported:
            self.projects.replace(project)
        self._note_for_keeping()

    async def close(self) -> None:
        self.projects.clear()
