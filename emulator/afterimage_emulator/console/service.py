"""Answers on the console's port: its page to anybody on this machine, everything else to whoever has the token."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final, Protocol

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.configuration import Address, Configuration
from afterimage_emulator.console.services import PREFIX, ConsoleServices
from afterimage_emulator.console.stream import ConsoleStream
from afterimage_emulator.faults import Faults
from afterimage_emulator.front.control_token import PROOF_HEADER, shows_token
from afterimage_emulator.front.judged_requests import JudgedRequests
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.observers import RequestObserver
from afterimage_emulator.wire.router import Router

_PROOF_PLACE: Final = b"{{token}}"
_PAGE: Final = "index.html"
_KINDS: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_SECURITY: Final = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; "
        "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
)


class ConsoleView(Protocol):
    """What the console shows of the suite it belongs to."""

    project_id: str
    token: str
    configuration: Configuration
    services: dict[str, Any]
    clock: Clock
    faults: Faults
    activity: Activity
    judged: JudgedRequests
    observer: RequestObserver
    warnings: list[str]
    broken_rules: list[str]

    def addresses(self) -> Mapping[str, Address]: ...

    def records(self, *, failed_only: bool) -> list[dict[str, Any]]: ...

    def functions_summary(self) -> list[str]: ...


class Console:
    """`control` are the hub's routes: the page has them on its own port, behind the suite's token.

    The page gets the token with its own load, which no page of another origin can read.
    """

    def __init__(self, suite: ConsoleView, *, control: HttpHandler) -> None:
        self._suite = suite
        self._control = control
        self.token = suite.token
        self._page = files("afterimage_emulator.console").joinpath("page")
        self._names = {entry.name for entry in self._page.iterdir()}
        self._services = ConsoleServices(suite.services, project=suite.project_id, configuration=suite.configuration)
        self._routes = Router()
        self._routes.add("GET", "/console/state", self._state)
        self._routes.add("GET", "/console/stream", self._stream)

    async def http(self, request: HttpRequest) -> HttpResponse:
        name = request.raw_path.removeprefix("/") or _PAGE
        if name in self._names:
            return self._file(request, name)
        if request.raw_path == "/api/config" and request.method == "GET":
            return await self._config(request)
        if not shows_token(request, self.token):
            raise StatusError(
                Code.PERMISSION_DENIED,
                f"`{request.raw_path[:200]}` wants the console's token as `{PROOF_HEADER}`, which its page has",
            )
        if request.raw_path.startswith("/control/"):
            return await self._control(request)
        if request.raw_path.startswith(PREFIX):
            return await self._services(request)
        return await self._routes(request)

    # -- the page

    def _file(self, request: HttpRequest, name: str) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(405, [("allow", "GET, HEAD")])
        body = self._page.joinpath(name).read_bytes()
        if name == _PAGE:
            body = body.replace(_PROOF_PLACE, self.token.encode())
        return HttpResponse(200, [("content-type", _KINDS[name[name.rindex(".") :]]), *_SECURITY], body)

    # -- what it asks

    async def _config(self, request: HttpRequest) -> HttpResponse:
        """As the official console's page asks for it; where services are is no secret, as on the hub."""
        services: dict[str, dict[str, object]] = {
            name: {"host": address.host, "port": address.port, "hostAndPort": str(address)}
            for name, address in self._suite.addresses().items()
        }
        requests = services.pop("requests", None)
        if requests is not None and "firestore" in services:
            services["firestore"] |= {"webSocketHost": requests["host"], "webSocketPort": requests["port"]}
        return json_response({"projectId": self._suite.project_id, "experiments": [], **services})

    async def _state(self, request: HttpRequest) -> HttpResponse:
        suite = self._suite
        counts = suite.observer.counts
        records = suite.records(failed_only=False)
        return json_response(
            {
                "project": suite.project_id,
                "services": [
                    {"name": name, "address": str(address), "requests": counts[name]}
                    for name, address in suite.addresses().items()
                ],
                "warnings": suite.warnings,
                "errors": suite.broken_rules,
                "functions": suite.functions_summary(),
                "attempts": {
                    "kept": len(records),
                    "failed": sum(1 for record in records if record["outcome"] not in ("ok", "running")),
                },
                "under_way": suite.activity.under_way,
                "clock": {
                    "now": suite.clock.now().isoformat(),
                    "frozen": suite.clock.is_frozen,
                    "offset_seconds": suite.clock.offset_seconds,
                },
                "faults": suite.faults.listing(),
            }
        )

    async def _stream(self, request: HttpRequest) -> HttpResponse:
        self._suite.judged.watch()
        stream = ConsoleStream(self._suite.judged.listen)
        return HttpResponse(
            200,
            [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")],
            stream,
        )
