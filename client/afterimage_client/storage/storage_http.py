"""Owns the HTTP requests to Firebase's storage service: as the user, with tokens read fresh, repeated where safe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx2

from afterimage_client.app_check import AppCheck
from afterimage_client.backoff import Backoff, BackoffPolicy
from afterimage_client.errors import CLOSED, AuthError, StorageError
from afterimage_client.options import Endpoints, FirebaseOptions
from afterimage_client.storage.refusals import storage_refusal, unreachable

_OK: Final = frozenset({200, 204, 206})


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageRequest:
    """One request. `path` is what errors name; `is_transfer` says that its body's loss is handled elsewhere."""

    method: str
    url: str
    path: str
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    json: Any = None
    content: bytes | None = None


class StorageHttp:
    """Every request of the storage part leaves here."""

    def __init__(
        self,
        *,
        options: FirebaseOptions,
        endpoints: Endpoints,
        http: httpx2.AsyncClient,
        id_token: Callable[..., Awaitable[str | None]],
        app_check: AppCheck,
        backoff: BackoffPolicy,
    ) -> None:
        self._base = endpoints.storage
        self._http = http
        self._id_token = id_token
        self._app_check = app_check
        self._app_id = options.app_id
        self.backoff = backoff

    def bucket_url(self, bucket: str) -> str:
        return f"{self._base}/v0/b/{bucket}/o"

    def object_url(self, bucket: str, path: str) -> str:
        return f"{self.bucket_url(bucket)}/{quote(path, safe='')}"

    async def send(self, request: StorageRequest, *, also_ok: Collection[int] = ()) -> httpx2.Response:
        """The answer. Transient failures are waited out: the request must be one that may be done twice."""
        waits = Backoff(self.backoff)
        for left in reversed(range(self.backoff.attempts)):
            try:
                return await self.send_once(request, also_ok=also_ok)
            except StorageError as error:
                if not error.is_transient or not left:
                    raise
            await asyncio.sleep(waits.next_wait_seconds())
        raise AssertionError("a policy has one attempt at least")

    async def send_once(self, request: StorageRequest, *, also_ok: Collection[int] = ()) -> httpx2.Response:
        """One attempt; a refused token is renewed once."""
        async with self.open(request, also_ok=also_ok) as answer:
            try:
                await answer.aread()
            except httpx2.TransportError as error:
                raise unreachable(error, path=request.path) from error
            return answer

    @asynccontextmanager
    async def open(self, request: StorageRequest, *, also_ok: Collection[int] = ()) -> AsyncIterator[httpx2.Response]:
        """An answer whose body is read by the caller."""
        token = await self._id_token()
        answer = await self._begin(request, token)
        if answer.status_code == 401 and token is not None:
            await answer.aclose()
            self._app_check.invalidate()
            answer = await self._begin(request, await self._id_token(is_refused=token))
        try:
            if answer.status_code not in _OK and answer.status_code not in also_ok:
                raise await _read_refusal(answer, request.path)
            yield answer
        finally:
            await answer.aclose()

    async def _begin(self, request: StorageRequest, token: str | None) -> httpx2.Response:
        if not self._is_storage(request.url):
            raise StorageError(
                "invalid-url",
                f"an address of `{request.path}` is not where storage is: nothing was sent there",
                way_out="start the transfer anew",
            )
        if self._http.is_closed:
            raise StorageError(*CLOSED, way_out="make another")
        headers = dict(request.headers or {})
        if token is not None:
            headers["authorization"] = f"Firebase {_checked(token)}"
        if app_check := await self._app_check.token():
            headers["x-firebase-appcheck"] = app_check
        if self._app_id:
            headers["x-firebase-gmpid"] = self._app_id
        prepared = self._http.build_request(
            request.method,
            request.url,
            params=request.params,
            headers=headers,
            json=request.json,
            content=request.content,
        )
        try:
            return await self._http.send(prepared, stream=True)
        except httpx2.TransportError as error:
            raise unreachable(error, path=request.path) from error

    def _is_storage(self, url: str) -> bool:
        """The user's token goes to the service alone, whatever address an answer or a stored session names."""
        try:
            asked, ours = httpx2.URL(url), httpx2.URL(self._base)
        except httpx2.InvalidURL:
            return False
        # An emulator in a container may know itself by another port.
        is_same_door = ours.scheme == "http" or (asked.scheme, asked.port) == (ours.scheme, ours.port)
        return asked.host == ours.host and is_same_door


def json_of(answer: httpx2.Response) -> Any:
    """The object that an answer holds."""
    try:
        body = answer.json()
    except (ValueError, RecursionError) as error:
        raise StorageError("unknown", "storage answered with something that is no JSON", is_transient=True) from error
    if not isinstance(body, dict):
        raise StorageError("unknown", "storage answered with JSON that is no object", is_transient=True)
    return body


async def _read_refusal(answer: httpx2.Response, path: str) -> StorageError:
    try:
        await answer.aread()
        body = answer.json()
    except (httpx2.TransportError, ValueError):
        body = None
    return storage_refusal(answer.status_code, body, path=path)


def _checked(token: str) -> str:
    """Emulators take `owner` for an administrator: nothing but a JWT is ever sent."""
    if token.count(".") != 2 or not token.startswith("ey"):
        raise AuthError("invalid-user-token", "what should be an ID token is none", way_out="sign in again")
    return token
