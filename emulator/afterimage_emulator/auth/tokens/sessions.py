"""Signed-in users: issues tokens for an account, and finds the account that a token stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from afterimage_emulator.auth.accounts.accounts import Account
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.requests.requests import GrantToken
from afterimage_emulator.auth.tokens.sign_in_tokens import (
    LIFETIME_SECONDS,
    IdToken,
    RefreshToken,
    UsedFactor,
    encode_id_token,
    encode_refresh_token,
    read_id_token,
    read_refresh_token,
)
from afterimage_emulator.clock import NANOS_PER_SECOND, Clock

PROJECT_NUMBER = "12345"


class SignedInUsers:
    """All time in Auth's tokens and records comes from this object's clock."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    def now_ms(self) -> int:
        return self._clock.now_ns() // 1_000_000

    def now_seconds(self) -> int:
        return self._clock.now_ns() // NANOS_PER_SECOND

    def issue(
        self,
        project: Project,
        account: Account,
        sign_in_provider: str,
        *,
        extra_claims: Mapping[str, object] | None = None,
        auth_time_seconds: int | None = None,
        second_factor: UsedFactor | None = None,
        sign_in_attributes: object = None,
    ) -> dict[str, str]:
        """An ID token and what it can be renewed with, in the words of the sign-in answers."""
        now = self.now_seconds()
        if auth_time_seconds is None:
            auth_time_seconds = now if account.last_login_at_ms is None else account.last_login_at_ms // 1000
        account = project.accounts.put(replace(account, last_refresh_at_ms=self.now_ms()))
        id_token = encode_id_token(
            account,
            project_id=project.id,
            sign_in_provider=sign_in_provider,
            now_seconds=now,
            auth_time_seconds=auth_time_seconds,
            extra_claims=extra_claims or {},
            second_factor=second_factor,
            sign_in_attributes=sign_in_attributes,
        )
        refresh_token = encode_refresh_token(
            RefreshToken(
                uid=account.uid,
                project_id=project.id,
                sign_in_provider=sign_in_provider,
                issued_at_seconds=now,
                auth_time_seconds=auth_time_seconds,
                tenant_id=project.tenant_id,
                second_factor=second_factor,
                extra_claims=extra_claims or {},
            )
        )
        return {"idToken": id_token, "refreshToken": refresh_token, "expiresIn": str(LIFETIME_SECONDS)}

    def authenticate(self, project: Project, id_token: str) -> tuple[Account, IdToken]:
        """The account of an ID token, and what the token says. A token of another project is nobody's here."""
        token = read_id_token(id_token)
        if token.tenant_id != project.tenant_id:
            raise refused("TENANT_ID_MISMATCH")
        if token.project_id is not None and token.project_id != project.id:
            raise refused("INVALID_ID_TOKEN")
        account = project.accounts.by_uid(token.uid)
        if account is None:
            raise refused("USER_NOT_FOUND")
        if account.valid_since_seconds is not None and token.issued_at_seconds < account.valid_since_seconds:
            raise refused("TOKEN_EXPIRED")
        if account.disabled:
            raise refused("USER_DISABLED")
        return account, token

    def grant(self, project: Project, request: GrantToken) -> dict[str, str]:
        """New tokens for a refresh token. Unlike the official emulator, a revoked one is refused, as in production."""
        # As there, a token that is none is found before a grant type that is none.
        token = read_refresh_token(request.refresh_token) if request.refresh_token else None
        if not request.grant_type:
            raise refused("MISSING_GRANT_TYPE")
        if request.grant_type != "refresh_token":
            raise refused("INVALID_GRANT_TYPE")
        if token is None:
            raise refused("MISSING_REFRESH_TOKEN")
        account = project.accounts.by_uid(token.uid) if token.project_id == project.id else None
        if account is None:
            raise refused("INVALID_REFRESH_TOKEN")
        if account.disabled:
            raise refused("USER_DISABLED")
        if account.valid_since_seconds is not None and token.issued_at_seconds < account.valid_since_seconds:
            raise refused("TOKEN_EXPIRED")
        issued = self.issue(
            project,
            account,
            token.sign_in_provider,
            extra_claims=token.extra_claims,
            auth_time_seconds=token.auth_time_seconds,
            second_factor=token.second_factor,
        )
        return {
            "id_token": issued["idToken"],
            "access_token": issued["idToken"],
            "expires_in": issued["expiresIn"],
            "refresh_token": issued["refreshToken"],
            "token_type": "Bearer",
            "user_id": account.uid,
            "project_id": PROJECT_NUMBER,
        }
