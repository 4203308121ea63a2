"""`/control`: what any client in any language can drive and read of a suite: time, faults, events, functions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeGuard

from afterimage_emulator.faults import FaultRule
from afterimage_emulator.hub.structured_events import read_structured_event
from afterimage_emulator.hub.suite_view import SuiteView
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.router import Router

_COPIES_LIMIT: Final = 100


class SuiteControl:
    """Reads and moves one suite."""

    def __init__(self, suite: SuiteView) -> None:
        self._suite = suite
        self._late: set[asyncio.Task[int]] = set()

    def add_to(self, routes: Router) -> None:
        add = routes.add
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
        add("GET", "/control/functions", self._functions)
        add("GET", "/control/requests", self._requests)
        add("GET", "/control/rules/{digest}", self._rules)
        add("GET", "/control/coverage", self._coverage)
        add("GET", "/control/capabilities", self._capabilities)

    # -- time

    async def _read_clock(self, request: HttpRequest) -> HttpResponse:
        clock = self._suite.clock
        return json_response(
            {"now": clock.now().isoformat(), "frozen": clock.is_frozen, "offset_seconds": clock.offset_seconds}
        )

    async def _move_clock(self, request: HttpRequest) -> HttpResponse:
        body = await object_of(request)
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
            if not _is_number(seconds) or not 0 <= seconds < 1e10:
                raise StatusError(Code.INVALID_ARGUMENT, f"`advance_seconds` must be 0 or more, not `{seconds}`")
            try:
                clock.advance(seconds)
            except ValueError as error:
                raise StatusError(Code.INVALID_ARGUMENT, str(error)) from None
        if body.get("resume"):
            clock.resume()
        await self._suite.kept()
        return await self._read_clock(request)

    # -- faults

    async def _list_faults(self, request: HttpRequest) -> HttpResponse:
        return json_response({"faults": self._suite.faults.listing()})

    async def _add_fault(self, request: HttpRequest) -> HttpResponse:
        fault_id = self._suite.faults.add(FaultRule.from_json(await object_of(request)))
        return json_response({"id": fault_id}, 201)

    async def _clear_faults(self, request: HttpRequest) -> HttpResponse:
        self._suite.faults.clear()
        return json_response({})

    async def _remove_fault(self, request: HttpRequest) -> HttpResponse:
        self._suite.faults.remove(request.params["id"])
        return json_response({})

    # -- what happens

    async def _settled(self, request: HttpRequest) -> HttpResponse:
        body = await object_of(request)
        timeout = body.get("timeout_seconds", 30)
        if not _is_number(timeout) or not 0 < timeout <= 600:
            raise StatusError(Code.INVALID_ARGUMENT, f"`timeout_seconds` must be above 0, at most 600, not `{timeout}`")
        try:
            await self._suite.activity.settled(timeout)
        except TimeoutError as error:
            raise StatusError(Code.DEADLINE_EXCEEDED, str(error)) from None
        return json_response({"settled": True})

    async def _reset(self, request: HttpRequest) -> HttpResponse:
        self._suite.reset()
        await self._suite.kept()
        return json_response({})

    async def _indexes(self, request: HttpRequest) -> HttpResponse:
        return json_response({"missing": self._suite.missing_indexes()})

    async def _events(self, request: HttpRequest) -> HttpResponse:
        failed_only = request.query_value("failed") in ("1", "true")
        return json_response({"events": self._suite.records(failed_only=failed_only)})

    async def _replay(self, request: HttpRequest) -> HttpResponse:
        """Now or later by the suite's clock, once or several times."""
        body = await object_of(request)
        unknown = sorted(set(body) - {"copies", "delay_seconds"})
        if unknown:
            raise StatusError(Code.INVALID_ARGUMENT, f"unknown field `{unknown[0]}`; send `copies` or `delay_seconds`")
        copies, delay_seconds = body.get("copies", 1), body.get("delay_seconds", 0)
        if not isinstance(copies, int) or isinstance(copies, bool) or not 1 <= copies <= _COPIES_LIMIT:
            raise StatusError(Code.INVALID_ARGUMENT, f"`copies` must be from 1 to {_COPIES_LIMIT}, not `{copies}`")
        if not _is_number(delay_seconds) or not 0 <= delay_seconds < 1e10:
            raise StatusError(Code.INVALID_ARGUMENT, f"`delay_seconds` must be 0 or more, not `{delay_seconds}`")
        event_id = request.params["id"]
        if not self._suite.knows_event(event_id):
            raise StatusError(
                Code.NOT_FOUND,
                f"no event or task `{event_id}` is in the record (it keeps no requests); GET /control/events lists all",
            )
        if not delay_seconds:
            return json_response({"deliveries": await self._replay_now(event_id, copies)})
        self._suite.activity.begin("delayed event")
        self._suite.clock.call_later(delay_seconds, lambda: self._replay_late(event_id, copies))
        due = self._suite.clock.now() + timedelta(seconds=delay_seconds)
        return json_response({"due": due.isoformat()})

    async def _replay_now(self, event_id: str, copies: int) -> int:
        return sum([await self._suite.replay(event_id) for _ in range(copies)])

    def _replay_late(self, event_id: str, copies: int) -> None:
        task = asyncio.get_running_loop().create_task(self._replay_now(event_id, copies))
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        task.add_done_callback(lambda _: self._suite.activity.end("delayed event"))

    async def _send(self, request: HttpRequest) -> HttpResponse:
        """Straight to the functions, past pauses and fault rules: who sends by hand wants it to arrive."""
        event = read_structured_event(await object_of(request), now=self._suite.clock.now())
        return json_response({"id": event.id, "deliveries": self._suite.send(event)})

    async def _run_schedule(self, request: HttpRequest) -> HttpResponse:
        self._suite.run_schedule(request.params["name"])
        return json_response({})

    async def _functions(self, request: HttpRequest) -> HttpResponse:
        """Codebases with their functions, and every task queue with what waits in it."""
        functions, tasks = self._suite.services.get("functions"), self._suite.services.get("tasks")
        return json_response(
            {
                "codebases": [] if functions is None else functions.overview(),
                "queues": [] if tasks is None else tasks.overview(),
            }
        )

    async def _capabilities(self, request: HttpRequest) -> HttpResponse:
        return json_response({"services": self._suite.capabilities()})

    # -- rules

    async def _requests(self, request: HttpRequest) -> HttpResponse:
        self._suite.judged.watch()
        after = request.query_value("after") or "0"
        if not after.isdecimal() or len(after) > 15:
            raise StatusError(Code.INVALID_ARGUMENT, f"`after` must be the number of a request, not `{after[:40]}`")
        return json_response({"requests": self._suite.judged.after(int(after))})

    async def _rules(self, request: HttpRequest) -> HttpResponse:
        source = self._suite.judged.source(request.params["digest"])
        if source is None:
            raise StatusError(Code.NOT_FOUND, "these rules are kept no longer; later requests name theirs")
        return json_response(source)

    async def _coverage(self, request: HttpRequest) -> HttpResponse:
        """How often each expression of the rules in force was evaluated, and what it came to."""
        found = [
            {"service": name, **covered}
            for name in ("firestore", "storage")
            if name in self._suite.services
            for covered in self._suite.services[name].rules.covered()
        ]
        return json_response({"rules": found})


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


async def object_of(request: HttpRequest) -> Mapping[str, object]:
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
