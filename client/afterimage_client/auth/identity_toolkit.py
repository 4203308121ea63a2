"""Owns the requests to Identity Toolkit and Secure Token: the one place where sign-in touches the network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import httpx2

from afterimage_client.app_check import AppCheck
from afterimage_client.auth.refusals import sign_in_refusal
from afterimage_client.backoff import Backoff, BackoffPolicy
from afterimage_client.errors import CLOSED, AuthError
from afterimage_client.options import Endpoints, FirebaseOptions

_NOT_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
"""There was no connection, so the server has heard nothing that could be done twice."""


class IdentityToolkit:
    """Each method is one operation of the REST API; answers are its JSON objects."""

    def __init__(
        self,
        *,
        options: FirebaseOptions,
        endpoints: Endpoints,
        http: httpx2.AsyncClient,
        app_check: AppCheck,
        backoff: BackoffPolicy,
    ) -> None:
        self._endpoints = endpoints
        self._http = http
        self._app_check = app_check
        self._backoff = backoff
        # Emulators want any key, production wants the project's.
        self._key = options.api_key or ("emulator" if endpoints.auth_is_emulator else "")

    async def call(self, operation: str, body: Mapping[str, Any], *, may_repeat: bool = False) -> Mapping[str, Any]:
        """`may_repeat` says that doing it twice is doing it once, so that lost answers are asked for again."""
        url = f"{self._endpoints.identity_toolkit}/v1/accounts:{operation}"
        sent = {key: value for key, value in body.items() if value is not None}
        return await self._post(url, json=sent, may_repeat=may_repeat)

    async def renew(self, refresh_token: str) -> Mapping[str, Any]:
        url = f"{self._endpoints.renewal}/v1/token"
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return await self._post(url, form=form, may_repeat=True)

    async def _post(
        self,
        url: str,
        *,
        json: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        may_repeat: bool,
    ) -> Mapping[str, Any]:
        if not self._key:
            raise AuthError(
                "api-key-not-valid",
                "the options have no `api_key`",
                way_out="copy `apiKey` from the Firebase console's project settings",
            )
        waits = Backoff(self._backoff)
        for remaining in reversed(range(self._backoff.attempts)):
            try:
                return await self._post_once(url, json, form)
            except AuthError as error:
                is_safe = may_repeat or isinstance(error.__cause__, _NOT_SENT)
                if not error.is_transient or not is_safe or not remaining:
                    raise
            await asyncio.sleep(waits.next_wait_seconds())
        raise AssertionError("a policy has one attempt at least")

    async def _post_once(
        self, url: str, json: Mapping[str, Any] | None, form: Mapping[str, str] | None
    ) -> Mapping[str, Any]:
        if self._http.is_closed:
            raise AuthError(*CLOSED, way_out="make another")
        headers = {"x-client-version": "Python/AfterimageClient"}
        if token := await self._app_check.token():
            headers["x-firebase-appcheck"] = token
        try:
            answer = await self._http.post(url, params={"key": self._key}, headers=headers, json=json, data=form)
        except httpx2.TransportError as error:
            raise AuthError(
                "network-request-failed",
                f"the sign-in service was not reached: {error or type(error).__name__}",
                way_out="check the connection and try again",
                is_transient=True,
            ) from error
        try:
            body = answer.json()
        except ValueError:
            body = None
        if answer.status_code != 200 or not isinstance(body, dict) or "errorMessage" in body:
            raise sign_in_refusal(answer.status_code, body)
        return body
