"""Asks the functions that a project has put before new accounts and sign-ins, and reads what they answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import urlsplit

from afterimage_emulator.auth.accounts.accounts import Account
from afterimage_emulator.auth.accounts.custom_claims import check_serialized_claims
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.blocking.function_payload import Event, SignInContext, function_payload
from afterimage_emulator.auth.errors import AuthError, malformed, refused
from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt
from afterimage_emulator.clock import Clock
from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json_object
from afterimage_emulator.front.local_hosts import is_this_machine
from afterimage_emulator.status import Code
from afterimage_emulator.wire.http_client import send

PATIENCE_SECONDS: Final = 7.0
"""Production's: a sign-in does not wait longer."""
_LONGEST_ANSWER_BYTES: Final = 1024 * 1024
_FIELDS: Final = {"displayName": "display_name", "photoUrl": "photo_url", "photoURL": "photo_url"}
_FLAGS: Final = {"disabled": "disabled", "emailVerified": "email_verified"}


class BlockingTargets(Protocol):
    """The functions of the same suite, which need no address to be called."""

    def blocking_url(self, event: str) -> str | None:
        """The function that handles this event, if there is one."""
        ...

    def forwarded_credentials(self) -> frozenset[str]: ...

    async def call_before(self, event: str, body: bytes, *, patience_seconds: float) -> tuple[int, bytes] | None:
        """Status and body of its answer; None where it gave none in time."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockingAnswer:
    """What a function wants: changes to the account, as its fields, and claims for this session alone."""

    changes: Mapping[str, object] = field(default_factory=dict)
    session_claims: Mapping[str, object] | None = None


NO_OBJECTION: Final = BlockingAnswer()


class AskedFunctions:
    """`beside`: the suite's own functions, looked up at each question; a URL in the project's settings goes first."""

    def __init__(
        self,
        *,
        clock: Clock,
        beside: Callable[[], BlockingTargets | None],
        may_call: Callable[[str], bool] = is_this_machine,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """`may_call` says of a host's name whether users' data may be sent there."""
        self._may_call = may_call
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._beside = beside

    def forwarded(self, project: Project) -> frozenset[str]:
        beside = self._beside()
        return project.settings.blocking.forwarded | (frozenset() if beside is None else beside.forwarded_credentials())

    async def ask(self, event: Event, project: Project, account: Account, context: SignInContext) -> BlockingAnswer:
        """Raises the refusal that the client is told, where the function refuses or fails."""
        configured = project.settings.blocking.urls.get(event)
        beside = self._beside() if configured is None else None
        url = configured or (None if beside is None else beside.blocking_url(event))
        if url is None:
            return NO_OBJECTION
        payload = function_payload(
            event,
            project=project,
            account=account,
            context=context,
            url=url,
            now_seconds=self._clock.now_ns() // 1_000_000_000,
            forwarded=self.forwarded(project),
        )
        body = json.dumps({"data": {"jwt": unsigned_jwt(payload)}}).encode()
        if beside is not None:
            answer = await beside.call_before(event, body, patience_seconds=self._patience_seconds)
            if answer is None:
                raise _failed(f"Deadline exceeded making request to {url}.")
        else:
            self._check_reach(url)
            answer = await _send(url, body, self._patience_seconds)
        status, content = answer
        if not 200 <= status < 300:
            text = content.decode("utf-8", "replace")
            raise refused(
                f"BLOCKING_FUNCTION_ERROR_RESPONSE : ((HTTP request to {url} returned HTTP error {status}: {text}))"
            )
        try:
            return _answered(event, read_json_object(content))
        except UnreadableJsonError:
            raise _failed("Response body is not valid JSON.") from None

    def _check_reach(self, url: str) -> None:
        host = urlsplit(url).hostname or ""
        if not self._may_call(host):
            raise _failed(
                f"`{host}` is not on this machine, and the suite calls nothing else; name an address of this machine, "
                f"or start the suite with `--allow-host {host}`"
            )


async def _send(url: str, body: bytes, patience_seconds: float) -> tuple[int, bytes]:
    try:
        async with asyncio.timeout(patience_seconds):
            answer = await send(
                "POST", url, [("content-type", "application/json")], body, wanted_bytes=_LONGEST_ANSWER_BYTES
            )
    except TimeoutError:
        raise _failed(f"Deadline exceeded making request to {url}.") from None
    except (OSError, ValueError, asyncio.IncompleteReadError):
        raise _failed(f"Failed to make request to {url}.") from None
    return answer.status, answer.beginning


def _failed(why: str) -> AuthError:
    message = f"BLOCKING_FUNCTION_ERROR_RESPONSE : (({why}))"
    return AuthError(Code.INTERNAL, message, reason="internal", status="INTERNAL")


def _answered(event: Event, answer: Mapping[str, object]) -> BlockingAnswer:
    record = answer.get("userRecord")
    if not record:
        return NO_OBJECTION
    mask = record.get("updateMask") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(mask, str) or not mask:
        raise refused("BLOCKING_FUNCTION_ERROR_RESPONSE : ((Response UserRecord is missing updateMask.))")
    changes: dict[str, object] = {}
    session_claims = None
    for name in mask.split(","):
        value = record.get(name)
        if name in _FIELDS:
            changes[_FIELDS[name]] = value if value is None or isinstance(value, str) else json.dumps(value)
        elif name in _FLAGS:
            changes[_FLAGS[name]] = bool(value)
        elif name == "customClaims":
            text = json.dumps({} if value is None else value, separators=(",", ":"))
            check_serialized_claims(text)
            changes["custom_claims"] = text
        elif name == "sessionClaims" and event is Event.BEFORE_SIGN_IN:
            if value is not None and not isinstance(value, dict):
                raise malformed("/userRecord/sessionClaims must be object")
            session_claims = value
    return BlockingAnswer(changes=changes, session_claims=session_claims)
