"""The hub's routes: the official ones that tools know, and `/control`, which any client in any language can drive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.configuration import Address
from afterimage_emulator.credentials.local_signer import LocalSigner
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.faults import FaultRule, Faults
from afterimage_emulator.front.pages import answer_pages
from afterimage_emulator.hub.iam_credentials import IamCredentials
from afterimage_emulator.hub.locator import VERSION
from afterimage_emulator.hub.structured_events import read_structured_event
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.router import Router

_LOCATORS: Final = frozenset({"/", "/emulators"})
_SWITCHES: Final = frozenset({"/functions/disableBackgroundTriggers", "/functions/enableBackgroundTriggers"})


class SuiteView(Protocol):
    """What the hub needs of the suite it belongs to."""

    project_id: str
    clock: Clock
    faults: Faults
    events: EventBus
    activity: Activity
    signer: LocalSigner

    def addresses(self) -> Mapping[str, Address]: ...

    def reset(self) -> None: ...

    async def export_to(self, directory: Path) -> None: ...

    def records(self, *, failed_only: bool) -> list[dict[str, Any]]: ...

    async def replay(self, event_id: str) -> int: ...

    def missing_indexes(self) -> list[dict[str, Any]]: ...

    def send(self, event: CloudEvent) -> int: ...

    def run_schedule(self, name: str) -> None: ...


class Hub:
    """Answers on the hub's port."""

    def __init__(self, suite: SuiteView) -> None:
        self._suite = suite
        self._routes = Router()
        add = self._routes.add
        add("GET", "/", self._about)
        add("GET", "/emulators", self._emulators)
        add("PUT", "/functions/disableBackgroundTriggers", self._switch_triggers(enabled=False))
        add("PUT", "/functions/enableBackgroundTriggers", self._switch_triggers(enabled=True))
        add("POST", "/_admin/export", self._export)
        add("POST", "/token", self._token)
        iam = IamCredentials(suite.signer)
        add("POST", "/v1/projects/{project}/serviceAccounts/{email}:signBlob", iam.sign_blob)
        add("GET", "/control/clock", self._read_clock)
        add("POST", "/control/clock", self._move_clock)
        add("GET", "/control/faults", self._list_faults)
        add("POST", "/control/faults", self._add_fault)
        add("DELETE", "/control/faults", self._clear_faults)
        add("DELETE", "/control/faults/{id}", self._remove_fault)
        add("POST", "/control/settled", self._settled)
        add("POST", "/control/reset", self._reset)
        add("GET", "/control/indexes", self._indexes)
        add("GET", "/control/events", self._events)
        add("POST", "/control/events", self._send)
        add("POST", "/control/events/{id}:replay", self._replay)
        add("POST", "/control/schedules/{name}:run", self._run_schedule)

    async def http(self, request: HttpRequest) -> HttpResponse:
        # The rules-testing library asks these also where tests run in an imitated page (jsdom, happy-dom).
        is_for_pages = request.raw_path in _LOCATORS or request.raw_path in _SWITCHES
        return await (answer_pages(request, self._routes) if is_for_pages else self._routes(request))

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
        body = await _object(request)
        path = body.get("path")
        if not isinstance(path, str) or not path:
            raise StatusError(Code.INVALID_ARGUMENT, 'name the folder to export to: {"path": "…"}')
        await self._suite.export_to(Path(path))
        return json_response({"message": "OK"})

    async def _token(self, request: HttpRequest) -> HttpResponse:
        """What the token endpoint of the local service account answers: the services take `owner` for an admin."""
        return json_response({"access_token": "owner", "token_type": "Bearer", "expires_in": 3600})

    # -- time

    async def _read_clock(self, request: HttpRequest) -> HttpResponse:
        clock = self._suite.clock
        return json_response(
            {"now": clock.now().isoformat(), "frozen": clock.is_frozen, "offset_seconds": clock.offset_seconds}
        )

    async def _move_clock(self, request: HttpRequest) -> HttpResponse:
        body = await _object(request)
        unknown = sorted(set(body) - {"freeze", "freeze_at", "resume", "advance_seconds"})
        if unknown or not body:
            named = f"unknown clock field `{unknown[0]}`" if unknown else "nothing to do"
            raise StatusError(
                Code.INVALID_ARGUMENT, f"{named}; send `freeze`, `freeze_at`, `advance_seconds` or `resume`"
            )
        clock = self._suite.clock
        if body.get("freeze"):
            clock.freeze()
        if "freeze_at" in body:
            clock.freeze(_moment(body["freeze_at"]))
        if "advance_seconds" in body:
            seconds = body["advance_seconds"]
            if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < 1e10:
                raise StatusError(Code.INVALID_ARGUMENT, f"`advance_seconds` must be 0 or more, not `{seconds}`")
            clock.advance(seconds)
        if body.get("resume"):
            clock.resume()
        return await self._read_clock(request)

    # -- faults

    async def _list_faults(self, request: HttpRequest) -> HttpResponse:
        return json_response({"faults": self._suite.faults.listing()})

    async def _add_fault(self, request: HttpRequest) -> HttpResponse:
        fault_id = self._suite.faults.add(FaultRule.from_json(await _object(request)))
        return json_response({"id": fault_id}, 201)

    async def _clear_faults(self, request: HttpRequest) -> HttpResponse:
        self._suite.faults.clear()
        return json_response({})

    async def _remove_fault(self, request: HttpRequest) -> HttpResponse:
        self._suite.faults.remove(request.params["id"])
        return json_response({})

    # -- what happens

    async def _settled(self, request: HttpRequest) -> HttpResponse:
        body = await _object(request)
        timeout = body.get("timeout_seconds", 30)
        if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not 0 < timeout <= 600:
            raise StatusError(Code.INVALID_ARGUMENT, f"`timeout_seconds` must be above 0, at most 600, not `{timeout}`")
        try:
            await self._suite.activity.settled(timeout)
        except TimeoutError as error:
            raise StatusError(Code.DEADLINE_EXCEEDED, str(error)) from None
        return json_response({"settled": True})

    async def _reset(self, request: HttpRequest) -> HttpResponse:
        self._suite.reset()
        return json_response({})

    async def _indexes(self, request: HttpRequest) -> HttpResponse:
        return json_response({"missing": self._suite.missing_indexes()})

    async def _events(self, request: HttpRequest) -> HttpResponse:
        failed_only = request.query_value("failed") in ("1", "true")
        return json_response({"events": self._suite.records(failed_only=failed_only)})

    async def _replay(self, request: HttpRequest) -> HttpResponse:
        return json_response({"deliveries": await self._suite.replay(request.params["id"])})

    async def _send(self, request: HttpRequest) -> HttpResponse:
        """Straight to the functions, past pauses and fault rules: who sends by hand wants it to arrive."""
        event = read_structured_event(await _object(request), now=self._suite.clock.now())
        return json_response({"id": event.id, "deliveries": self._suite.send(event)})

    async def _run_schedule(self, request: HttpRequest) -> HttpResponse:
        self._suite.run_schedule(request.params["name"])
        return json_response({})


async def _object(request: HttpRequest) -> Mapping[str, object]:
    body = await request.json()
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise StatusError(Code.INVALID_ARGUMENT, "the request body must be a JSON object")
    return body


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
    except (TypeError, ValueError):
        raise StatusError(
            Code.INVALID_ARGUMENT, f"`freeze_at` must be a time such as `2026-01-31T12:00:00Z`, not `{value}`"
        ) from None
    return moment
