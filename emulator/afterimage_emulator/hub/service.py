"""The hub's routes: the official ones that tools know, and `/control`, which any client in any language can drive."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from afterimage_emulator.environment import NO_DATABASE
from afterimage_emulator.exports import ExportError
from afterimage_emulator.front.allowed_pages import ORIGINS_FLAG
from afterimage_emulator.front.control_token import PROOF_HEADER, is_of_page, shows_token
from afterimage_emulator.front.pages import answer_pages
from afterimage_emulator.hub.control_routes import SuiteControl, object_of
from afterimage_emulator.hub.iam_credentials import IamCredentials
from afterimage_emulator.hub.locator import VERSION
from afterimage_emulator.hub.suite_view import SuiteView
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.offered import Offered
from afterimage_emulator.wire.router import Router

_DATABASE_PATHS: Final = (".json", "/.ws", "/.lp")
"""Where its clients ask: over REST, by a socket, by long polling."""
_LOCATORS: Final = frozenset({"/", "/emulators"})
_SWITCHES: Final = frozenset({"/functions/disableBackgroundTriggers", "/functions/enableBackgroundTriggers"})
_FOR_PAGES: Final = _LOCATORS | _SWITCHES
"""What the rules-testing library asks also where tests run in an imitated page (jsdom, happy-dom)."""


class Hub:
    """Answers on the hub's port."""

    grpc: Sequence[GrpcMethod] = ()

    def __init__(self, suite: SuiteView, *, is_named: Callable[[str], bool]) -> None:
        """`is_named` says whether whoever started the suite named an origin as one that may ask."""
        self._suite = suite
        self._is_named = is_named
        self._routes = Router()
        add = self._routes.add
        add("GET", "/", self._about)
        add("GET", "/emulators", self._emulators)
        add("PUT", "/functions/disableBackgroundTriggers", self._switch_triggers(enabled=False))
        add("PUT", "/functions/enableBackgroundTriggers", self._switch_triggers(enabled=True))
        add("POST", "/_admin/export", self._export)
        add("POST", "/token", self._token)
        add("GET", "/metrics", self._metrics)
        iam = IamCredentials(suite.signer)
        add("POST", "/v1/projects/{project}/serviceAccounts/{email}:signBlob", iam.sign_blob)
        SuiteControl(suite).add_to(self._routes)

    async def http(self, request: HttpRequest) -> HttpResponse:
        if request.raw_path.endswith(_DATABASE_PATHS) and "ns" in request.query:
            return _no_database(request)
        if "upgrade" in request.headers:
            raise StatusError(Code.INVALID_ARGUMENT, "the hub speaks HTTP/1.1, no upgrades")
        if request.raw_path in _FOR_PAGES:
            return await answer_pages(request, self._routes)
        if self._is_of_strange_page(request):
            raise StatusError(
                Code.PERMISSION_DENIED,
                f"a page asks for `{request.raw_path[:200]}`, and only the console may, which shows the token of this "
                f"start as `{PROOF_HEADER}`; if that page is yours, start the suite with `{ORIGINS_FLAG} ORIGIN`; "
                "programs, such as what runs your tests, need neither",
            )
        return await self._routes(request)

    def offered(self) -> Sequence[Offered]:
        asked = "GET PUT POST PATCH DELETE /{path}.json?ns={database}"
        return [*self._routes.offered(), Offered(wire="HTTP", name=asked, refused=NO_DATABASE)]

    def _is_of_strange_page(self, request: HttpRequest) -> bool:
        if not is_of_page(request) or shows_token(request, self._suite.token):
            return False
        origins = request.headers.all("origin")
        return not origins or not all(self._is_named(origin) for origin in origins)

    def is_admin_route(self, request: HttpRequest) -> bool:
        """Nothing here asks who is calling; where the services are is no secret."""
        return request.raw_path not in _LOCATORS

    # -- the official routes

    async def _about(self, request: HttpRequest) -> HttpResponse:
        here = self._suite.addresses()["hub"]
        return json_response({"version": VERSION, "origins": [f"http://{here}"], "host": here.host, "port": here.port})

    async def _emulators(self, request: HttpRequest) -> HttpResponse:
        listing = {
            name: {
                "name": name,
                "host": address.host,
                "port": address.port,
                "listen": [{"address": address.host, "family": "IPv4", "port": address.port}],
            }
            for name, address in self._suite.addresses().items()
        }
        return json_response(listing)

    def _switch_triggers(self, *, enabled: bool) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
        async def switch(request: HttpRequest) -> HttpResponse:
            self._suite.events.paused = not enabled
            return json_response({"enabled": enabled})

        return switch

    async def _export(self, request: HttpRequest) -> HttpResponse:
        body = await object_of(request)
        path = body.get("path")
        if not isinstance(path, str) or not path:
            raise StatusError(Code.INVALID_ARGUMENT, 'name the folder to export to: {"path": "…"}')
        try:
            await self._suite.export_to(Path(path))
        except ExportError as error:
            raise StatusError(Code.FAILED_PRECONDITION, str(error)) from None
        return json_response({"message": "OK"})

    async def _metrics(self, request: HttpRequest) -> HttpResponse:
        # Few suites are ever asked: the others start without it.
        from afterimage_emulator.hub.metrics import CONTENT_TYPE, metrics_text

        text = metrics_text(self._suite.observer, self._suite.services)
        return HttpResponse(200, [("content-type", CONTENT_TYPE)], text.encode())

    async def _token(self, request: HttpRequest) -> HttpResponse:
        """What the token endpoint of the local service account answers: the services take `owner` for an admin."""
        return json_response({"access_token": "owner", "token_type": "Bearer", "expires_in": 3600})


def _no_database(request: HttpRequest) -> HttpResponse:
    """On a socket in the database's own words for an end that is final: its clients show them and ask no more."""
    if "upgrade" not in request.headers:
        return json_response({"error": NO_DATABASE}, status=501)

    # Few suites are ever asked: the others start without it.
    from afterimage_emulator.hub.websocket import websocket_answer

    def end(tell: Callable[[str], None]) -> Callable[[], None]:
        tell(json.dumps({"t": "c", "d": {"t": "s", "d": NO_DATABASE}}))
        return lambda: None

    return websocket_answer(request, end)
