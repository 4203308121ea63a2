"""Owns App Check tokens: asked of the app's provider, kept until shortly before their end, attached to every call."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx2

from afterimage_client.errors import AppCheckError
from afterimage_client.freshness import Lifetime, Now, SingleFlight, system_instant


@dataclass(frozen=True, kw_only=True, slots=True)
class AppCheckToken:
    """What a provider returns."""

    token: str = field(repr=False)
    ttl_seconds: float


AppCheckProvider = Callable[[], AppCheckToken | Awaitable[AppCheckToken]]
"""Attests that this is the genuine app, by whatever means it has, and exchanges the proof for a token."""


class AppCheck:
    """The token that is good now. Without a provider there is none, and nothing is attached."""

    def __init__(self, provider: AppCheckProvider | None, *, now: Now = system_instant) -> None:
        self._provider = provider
        self._now = now
        self._token: tuple[AppCheckToken, Lifetime] | None = None
        self._renewal: SingleFlight[str] = SingleFlight()

    async def token(self) -> str | None:
        if self._provider is None:
            return None
        if self._token is not None and not self._token[1].needs_renewal(self._now()):
            return self._token[0].token
        return await self._renewal.run(self._renew)

    def invalidate(self) -> None:
        """A service refused the token: the next call asks for another."""
        self._token = None

    async def _renew(self) -> str:
        if self._provider is None:
            raise AppCheckError("no-provider", "there is no App Check provider")
        received = self._now()
        try:
            answer = self._provider()
            token = await answer if inspect.isawaitable(answer) else answer
        except AppCheckError:
            raise
        except Exception as error:  # the app's own code: whatever it raises, the call cannot go on without a token
            raise AppCheckError(
                "provider-failed", f"the App Check provider raised `{error!r}`", is_transient=True
            ) from error
        if not isinstance(token, AppCheckToken) or not token.token:
            raise AppCheckError(
                "provider-failed",
                f"the App Check provider returned a `{type(token).__name__}` or no token",
                way_out="return an `AppCheckToken` with a token and its lifetime",
            )
        self._token = (token, Lifetime(received, token.ttl_seconds))
        return token.token


@dataclass(frozen=True, kw_only=True, slots=True)
class DebugAppCheckProvider:
    """Exchanges a debug token, registered in the Firebase console, for App Check tokens: for development and CI."""

    project_id: str
    app_id: str
    api_key: str
    debug_token: str = field(repr=False)
    endpoint: str = "https://firebaseappcheck.googleapis.com"

    async def __call__(self) -> AppCheckToken:
        url = f"{self.endpoint}/v1/projects/{self.project_id}/apps/{self.app_id}:exchangeDebugToken"
        async with httpx2.AsyncClient() as http:
            try:
                answer = await http.post(
                    url, params={"key": self.api_key}, json={"debug_token": self.debug_token, "limited_use": False}
                )
            except httpx2.TransportError as error:
                raise AppCheckError(
                    "network-request-failed", f"`{self.endpoint}` was not reached: {error}", is_transient=True
                ) from error
        if answer.status_code != 200:
            raise AppCheckError(
                "exchange-refused",
                f"the debug token was refused with status `{answer.status_code}`",
                way_out="register it in the Firebase console under App Check, debug tokens",
                is_transient=answer.status_code >= 500,
            )
        body = answer.json()
        return AppCheckToken(token=body["token"], ttl_seconds=float(str(body["ttl"]).removesuffix("s")))
