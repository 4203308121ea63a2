"""Functions that have a URL: `/{project}/{region}/{name}/…` on the functions port, handed on to an instance."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import OK, Attempt
from afterimage_emulator.functions.codebases.manifest import (
    BlockingTrigger,
    FunctionSpec,
    HttpTrigger,
    TaskQueueTrigger,
)
from afterimage_emulator.functions.deliveries.causes import Causes
from afterimage_emulator.functions.deliveries.deliveries import FunctionCalls
from afterimage_emulator.functions.instances.instance_requests import InstanceRequest, request_head
from afterimage_emulator.functions.instances.streamed_answers import StreamedAnswer
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, text_response

REQUEST_LIMIT_BYTES: Final = 32 * 1024 * 1024
"""As on the platform."""

SERVICE_DOMAIN: Final = ".run.app.localhost"
"""Browsers and resolvers keep names below `localhost` to this machine."""

_STATUS_OF_OUTCOME: Final[Mapping[str, int]] = {"timeout": 504, "out of memory": 503, "crashed": 502}
_NOT_HANDED_ON: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length",
     "expect"}
)  # fmt: skip
_log = logging.getLogger("afterimage_emulator.functions")


class FunctionsHttpFront:
    """Finds the function of a request and brings back its answer."""

    def __init__(
        self,
        *,
        calls: FunctionCalls,
        project_id: str,
        activity: Activity,
        functions: Callable[[], Mapping[str, FunctionSpec]],
        causes: Causes,
    ) -> None:
        self._causes = causes
        self._calls = calls
        self._project_id = project_id
        self._activity = activity
        self._functions = functions

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        host = (request.headers.get("host") or "").partition(":")[0]
        if host.endswith(SERVICE_DOMAIN):
            region, name, rest = "", host, request.raw_path.removeprefix("/")
            spec = self._find_service(host.removesuffix(SERVICE_DOMAIN))
        elif request.raw_path in ("/", "/__/health"):
            return text_response("OK")
        else:
            parts = request.raw_path.split("/", 4)
            project, region, name, rest = (*parts[1:], "", "", "", "")[:4]
            spec = self._find(project, region, name)
        if spec is None:
            return self._no_such_function(region, name)
        try:
            body = await request.body.read(REQUEST_LIMIT_BYTES)
        except StatusError as error:
            if error.code is Code.RESOURCE_EXHAUSTED:
                return text_response(f"the request is larger than {REQUEST_LIMIT_BYTES:,} bytes", 413)
            raise
        self._activity.begin(spec.name)
        answer: HttpResponse | None = None
        try:
            answer = await self._forward(spec, request, "/" + rest, body)
            return answer
        finally:
            if answer is not None and isinstance(answer.body, StreamedAnswer):
                answer.body.when_ended(lambda failure: self._activity.end(spec.name))
            else:
                self._activity.end(spec.name)

    def _find(self, project: str, region: str, name: str) -> FunctionSpec | None:
        spec = self._functions().get(name)
        if spec is None or project != self._project_id or region not in spec.regions:
            return None
        return spec if isinstance(spec.trigger, HttpTrigger | TaskQueueTrigger | BlockingTrigger) else None

    def _find_service(self, service: str) -> FunctionSpec | None:
        """By a host of Cloud Run's form: `SERVICE-NUMBER.REGION`, `SERVICE-HASH-CODE.a`, or `SERVICE` alone."""
        label, _, region = service.partition(".")
        if region:
            label = label.rsplit("-", 2 if region == "a" else 1)[0]
        for spec in self._functions().values():
            if spec.name.lower().replace("_", "-") == label:
                return self._find(self._project_id, spec.regions[0] if region in ("", "a") else region, spec.name)
        return None

    def _no_such_function(self, region: str, name: str) -> HttpResponse:
        valid = [
            f"{spec.regions[0]}-{spec.name}"
            for spec in self._functions().values()
            if isinstance(spec.trigger, HttpTrigger)
        ]
        return text_response(
            f"Function {region}-{name} does not exist, valid functions are: {', '.join(sorted(valid))}", 404
        )

    async def _forward(self, spec: FunctionSpec, request: HttpRequest, path: str, body: bytes) -> HttpResponse:
        target = f"{path}?{request.raw_query}" if request.raw_query else path
        headers = [(name, value) for name, value in request.headers.items() if name not in _NOT_HANDED_ON]
        if request.headers.get("host") is None:
            headers.append(("host", "127.0.0.1"))
        peer = request.peer.rpartition(":")[0] or "127.0.0.1"
        headers += [("x-forwarded-for", peer), ("x-forwarded-proto", "http")]
        sent = InstanceRequest(
            head=request_head(request.method, target, headers, len(body)),
            body=body,
            is_head=request.method == "HEAD",
            wants_stream=True,
        )
        work_id = self._calls.new_id("request")
        self._causes.note("functions", f"{request.method} to a function", spec.name, (work_id,))
        attempt, answer = await self._calls.call(spec.name, sent, what=f"{request.method} {path}", work_id=work_id)
        if answer is not None and isinstance(answer.body, StreamedAnswer):
            answer.body.when_ended(lambda failure: _tell(attempt))
        else:
            _tell(attempt)
        if answer is None:
            return text_response(attempt.detail, _STATUS_OF_OUTCOME.get(attempt.outcome, 500))
        kept = [(name, value) for name, value in answer.headers if name not in _NOT_HANDED_ON]
        return HttpResponse(answer.status, kept, answer.body)


def _tell(attempt: Attempt) -> None:
    if attempt.outcome != OK:
        _log.warning("[%s] %s %s: %s — %s", attempt.function, attempt.what, attempt.id, attempt.outcome, attempt.detail)
