"""The last steps of every sign-in: functions are asked, changes applied, then tokens or a question for more.

Each step decides, asks and applies anew: while a function is asked, the account may change or go, and others may come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from afterimage_emulator.auth.accounts.accounts import Account
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.accounts.second_factors import offered_json
from afterimage_emulator.auth.blocking.asked_functions import AskedFunctions
from afterimage_emulator.auth.blocking.function_payload import Event, SignInContext
from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.identifiers import new_id
from afterimage_emulator.auth.tokens.pending_sign_ins import PendingSignIn, encode_pending_sign_in
from afterimage_emulator.auth.tokens.sessions import SignedInUsers
from afterimage_emulator.auth.tokens.sign_in_tokens import UsedFactor


class Entrance:
    """What password, link, provider, phone and second factor share once they know whose account it is."""

    def __init__(self, *, sessions: SignedInUsers, functions: AskedFunctions) -> None:
        self._sessions = sessions
        self._functions = functions

    def new_account(self, project: Project) -> Account:
        uid = new_id()
        while project.accounts.by_uid(uid) is not None:
            uid = new_id()
        return Account(uid=uid, created_at_ms=self._sessions.now_ms(), tenant_id=project.tenant_id)

    async def create(self, project: Project, account: Account, context: SignInContext) -> Account:
        """The account as it is stored, after `beforeCreate`; none is left behind where that refuses."""
        wanted = await self._functions.ask(Event.BEFORE_CREATE, project, account.with_own_links(), context)
        return project.accounts.create(account.changed(wanted.changes))

    async def enter(
        self,
        project: Project,
        account: Account,
        context: SignInContext,
        *,
        provider: str,
        changes: Mapping[str, object] | None = None,
        skips_second_factor: bool = False,
    ) -> tuple[Account, dict[str, object]]:
        """Applies `changes`, and answers with tokens, or with what a second factor needs.

        `account` was read before; what has become of it since is kept, except for what `changes` say.
        """
        changed = account.changed(changes or {})
        claims = None
        asked: Mapping[str, object] = {}
        waits = not skips_second_factor and self.wants_second_factor(project, changed)
        if not changed.disabled and not waits:
            wanted = await self._functions.ask(Event.BEFORE_SIGN_IN, project, changed.with_own_links(), context)
            asked, claims = wanted.changes, wanted.session_claims
        current = project.accounts.by_uid(account.uid)
        if current is None:
            raise refused("USER_NOT_FOUND")
        current = project.accounts.put(current.changed({**(changes or {}), **asked}))
        if current.disabled:
            raise refused("USER_DISABLED")
        if waits:
            pending = PendingSignIn(
                uid=current.uid, project_id=project.id, tenant_id=project.tenant_id, provider=provider,
                attributes=context.attributes,
            )  # fmt: skip
            return current, {
                "mfaPendingCredential": encode_pending_sign_in(pending),
                "mfaInfo": [offered_json(factor) for factor in current.second_factors],
            }
        return current, {**self._tokens(project, current, context, provider, claims)}

    async def enter_with_second_factor(
        self, project: Project, account: Account, pending: PendingSignIn, used: UsedFactor
    ) -> dict[str, str]:
        context = SignInContext(method=pending.provider, second_factor=used.kind, attributes=pending.attributes)
        wanted = await self._functions.ask(Event.BEFORE_SIGN_IN, project, account, context)
        current = project.accounts.by_uid(account.uid)
        if current is None:
            raise refused("USER_NOT_FOUND")
        current = project.accounts.put(current.changed(wanted.changes))
        if current.disabled:
            raise refused("USER_DISABLED")
        return self._tokens(project, current, context, pending.provider, wanted.session_claims, used)

    def wants_second_factor(self, project: Project, account: Account) -> bool:
        return bool(account.second_factors) and project.sign_in.second_factors.is_on

    def _tokens(
        self,
        project: Project,
        account: Account,
        context: SignInContext,
        provider: str,
        claims: Mapping[str, object] | None,
        used: UsedFactor | None = None,
    ) -> dict[str, str]:
        return self._sessions.issue(
            project,
            replace(account, last_login_at_ms=self._sessions.now_ms()),
            provider,
            extra_claims=claims,
            second_factor=used,
            sign_in_attributes=context.attributes,
        )
