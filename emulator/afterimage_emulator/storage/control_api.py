"""The routes by which tools steer the service: rules, reset, export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from afterimage_emulator.durable.entries import KeptEntries, once_kept
from afterimage_emulator.status import StatusError
from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.storage.exports import StorageExports
from afterimage_emulator.storage.rules.bucket_rules import BucketRules
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, is_read, json_response
from afterimage_emulator.wire.offered import Offered
from afterimage_emulator.wire.router import Router

STORAGE_EXPORT_FOLDER = "storage_export"


class StorageControlApi:
    """Everything under `/internal`."""

    def __init__(
        self,
        *,
        rules: BucketRules,
        exports: StorageExports,
        reset: Callable[[], None],
        keeping: KeptEntries | None = None,
    ) -> None:
        self._rules = rules
        self._exports = exports
        self._reset = reset
        self._router = Router()
        self._router.add("PUT POST", "/internal/setRules", self._set_rules)
        self._router.add("POST", "/internal/export", self._export)
        self._router.add("POST", "/internal/reset", self._forget)
        self._answer = once_kept(keeping, self._router, only_reads=is_read)

    def offered(self) -> Sequence[Offered]:
        return self._router.offered()

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return await self._answer(request)
        except StatusError as error:
            return json_response({"message": error.message}, 400)

    async def _set_rules(self, request: HttpRequest) -> HttpResponse:
        body = await request.json()
        update = self._rules.set_rules_from_json(body)
        if update.rejected:
            return json_response(
                {
                    "message": "There was an error updating rules, see logs for more details",
                    "errors": update.errors,
                    "warnings": update.warnings,
                },
                400,
            )
        return json_response({"message": "Rules updated successfully", "warnings": update.warnings})

    async def _export(self, request: HttpRequest) -> HttpResponse:
        body = await request.json()
        path = body.get("path") if isinstance(body, dict) else None
        if not isinstance(path, str) or not path:
            raise invalid("Export request body must include 'path'.")
        directory = Path(path) / STORAGE_EXPORT_FOLDER
        directory.mkdir(parents=True, exist_ok=True)
        await self._exports.export_to(directory)
        return json_response({})

    async def _forget(self, request: HttpRequest) -> HttpResponse:
        self._reset()
        return json_response({})
