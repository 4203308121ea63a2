"""Owns the composition of an app: one user, one database, one bucket, over connections that open when needed."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

import httpx2

from afterimage_client.app_check import AppCheck, AppCheckProvider
from afterimage_client.auth.auth import Auth
from afterimage_client.auth.identity_toolkit import IdentityToolkit
from afterimage_client.auth.persistence import SessionStore, default_store
from afterimage_client.backoff import BackoffPolicy
from afterimage_client.firestore.firestore import Firestore
from afterimage_client.firestore.wire.channel import Channel
from afterimage_client.freshness import Now, system_instant
from afterimage_client.options import Endpoints, FirebaseOptions
from afterimage_client.storage.storage import Storage
from afterimage_client.storage.storage_http import StorageHttp


class FirebaseApp:
    """`async with FirebaseApp(options) as app:` takes up the last session; `app.auth`, `.firestore`, `.storage`.

    An app belongs to the event loop that entered it. Everything it does, it does as the user who is signed in.
    """

    def __init__(
        self,
        options: FirebaseOptions,
        *,
        app_check: AppCheckProvider | None = None,
        session_store: SessionStore | None = None,
        endpoints: Endpoints | None = None,
        backoff: BackoffPolicy | None = None,
        now: Now = system_instant,
    ) -> None:
        self.options = options
        endpoints = endpoints or Endpoints.from_environment()
        backoff = backoff or BackoffPolicy()
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(60.0, connect=10.0), trust_env=True, follow_redirects=False
        )
        self.app_check = AppCheck(app_check, now=now)
        toolkit = IdentityToolkit(
            options=options, endpoints=endpoints, http=self._http, app_check=self.app_check, backoff=backoff
        )
        self.auth = Auth(toolkit=toolkit, store=session_store or default_store(options), now=now)
        channel = Channel(
            options=options,
            endpoints=endpoints,
            id_token=self.auth.id_token,
            app_check=self.app_check,
            backoff=backoff,
        )
        self.firestore = Firestore(channel)
        self._storage_http = StorageHttp(
            options=options,
            endpoints=endpoints,
            http=self._http,
            id_token=self.auth.id_token,
            app_check=self.app_check,
            backoff=backoff,
        )
        self.storage = Storage(self._storage_http, options.storage_bucket)
        self._stop_observing = self.auth.observe(lambda user: self.firestore.user_changed())

    async def __aenter__(self) -> Self:
        try:
            await self.auth.restore()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends listeners and connections. The session stays for the next run."""
        self._stop_observing()
        async with contextlib.AsyncExitStack() as closing:
            closing.push_async_callback(self._http.aclose)
            closing.push_async_callback(self.firestore.close)
