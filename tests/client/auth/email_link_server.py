"""Sign-in by e-mail link as Identity Toolkit's REST reference has it, in front of the suite, which lacks it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
from types import TracebackType
from typing import Any, Self

import httpx2

from afterimage_client import Endpoints

_TOOLKIT = "/identitytoolkit.googleapis.com"


class EmailLinkServer:
    """Answers the two requests about links itself, and hands the rest to the suite's Auth."""

    def __init__(self, auth_address: str) -> None:
        self._auth = f"http://{auth_address}"
        self._server: asyncio.Server | None = None
        self._codes: dict[str, str] = {}
        self.link = ""
        """The last link that would have been sent."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    def before(self, endpoints: Endpoints) -> Endpoints:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return dataclasses.replace(endpoints, identity_toolkit=f"http://127.0.0.1:{port}{_TOOLKIT}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = head.split(" ")[1]
        length = next(
            int(line.split(":")[1]) for line in head.lower().splitlines() if line.startswith("content-length")
        )
        body = json.loads(await reader.readexactly(length))
        status, answer = await self._answer(target, body)
        payload = json.dumps(answer).encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n"
            f"content-length: {len(payload)}\r\n\r\n".encode()
            + payload
        )
        await writer.drain()
        writer.close()

    async def _answer(self, target: str, body: dict[str, Any]) -> tuple[int, Any]:
        if "accounts:sendOobCode" in target and body["requestType"] == "EMAIL_SIGNIN":
            assert body["canHandleCodeInApp"] is True
            code = secrets.token_urlsafe(8)
            self._codes[code] = body["email"]
            self.link = f"https://p.firebaseapp.com/__/auth/action?mode=signIn&oobCode={code}"
            return 200, {"kind": "identitytoolkit#GetOobConfirmationCodeResponse", "email": body["email"]}
        if "accounts:signInWithEmailLink" in target:
            return await self._sign_in(target, body)
        return await self._forward(target, body)

    async def _sign_in(self, target: str, body: dict[str, Any]) -> tuple[int, Any]:
        email = self._codes.get(body["oobCode"])
        if email is None:
            return 400, {"error": {"code": 400, "message": "INVALID_OOB_CODE"}}
        if email != body["email"]:
            text = "INVALID_EMAIL : The email provided does not match the sign-in email address."
            return 400, {"error": {"code": 400, "message": text}}
        del self._codes[body["oobCode"]]
        account = {"email": email, "password": "never-told", "returnSecureToken": True}
        if "idToken" in body:
            account["idToken"] = body["idToken"]
        return await self._forward(target.replace("signInWithEmailLink", "signUp"), account)

    async def _forward(self, target: str, body: dict[str, Any]) -> tuple[int, Any]:
        async with httpx2.AsyncClient() as http:
            answer = await http.post(self._auth + target, json=body)
        return answer.status_code, answer.json()
