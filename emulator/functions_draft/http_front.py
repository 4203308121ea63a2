"""The functions port: HTTP functions at `/{project}/{region}/{name}`, and events handed in by other tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from emulator.events import CloudEvent
from emulator.functions_draft.dispatcher import Dispatcher, Request
from emulator.functions_draft.manifest import CALLABLE, EVENT, HTTPS, SCHEDULE
from emulator.functions_draft.pool import Pool
from emulator.status import Code, StatusError
from emulator.wire.http1 import error_response
from emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from emulator.wire.router import Router

REQUEST_LIMIT_BYTES = 32 * 1024 * 1024
"""What the platform admits."""
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length",
                         "proxy-authorization", "proxy-authenticate", "expect"})  # fmt: skip


class HttpFront:
    """Finds the function of a request and passes the request on as it came."""

    def __init__(self, *, project_id: str, dispatcher: Dispatcher, next_id: Callable[[], str]) -> None:
        self._project_id = project_id
        self._dispatcher = dispatcher
        self._next_id = next_id
        self._routes = Router()
        self._routes.add("POST", "/functions/projects/{project}/triggers/{key}", self._trigger)
        self._routes.add("GET", "/backends", self._list)
        self._routes.add("*", "/{project}/{region}/{name}", self._call)
        self._routes.add("*", "/{project}/{region}/{name}/{rest=**}", self._call)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return await self._routes(request)
        except StatusError as error:
            return error_response(error)

    async def _list(self, request: HttpRequest) -> HttpResponse:
        functions = [pool.function for pool in self._dispatcher.pools.values()]
        return json_response(
            {"functions": [{"name": f.name, "region": f.region, "trigger": f.trigger} for f in functions]}
        )

    async def _call(self, request: HttpRequest) -> HttpResponse:
        pool = self._find(request.params)
        body = await request.body.read(REQUEST_LIMIT_BYTES)
        _, _, _, _, *rest = request.raw_path.split("/", 4)
        target = "/" + (rest[0] if rest else "") + (f"?{request.raw_query}" if request.raw_query else "")
        headers = [(name, value) for name, value in request.headers.items() if name not in _HOP_BY_HOP]
        headers.append(("x-forwarded-for", request.peer.rpartition(":")[0]))
        answer = await self._dispatcher.attempt(
            pool, Request(request.method, target, headers, body), self._next_id(), pool.function.kind, request.raw_path
        )
        if answer is None:
            raise StatusError(
                Code.UNAVAILABLE,
                f"`{pool.function.name}` did not answer; `python -m emulator events --failed` says why",
            )
        kept = [(name, value) for name, value in answer.headers if name.lower() not in _HOP_BY_HOP]
        return HttpResponse(answer.status, kept, answer.body)

    def _find(self, params: Mapping[str, str]) -> Pool:
        pool = self._dispatcher.pools.get(params["name"])
        if params["project"] != self._project_id or pool is None or pool.function.region != params["region"]:
            served = [p.function for p in self._dispatcher.pools.values() if p.function.kind in (HTTPS, CALLABLE)]
            known = ", ".join(f"/{self._project_id}/{f.region}/{f.name}" for f in served) or "none"
            raise StatusError(Code.NOT_FOUND, f"no function at `/{'/'.join(params.values())}`; HTTP functions: {known}")
        if pool.function.kind not in (HTTPS, CALLABLE, SCHEDULE) or not pool.function.is_served:
            why = pool.function.note or f"it is called by {pool.function.trigger}"
            raise StatusError(Code.FAILED_PRECONDITION, f"`{pool.function.name}` is not called over HTTP: {why}")
        return pool

    async def _trigger(self, request: HttpRequest) -> HttpResponse:
        """An event handed in: binary (`ce-` headers) or structured (JSON with the attributes)."""
        pool = self._dispatcher.pools.get(request.params["key"])
        if pool is None or pool.function.kind != EVENT:
            known = ", ".join(p.function.name for p in self._dispatcher.pools.values() if p.function.kind == EVENT)
            raise StatusError(
                Code.NOT_FOUND, f"no event function `{request.params['key']}`; there are: {known or 'none'}"
            )
        body = await request.body.read(REQUEST_LIMIT_BYTES)
        self._dispatcher.send(self._read_event(request, body), pool.function.name)
        return json_response({"status": "accepted"}, 202)

    def _read_event(self, request: HttpRequest, body: bytes) -> CloudEvent:
        attributes = {name[3:]: value for name, value in request.headers.items() if name.startswith("ce-")}
        content_type = request.headers.get("content-type", "application/json") or "application/json"
        if not attributes:
            attributes, body, content_type = _structured(body)
        missing = [name for name in ("type", "source") if name not in attributes]
        if missing:
            raise StatusError(
                Code.INVALID_ARGUMENT, f"the event has no `{missing[0]}`: send `ce-` headers or a structured event"
            )
        known = {"id", "source", "type", "time", "subject", "specversion"}
        return CloudEvent(
            id=attributes.get("id") or self._next_id(),
            source=attributes["source"],
            type=attributes["type"],
            time=attributes.get("time", "1970-01-01T00:00:00Z"),
            subject=attributes.get("subject"),
            content_type=content_type,
            data=body,
            attributes={name: value for name, value in attributes.items() if name not in known},
        )


def _structured(body: bytes) -> tuple[dict[str, str], bytes, str]:
    try:
        event: Any = json.loads(body)
        if not isinstance(event, dict):
            raise ValueError("not an object")
    except (ValueError, RecursionError) as error:
        raise StatusError(Code.INVALID_ARGUMENT, f"the event is not JSON: {error}") from None
    attributes = {name: str(value) for name, value in event.items() if name not in ("data", "datacontenttype")}
    return attributes, json.dumps(event.get("data")).encode(), "application/json"
