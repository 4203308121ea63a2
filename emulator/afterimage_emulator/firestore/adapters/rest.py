"""Firestore as REST: proto3 JSON in and out, paths and query parameters, and the official error bodies."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from google.protobuf import json_format

from afterimage_emulator.firestore.adapters.json_messages import message_from_json
from afterimage_emulator.firestore.documents.resource_paths import invalid_argument
from afterimage_emulator.firestore.operations.operations import Operation, Operations
from afterimage_emulator.front.callers import Caller, caller_with_readable_token
from afterimage_emulator.front.error_body import error_body, respond_with_error
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.protos.message import Message
from afterimage_emulator.status import HTTP_STATUS, Code, StatusError
from afterimage_emulator.turns import elsewhere
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.offered import Offered

PREFIX: Final = "/v1/"
# The operation behind each verb, and the field of its request that the path fills.
_VERBS: Final = {
    "commit": ("Commit", "database"),
    "batchWrite": ("BatchWrite", "database"),
    "beginTransaction": ("BeginTransaction", "database"),
    "rollback": ("Rollback", "database"),
    "listCollectionIds": ("ListCollectionIds", "parent"),
    "batchGet": ("BatchGetDocuments", "database"),
    "runQuery": ("RunQuery", "parent"),
    "runAggregationQuery": ("RunAggregationQuery", "parent"),
    "partitionQuery": ("PartitionQuery", "parent"),
    "executePipeline": ("ExecutePipeline", "database"),
}
_DATABASE: Final = "/v1/projects/{project}/databases/{database}"
_STREAMS_ONLY: Final = frozenset({"listen", "write"})
_VERB: Final = re.compile(r":([a-zA-Z]+)$")
# What Google's front end takes on any method; none of it means anything here.
_SYSTEM_PARAMETERS: Final = frozenset(
    {
        *("alt", "$alt", "key", "prettyPrint", "$prettyPrint", "fields", "$fields", "access_token", "oauth_token"),
        *("quotaUser", "callback", "uploadType", "upload_protocol", "$.xgafv", "$xgafv"),
    }
)
_BOOLEANS: Final = {"true": True, "false": False}


class FirestoreRestApi:
    """Everything under /v1."""

    def __init__(self, operations: Operations) -> None:
        self._operations = {operation.name: operation for operation in operations.with_one_request()}

    def offered(self) -> Iterator[Offered]:
        """What this dialect has of the operations, by verb and path."""
        for verb, (name, _) in _VERBS.items():
            place = "documents" if _VERBS[verb][1] == "database" else "documents{/document}"
            operation = f"POST {_DATABASE}/{place}:{verb}"
            yield Offered(wire="HTTP", name=operation, refused=self._operations[name].refused)
        for verb in sorted(_STREAMS_ONLY):
            yield Offered(wire="HTTP", name=f"POST {_DATABASE}/documents:{verb}", refused=_no_stream(verb))
        for methods, place in (("GET POST", "{collection}"), ("GET PATCH DELETE", "{document}")):
            yield Offered(wire="HTTP", name=f"{methods} {_DATABASE}/documents/{place}")

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.raw_path.removeprefix(PREFIX)
        verb = _VERB.search(path) if request.method == "POST" else None
        caller = caller_with_readable_token(request.headers.get)
        if verb is None or verb[1] not in _VERBS:
            if verb is not None and verb[1] in _STREAMS_ONLY:
                raise StatusError(Code.UNIMPLEMENTED, _no_stream(verb[1]))
            return await self._document(_decoded(path), request, caller)
        name, place = _VERBS[verb[1]]
        operation, resource = self._operations[name], _decoded(path[: verb.start()])
        if not operation.streams:
            message = await _from_body(request, operation.request_class, place, resource)
            return await _answered(operation, message, caller)
        try:
            message = await _from_body(request, operation.request_class, place, resource)
            replies: Iterable[bytes] = await _awaited(operation.answer(message, caller))
        except StatusError as error:
            return respond_with_error([error_body(error)], HTTP_STATUS[error.code])
        headers = [("content-type", "application/json; charset=UTF-8")]
        return HttpResponse(200, headers, _array(operation, replies))

    # -- documents

    async def _document(self, name: str, request: HttpRequest, caller: Caller) -> HttpResponse:
        parameters = _Parameters(request)
        segments = name.split("/")
        if len(segments) < 6 or segments[4] != "documents":
            raise StatusError(Code.NOT_FOUND, f"no route for `{request.method} {request.raw_path}`")
        is_collection = len(segments) % 2 == 0
        parent, _, last = name.rpartition("/")
        message: Message
        if request.method in ("GET", "HEAD"):
            if is_collection:
                asked = "ListDocuments"
                message = firestore_v1.ListDocumentsRequest(parent=parent, collection_id=last)
            else:
                asked, message = "GetDocument", firestore_v1.GetDocumentRequest(name=name)
        elif request.method == "POST" and is_collection:
            asked, message = "CreateDocument", firestore_v1.CreateDocumentRequest(parent=parent, collection_id=last)
            message.document.CopyFrom(await _from_body(request, firestore_v1.Document))
        elif request.method == "PATCH" and not is_collection:
            asked, message = "UpdateDocument", firestore_v1.UpdateDocumentRequest()
            message.document.CopyFrom(await _from_body(request, firestore_v1.Document, "name", name))
        elif request.method == "DELETE" and not is_collection:
            asked, message = "DeleteDocument", firestore_v1.DeleteDocumentRequest(name=name)
        else:
            return HttpResponse(405, [("allow", "GET, POST" if is_collection else "GET, PATCH, DELETE")])
        parameters.fill(message)
        return await _answered(self._operations[asked], message, caller)


def _no_stream(verb: str) -> str:
    return f"`{verb}` is spoken over gRPC and WebChannel, not over REST"


M = TypeVar("M", bound=Message)


class _Parameters:
    """Query parameters as fields of a request: `mask.fieldPaths=a&mask.fieldPaths=b&readTime=…`."""

    def __init__(self, request: HttpRequest) -> None:
        self._given = {name: values for name, values in request.query.items() if name not in _SYSTEM_PARAMETERS}

    def fill(self, message: Message) -> None:
        body: dict[str, Any] = {}
        for name, values in self._given.items():
            place = body
            *outer, last = name.split(".")
            for part in outer:
                place = place.setdefault(part, {})
            if last in ("fieldPaths", "field_paths"):
                place[last] = values
            else:
                value = values[-1]
                place[last] = _BOOLEANS.get(value, value) if last in ("exists", "showMissing") else value
        if body:
            message_from_json(body, message)


async def _from_body(request: HttpRequest, request_class: type[M], place: str = "", resource: str = "") -> M:
    body = await request.json()
    message: M = await elsewhere(request.read_bytes, message_from_json, {} if body is None else body, request_class())
    if place == "database":
        setattr(message, place, resource.removesuffix("/documents"))
    elif place:
        setattr(message, place, resource)
    return message


async def _answered(operation: Operation, message: Message, caller: Caller) -> HttpResponse:
    reply = await _awaited(operation.answer(message, caller))
    return json_response({}) if operation.reply_class is None else _json(operation.reply_class, reply)


async def _awaited(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


def _json(reply_class: type[Message], reply: bytes) -> HttpResponse:
    return json_response(json_format.MessageToDict(reply_class.FromString(reply)))


async def _array(operation: Operation, replies: Iterable[bytes]) -> AsyncIterator[bytes]:
    """A JSON array, one element at a time, as fast as the client reads it."""
    assert operation.reply_class is not None, f"`{operation.name}` streams nothing"
    before = b"["
    for reply in replies:
        body = json_format.MessageToDict(operation.reply_class.FromString(reply))
        yield before + json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        before = b"\n,\n"
    yield b"]" if before != b"[" else b"[]"


def _decoded(path: str) -> str:
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise invalid_argument(f"`{path}` is not UTF-8 after percent-decoding") from None
