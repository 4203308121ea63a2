"""Objects made of other objects in the JSON API: copy, rewrite, move, compose."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from afterimage_emulator.storage.copying.composing import Composer
from afterimage_emulator.storage.copying.rewriting import Rewrites
from afterimage_emulator.storage.errors import Reason, StorageError, condition_not_met, invalid
from afterimage_emulator.storage.gcs.acl import check_acl_allowed, predefined_acl
from afterimage_emulator.storage.gcs.answers import ObjectAnswers
from afterimage_emulator.storage.messages.customer_keys import OF_SOURCE, customer_key
from afterimage_emulator.storage.messages.object_json import (
    read_metadata,
    read_storage_class,
    says_metadata,
)
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.messages.request_fields import (
    flag,
    json_object,
    number,
    preconditions,
    said_flag,
    said_number,
    said_object,
    with_keys,
)
from afterimage_emulator.storage.objects.contexts import patched_contexts
from afterimage_emulator.storage.objects.preconditions import Preconditions
from afterimage_emulator.storage.objects.records import ObjectMetadata
from afterimage_emulator.storage.objects.requests import Composition, Copy, Selection, Upload
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response


class GcsCopies:
    """Handlers for `…/copyTo/…`, `…/rewriteTo/…`, `…/moveTo/…` and `…/compose`."""

    def __init__(self, *, store: ObjectStore, composer: Composer, rewrites: Rewrites, answers: ObjectAnswers) -> None:
        self._store = store
        self._answers = answers
        self._composer = composer
        self._rewrites = rewrites

    async def copy(self, request: HttpRequest) -> HttpResponse:
        wanted = self._wanted(request, await json_object(request))
        return self._answers.answer(request, self._store.copy(wanted))

    async def rewrite(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        step = self._rewrites.step(
            self._wanted(request, body),
            token=request.query_value("rewriteToken"),
            step_bytes=number(request, "maxBytesRewrittenPerCall"),
            asked=_asked(request, body),
        )
        answer: dict[str, Any] = {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": str(step.written_bytes),
            "objectSize": str(step.size),
            "done": step.record is not None,
        }
        if step.record is None:
            answer["rewriteToken"] = step.token
        else:
            answer["resource"] = self._answers.resource(request, step.record)
        return json_response(select_fields(answer, request.query_value("fields")))

    async def move(self, request: HttpRequest) -> HttpResponse:
        """A copy and a delete in one step."""
        params = request.params
        source = Selection(
            bucket=params["bucket"], name=params["object"], preconditions=preconditions(request, source=True)
        )
        target = Upload(bucket=params["bucket"], name=params["target_object"], preconditions=preconditions(request))
        if source.name == target.name:
            raise invalid(f"`{source.name}` cannot move onto itself")
        return self._answers.answer(request, self._store.move(Copy(source=source, target=target)))

    async def compose(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        described = said_object(body, "destination")
        target = self._target(request, described, request.params["object"], "kmsKeyName")
        for field, said in (("bucket", target.bucket), ("name", target.name)):
            if described.get(field) not in (None, said):
                raise invalid(f"Invalid value for `destination.{field}`: the address of the request says `{said}`")
        composition = Composition(
            sources=_sources(target.bucket, body.get("sourceObjects")),
            target=target,
            delete_sources=said_flag(body, "deleteSourceObjects") or flag(request, "deleteSourceObjects"),
            keep_contexts=_keeps_contexts(request, described),
        )
        return self._answers.answer(request, await self._composer.compose(composition))

    # -- inside

    def _wanted(self, request: HttpRequest, body: Mapping[str, object]) -> Copy:
        params = request.params
        source = Selection(
            bucket=params["bucket"],
            name=params["object"],
            generation=number(request, "sourceGeneration"),
            preconditions=preconditions(request, source=True),
        )
        target = self._target(request, body, params["target_object"], "destinationKmsKeyName")
        return Copy(
            source=source,
            target=target,
            keep_metadata=not says_metadata(body),
            source_key=customer_key(request.headers, OF_SOURCE),
            keep_contexts=_keeps_contexts(request, body),
        )

    def _target(self, request: HttpRequest, body: Mapping[str, object], name: str, key_parameter: str) -> Upload:
        bucket = request.params.get("target_bucket") or request.params["bucket"]
        if says_metadata(body):
            said = {name: value for name, value in body.items() if name not in _OF_THE_SERVER}
            metadata = read_metadata(said)
        else:
            metadata = ObjectMetadata(contexts=patched_contexts({}, body.get("contexts")))
        named = {} if key_parameter in request.query else _key_of_caller(body)
        metadata = with_keys(metadata, request, named, key_parameter)
        acl = predefined_acl(request, body, "destinationPredefinedAcl")
        if acl is not None:
            metadata = replace(metadata, acl=acl)
        check_acl_allowed(self._store.bucket_or_none(bucket), metadata.acl)
        return Upload(
            bucket=bucket,
            name=name,
            metadata=metadata,
            storage_class=read_storage_class(body),
            preconditions=preconditions(request),
            keeps_empty_type=True,
        )


_OF_THE_SERVER = frozenset({"kmsKeyName", "customerEncryption"})
"""A body is often what the server said of the source, and a copy takes no key of its source."""


def _key_of_caller(body: Mapping[str, object]) -> Mapping[str, object]:
    name = body.get("kmsKeyName")
    is_version = isinstance(name, str) and "/cryptoKeyVersions/" in name
    return {} if is_version else {"kmsKeyName": name}


def _keeps_contexts(request: HttpRequest, body: Mapping[str, object]) -> bool:
    dropped = [name for value in request.query.get("dropContextGroups", []) for name in value.split(",")]
    for name in dropped:
        if name != "custom":
            raise invalid(f"Invalid value for `dropContextGroups`: `{name[:100]}`; use custom")
    return not dropped and "contexts" not in body


def _sources(bucket: str, said: object) -> tuple[Selection, ...]:
    if not isinstance(said, list):
        raise StorageError(Reason.REQUIRED, "Required parameter: sourceObjects")
    return tuple(_source(bucket, one) for one in said)


def _source(bucket: str, said: object) -> Selection:
    if not isinstance(said, Mapping) or not isinstance(said.get("name"), str):
        raise StorageError(Reason.REQUIRED, "Required parameter: sourceObjects[].name")
    conditions = said_object(said, "objectPreconditions")
    generation = said_number(said, "generation")
    match = said_number(conditions, "ifGenerationMatch")
    if generation is not None and match is not None and generation != match:
        raise condition_not_met()
    return Selection(
        bucket=bucket,
        name=said["name"],
        generation=generation,
        preconditions=Preconditions(generation_match=match),
    )


def _asked(request: HttpRequest, body: Mapping[str, object]) -> str:
    """All that a rewrite was asked for but its token and the form of its answer, as one short text."""
    query = {name: values for name, values in sorted(request.query.items()) if name not in _OF_ONE_CALL}
    asked = json.dumps([request.raw_path, query, body], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(asked.encode()).hexdigest()


_OF_ONE_CALL = frozenset({"rewriteToken", "fields", "alt", "prettyPrint", "key", "quotaUser", "userIp"})
