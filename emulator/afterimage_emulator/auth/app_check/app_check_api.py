"""App Check's REST routes: a debug token becomes an App Check token, and a limited-use one is used up once."""

from __future__ import annotations

from collections.abc import Collection

from afterimage_emulator.auth.api.answers import json_body
from afterimage_emulator.auth.app_check.app_check_tokens import (
    LIFETIME_SECONDS,
    LIMITED_USE_LIFETIME_SECONDS,
    AppCheckError,
    make_app_check_token,
    verify_app_check_token,
)
from afterimage_emulator.auth.errors import AuthError, malformed, not_in_auth
from afterimage_emulator.auth.tokens.sessions import SignedInUsers
from afterimage_emulator.status import Code
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.router import Router

CONSUME_VERB = ":verifyAppCheckToken"
_HOSTS = ("", "/firebaseappcheck.googleapis.com", "/content-firebaseappcheck.googleapis.com")


class AppCheckApi:
    """`debug_tokens` are those that are registered; None takes any."""

    def __init__(self, *, sessions: SignedInUsers, debug_tokens: Collection[str] | None) -> None:
        self._sessions = sessions
        self._debug_tokens = debug_tokens
        self._consumed: dict[tuple[str, str], float] = {}

    def add_routes(self, router: Router) -> None:
        for host in _HOSTS:
            for version in ("v1", "v1beta"):
                project = f"{host}/{version}/projects/{{project}}"
                router.add("POST", f"{project}/apps/{{app}}:exchangeDebugToken", self._exchange)
                router.add("POST", project + CONSUME_VERB, self._consume)
                router.add("*", f"{project}/apps/{{app}}:{{method}}", self._other_providers)

    def reset(self) -> None:
        self._consumed.clear()

    async def _exchange(self, request: HttpRequest) -> HttpResponse:
        body = await json_body(request)
        shown = body.get("debugToken")
        if not isinstance(shown, str) or not shown:
            raise malformed("`debug_token` must be a string")
        if self._debug_tokens is not None and shown not in self._debug_tokens:
            raise _denied("App attestation failed.")
        limited = body.get("limitedUse") is True
        lifetime = LIMITED_USE_LIFETIME_SECONDS if limited else LIFETIME_SECONDS
        token = make_app_check_token(
            app_id=request.params["app"],
            project_id=request.params["project"],
            now_seconds=self._sessions.now_seconds(),
            lifetime_seconds=lifetime,
        )
        return json_response({"token": token, "ttl": f"{lifetime}s"})

    async def _consume(self, request: HttpRequest) -> HttpResponse:
        body = await json_body(request)
        text = body.get("appCheckToken")
        now = self._sessions.now_seconds()
        project_id = request.params["project"]
        try:
            token = verify_app_check_token(
                text if isinstance(text, str) else "", project_id=project_id, now_seconds=now
            )
        except AppCheckError as error:
            raise _denied(str(error)) from None
        # Expired tokens are refused above, so what they used up need not be remembered.
        self._consumed = {used: expires for used, expires in self._consumed.items() if expires > now}
        used = (project_id, token.token_id)
        already = used in self._consumed
        self._consumed[used] = token.expires_at_seconds
        return json_response({"alreadyConsumed": True} if already else {})

    async def _other_providers(self, request: HttpRequest) -> HttpResponse:
        raise not_in_auth(request.params["method"])


def _denied(message: str) -> AuthError:
    return AuthError(Code.PERMISSION_DENIED, message, reason="forbidden", status="PERMISSION_DENIED")
