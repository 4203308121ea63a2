"""`Phase5IntegrationService`: five calls that programs know, over the HTTP API, wherever that is served.

Each returns the API's answer as a dict. What is refused comes back as a dict too, `{success, error, detail, code}`, and
never as an exception, so that a program tells by `success`. Whose files are meant is told by the token alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx2

DEFAULT_ADDRESS: Final = "http://127.0.0.1:8000"
SENT_AT_ONCE_BYTES: Final = 8 * 1024 * 1024
"""Larger files go past the API, in pieces of this size."""
_ROOT: Final = "/api/phase5"
_ATTEMPTS: Final = 4
_LOOKS: Final = 600
_RETRIED: Final = (429, 500, 502, 503, 504)
_READ_HERE: Final = frozenset(
    {"api_address", "timeout_seconds", "max_file_size_mb", "compression_threshold_mb", "default_cdn"}
)
_log = logging.getLogger("afterimage_client.integration")


class Phase5IntegrationService:
    """Calls of one program.

    `config` knows `api_address`, `timeout_seconds`, `max_file_size_mb`, `compression_threshold_mb` (files below it are
    not packed) and `default_cdn` (the network that `upload_to_cdn` means). Names that a program has put there for the
    server (`google_client_id`, `local_storage_path` and so on) are read where the server runs: they may stay, and a
    warning names them.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        said = dict(config or {})
        self._most_bytes = int(float(said.get("max_file_size_mb", 100)) * 1024**2)
        self._packed_from_bytes = int(float(said.get("compression_threshold_mb", 0)) * 1024**2)
        self._network: str | None = said.get("default_cdn")
        elsewhere = sorted(set(said) - _READ_HERE)
        if elsewhere:
            _log.warning("`%s` is not read by this program, but where the server runs", "`, `".join(elsewhere))
        self._http = httpx2.AsyncClient(
            base_url=str(said.get("api_address", DEFAULT_ADDRESS)), timeout=float(said.get("timeout_seconds", 60))
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Phase5IntegrationService:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def save_artifact_with_versioning(
        self,
        *,
        access_token: str,
        user_id: str = "",
        artifact_type: str,
        artifact_data: Any,
        auto_save: bool = False,
        create_version: bool = True,
        file_id: str | None = None,
        name: str | None = None,
        description: str = "",
    ) -> dict[str, Any]:
        """Keeps data as the newest version of a file, or of a new one where none is named."""
        del user_id
        said: dict[str, Any] = {
            "artifact_type": artifact_type,
            "artifact_data": artifact_data,
            "auto_save": auto_save,
            "create_version": create_version,
            "description": description,
        }
        said |= {key: value for key, value in (("file_id", file_id), ("name", name)) if value is not None}
        return await self._asked("POST", "/storage/save-artifact", access_token, json=said, key=_new_key())

    async def upload_file_with_processing(
        self,
        *,
        access_token: str,
        user_id: str = "",
        file_data: bytes,
        file_name: str,
        auto_compress: bool = True,
        upload_to_cdn: bool = False,
        cdn_provider: str | None = None,
        file_id: str | None = None,
    ) -> dict[str, Any]:
        """Keeps bytes as a version. With `upload_to_cdn` the world may have them, where there is a network in front."""
        del user_id
        if len(file_data) > self._most_bytes:
            return _refused(
                "FILE_TOO_LARGE", f"{len(file_data)} bytes; a file may have {self._most_bytes}", "make it smaller"
            )
        named = {"name": file_name} | ({"file_id": file_id} if file_id else {})
        if len(file_data) <= SENT_AT_ONCE_BYTES:
            packs = auto_compress and len(file_data) >= self._packed_from_bytes
            said = named | {"auto_compress": _written(packs), "upload_to_cdn": _written(upload_to_cdn)}
            network = cdn_provider or (self._network if upload_to_cdn else None)
            said |= {"cdn_provider": network} if network else {}
            return await self._asked(
                "POST", "/storage/upload", access_token, params=said, content=file_data, key=_new_key()
            )
        if upload_to_cdn or cdn_provider:
            return _refused(
                "FILE_TOO_LARGE",
                f"{len(file_data)} bytes; a save that publishes takes {SENT_AT_ONCE_BYTES}",
                "upload it without `upload_to_cdn`, then mark the file as published",
            )
        return await self._sent_in_pieces(access_token, named, file_data)

    async def get_version_history_frontend(self, *, access_token: str, file_id: str) -> dict[str, Any]:
        """Every version that is kept, newest first."""
        return await self._asked("GET", f"/versions/history/{quote(file_id, safe='')}", access_token)

    async def compare_file_versions(
        self, *, access_token: str, file_id: str, version1_id: str, version2_id: str
    ) -> dict[str, Any]:
        """What differs from the first version to the second."""
        asked = {"file_id": file_id, "version1_id": version1_id, "version2_id": version2_id}
        return await self._asked("GET", "/versions/compare", access_token, params=asked)

    async def get_storage_overview(self, *, access_token: str, user_id: str = "") -> dict[str, Any]:
        """How much there is, and how much of it is used."""
        del user_id
        return await self._asked("GET", "/storage/overview", access_token)

    # -- within

    async def _sent_in_pieces(self, token: str, named: Mapping[str, str], data: bytes) -> dict[str, Any]:
        file = {**named, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        answer = await self._asked("POST", "/storage/uploads", token, json={"files": [file]}, key=_new_key())
        if "files" not in answer:
            return answer
        announced = answer["files"][0]
        if not announced["success"]:
            return _refused(announced["code"], announced["error"], "")
        upload = announced["upload"]
        if upload.get("start") is not None:
            fault = await self._pieces_sent(upload["start"], data)
            if fault is not None:
                return fault
        return await self._kept(token, upload["upload_id"])

    async def _pieces_sent(self, start: Mapping[str, Any], data: bytes) -> dict[str, Any] | None:
        begun = await self._tried(start["method"], start["url"], headers=dict(start["headers"]))
        if begun.status_code >= 300:
            return _answer_of(begun)
        session, sent = begun.headers["Location"], 0
        while sent < len(data):
            piece = data[sent : sent + SENT_AT_ONCE_BYTES]
            place = f"bytes {sent}-{sent + len(piece) - 1}/{len(data)}"
            answer = await self._tried("PUT", session, content=piece, headers={"Content-Range": place})
            if answer.status_code in {200, 201}:
                return None
            if answer.status_code not in {308, 409}:
                return _answer_of(answer)
            # Whatever became of the piece, the session says how many bytes it has.
            asked = await self._tried("PUT", session, headers={"Content-Range": f"bytes */{len(data)}"})
            if asked.status_code in {200, 201}:
                return None
            sent = (
                int(asked.headers.get("Range", "bytes=0--1").rpartition("-")[2]) + 1 if "Range" in asked.headers else 0
            )
        return None

    async def _kept(self, token: str, upload: str) -> dict[str, Any]:
        """The version that an upload became, once it was looked at."""
        shown: dict[str, Any] = {}
        for _ in range(_LOOKS):
            shown = await self._asked("GET", f"/storage/uploads/{upload}", token)
            if shown.get("state") == "done":
                file = await self._asked("GET", f"/storage/files/{shown['file_id']}", token)
                return {
                    **file,
                    "success": True,
                    "version_number": shown["version_number"],
                    "version_id": f"v{shown['version_number']}",
                    "drive_result": {"file_id": shown["file_id"]},
                    "cdn": {"cdn_url": None},
                }
            if shown.get("state") not in {"open", "checking"}:
                return _refused(str(shown.get("code") or "CONFLICT"), str(shown.get("reason") or shown), "")
            await asyncio.sleep(0.1)
        return _refused("UNAVAILABLE", "the upload has come and was not looked at yet", "look for the file later")

    async def _asked(self, method: str, path: str, token: str, *, key: str = "", **options: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        return _answer_of(await self._tried(method, f"{_ROOT}{path}", headers=headers, **options))

    async def _tried(self, method: str, url: str, **options: Any) -> httpx2.Response:
        """Again where that may help: reads, writes that carry a key, and pieces that say their place."""
        for attempt in range(_ATTEMPTS):
            try:
                answer = await self._http.request(method, url, **options)
            except httpx2.TransportError as error:
                if attempt == _ATTEMPTS - 1:
                    told = _refused("UNAVAILABLE", f"nobody answers: {error}", "is the server there?")
                    return httpx2.Response(503, json=told)
            else:
                if answer.status_code not in _RETRIED or attempt == _ATTEMPTS - 1:
                    return answer
            await asyncio.sleep(0.2 * 2**attempt)
        raise AssertionError("the last attempt returns")


def _answer_of(answer: httpx2.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        told = None
    if isinstance(told, dict) and (answer.status_code < 400 or "code" in told):
        return {"success": answer.status_code < 400, **told}
    return _refused("INTERNAL", f"the server answered {answer.status_code}", answer.text[:200])


def _refused(code: str, error: str, detail: str) -> dict[str, Any]:
    return {"success": False, "error": error, "detail": detail, "code": code}


def _new_key() -> str:
    return secrets.token_hex(16)


def _written(truth: bool) -> str:
    return "true" if truth else "false"
