"""WebChannel: how browsers, Flutter's web apps and React Native speak Listen and Write, in plain HTTP requests.

A session opens with a POST that carries the first messages and the headers that a page cannot set without asking
ahead. More messages come in further POSTs, answers in GETs that stay open; see `web_channel_session`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from afterimage_emulator.clock import Clock
from afterimage_emulator.firestore.adapters.json_messages import JsonTexts, message_from_json
from afterimage_emulator.firestore.adapters.web_channel_crowd import Crowd, browser_of
from afterimage_emulator.firestore.adapters.web_channel_session import BackChannel, Patience, WebChannelSession, framed
from afterimage_emulator.firestore.documents.resource_paths import invalid_argument
from afterimage_emulator.firestore.operations.operations import SERVICE, Conversation, Operations
from afterimage_emulator.front.allowed_pages import Origin
from afterimage_emulator.front.callers import caller_with_readable_token
from afterimage_emulator.front.error_body import error_response
from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json
from afterimage_emulator.front.origin_guard import OriginGuard
from afterimage_emulator.protos.message import Message
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call
from afterimage_emulator.wire.http_messages import Headers, HttpRequest, HttpResponse, text_response

IDLE_LIMIT_SECONDS: Final = 120.0
"""So long a session is kept, by the suite's clock, of which nothing is heard and which nothing is told."""
SESSIONS_LIMIT: Final = 10_000
"""Beyond it, the ones go of which nothing was heard for longest and which are told nothing."""
BODY_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""The largest commit, every byte of it percent-encoded, and twice as much."""
LARGE_BODY_BYTES: Final = 256 * 1024
MESSAGES_PER_REQUEST: Final = 1_000
_HEADERS_LIMIT: Final = 64 * 1024
_VERSION: Final = 8
_CLIENT_VERSION_SPOKEN: Final = 12
_NUMBER: Final = re.compile(r"-?\d{1,15}")
_MESSAGE_KEY: Final = re.compile(r"req(\d{1,9})___data__")
_EXPOSED: Final = (
    "access-control-expose-headers",
    "x-client-wire-protocol, x-http-session-id, x-http-initial-response",
)
_BACK_CHANNEL_HEADERS: Final = (
    ("content-type", "text/plain; charset=utf-8"),
    ("cache-control", "private, max-age=0"),
    ("x-content-type-options", "nosniff"),
    # Servers in front of this one must not collect what is to arrive at once.
    ("x-accel-buffering", "no"),
    _EXPOSED,
)


class WebChannel:
    """Every session of every page. `guard` judges also what a page says in the body instead of in headers."""

    def __init__(
        self, operations: Operations, clock: Clock, guard: OriginGuard, *, patience: Patience | None = None
    ) -> None:
        self._conversations: Mapping[str, Conversation] = {
            f"{SERVICE}{conversation.name}/channel": conversation for conversation in operations.conversations()
        }
        self._texts = {path: JsonTexts(each.reply_class) for path, each in self._conversations.items()}
        self._clock = clock
        self._guard = guard
        self._patience = patience or Patience()
        self._crowd = Crowd()
        self._sessions: dict[str, WebChannelSession] = {}
        self._of_origin: dict[str | None, dict[str, WebChannelSession]] = {}
        """In each, whichever has not been heard of for longest comes first."""

    def serves(self, path: str) -> bool:
        return path in self._conversations

    def session_count(self) -> int:
        return len(self._sessions)

    def kept_bytes(self) -> int:
        """What is kept for clients to receive, or to receive again."""
        return sum(session.unsent_bytes + session.unacknowledged_bytes for session in self._sessions.values())

    async def close(self) -> None:
        sessions = list(self._sessions.values())
        for session in sessions:
            self._end(session)
        await asyncio.gather(*(session.ended() for session in sessions))

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        conversation = self._conversations[request.raw_path]
        session_id = request.query_value("SID")
        if request.method == "POST" and session_id is None:
            return await self._open(request, conversation)
        if request.method not in ("GET", "POST"):
            return HttpResponse(405, [("allow", "GET, POST")])
        session = self._sessions.get(session_id or "")
        if session is None or session.call.method != _method_of(conversation) or not _may_ask(session, request):
            return _unknown_session()
        if request.query_value("TYPE") == "terminate":
            self._end(session)
            return HttpResponse(200, [("content-type", "text/plain; charset=utf-8")])
        session.heard()
        own = self._of_origin[session.origin]
        own[session.id] = own.pop(session.id)
        session.acknowledge(_number(request, "AID", -1))
        if session.is_done_with:
            self._end(session)
            return _unknown_session()
        if request.method == "POST":
            form = await session.reading(_body_bytes(request), lambda: _form_of(request))
            if session.is_ended:
                return _unknown_session()
            session.receive(_messages_of(form, conversation))
            return _framed(json.dumps(session.progress(), separators=(",", ":")))
        return HttpResponse(200, list(_BACK_CHANNEL_HEADERS), self._back_channel(session, request).frames())

    # -- sessions

    async def _open(self, request: HttpRequest, conversation: Conversation) -> HttpResponse:
        if request.query_value("VER") != str(_VERSION):
            raise invalid_argument(f"`VER={request.query_value('VER')}` is another protocol than {_VERSION}")
        form = await _form_of(request)
        said = Headers(_header_lines(form.get("headers", "")))
        # What a page says in the body counts as if it stood in the request's head, for the guard as for the rules.
        asked = HttpRequest(
            request.method,
            request.raw_path,
            request.raw_query,
            Headers([*request.headers.items(), *said.items()]),
            request.body,
        )
        refused = self._guard.judge(asked, service="firestore", is_admin_route=_is_no_admin_route)
        if refused is not None:
            raise refused
        messages = _messages_of(form, conversation)
        session = WebChannelSession(
            conversation=conversation,
            texts=self._texts[request.raw_path],
            caller=caller_with_readable_token(lambda name: said.get(name) or request.headers.get(name)),
            call=Call(_method_of(conversation), dict(said.items()), request.peer),
            origin=request.headers.get("origin"),
            clock=self._clock,
            patience=self._patience,
        )
        self._sessions[session.id] = session
        self._of_origin.setdefault(session.origin, {})[session.id] = session
        self._watch(session, IDLE_LIMIT_SECONDS)
        self._make_room(session)
        session.receive(messages)
        keep_alive_ms = round(self._patience.keep_alive_seconds * 1000)
        return _framed(f'[[0,["c","{session.id}","",{_VERSION},{_CLIENT_VERSION_SPOKEN},{keep_alive_ms}]]]')

    def _back_channel(self, session: WebChannelSession, request: HttpRequest) -> BackChannel:
        hold_seconds = self._patience.keep_alive_seconds
        until_data = request.query_value("CI") == "1"
        if until_data and (longest_ms := _number(request, "TO", 0)) > 0:
            hold_seconds = min(hold_seconds, longest_ms / 1000)
        return BackChannel(
            session,
            last_received=_number(request, "AID", -1),
            until_data=until_data,
            hold_seconds=hold_seconds,
            crowd=self._crowd,
            browser=browser_of(request),
        )

    def _watch(self, session: WebChannelSession, wait_seconds: float) -> None:
        """Ends the session once it has been idle for long enough."""

        def look() -> None:
            if session.is_ended:
                return
            remaining_seconds = IDLE_LIMIT_SECONDS - session.idle_seconds()
            if remaining_seconds > 0:
                self._watch(session, remaining_seconds)
            else:
                self._end(session)

        session.idle_timer = self._clock.call_later(wait_seconds, look)

    def _make_room(self, newest: WebChannelSession) -> None:
        """Beyond the limit the site with most sessions loses one of its own: no page pushes out those of others."""
        if len(self._sessions) > SESSIONS_LIMIT:
            crowd = max(self._of_origin.values(), key=len).values()
            older = [session for session in crowd if session is not newest]
            idle = (session for session in older if session.back_channel is None)
            self._end(next(idle, None) or older[0])

    def _end(self, session: WebChannelSession) -> None:
        if self._sessions.pop(session.id, None) is not None:
            own = self._of_origin[session.origin]
            del own[session.id]
            if not own:
                del self._of_origin[session.origin]
        session.end()


def _method_of(conversation: Conversation) -> str:
    return f"{SERVICE}{conversation.name}"


def _may_ask(session: WebChannelSession, request: HttpRequest) -> bool:
    """A session is its page's. Only reads of a page's own server, and pictures, come from a page without its origin.

    Any page can have a picture fetched. It ends a session, as that of a page that leaves, and does nothing else.
    """
    headers = request.headers
    origin = headers.get("origin")
    if origin is not None or request.method != "GET":
        return origin == session.origin
    if session.origin is None:
        return True
    opener, referer = Origin.parse(session.origin), headers.get("referer")
    if opener is not None and referer is not None and Origin.parse("/".join(referer.split("/", 3)[:3])) != opener:
        return False
    is_picture = headers.get("sec-fetch-site", "same-origin") != "same-origin"
    return not is_picture or request.query_value("TYPE") == "terminate"


def _unknown_session() -> HttpResponse:
    """Clients know these two words: they open another session at once."""
    error = StatusError(Code.INVALID_ARGUMENT, "Unknown SID: the session has ended, or is another page's")
    return error_response(error).with_header(*_EXPOSED)


def _framed(text: str) -> HttpResponse:
    return text_response(framed(text).decode("ascii")).with_header(*_EXPOSED)


def _number(request: HttpRequest, name: str, default: int) -> int:
    given = request.query_value(name)
    if given is None:
        return default
    if _NUMBER.fullmatch(given) is None:
        raise invalid_argument(f"`{name}={given[:40]}` is no number")
    return int(given)


def _body_bytes(request: HttpRequest) -> int:
    """What a body may take; the largest, where its length is not told."""
    told = request.headers.get("content-length") or ""
    return min(int(told), BODY_LIMIT_BYTES) if _NUMBER.fullmatch(told) else BODY_LIMIT_BYTES


async def _form_of(request: HttpRequest) -> dict[str, str]:
    raw = await request.body.read(BODY_LIMIT_BYTES)
    if len(raw) > LARGE_BODY_BYTES:
        return await asyncio.to_thread(_parsed, raw)
    return _parsed(raw)


def _parsed(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(raw),
            errors="strict",
            max_num_fields=MESSAGES_PER_REQUEST + 8,
        )
    except ValueError as error:  # UnicodeDecodeError is one
        raise invalid_argument(
            f"the request body is no form of at most {MESSAGES_PER_REQUEST} messages: {error}"
        ) from None
    return dict(pairs)


def _header_lines(text: str) -> list[tuple[str, str]]:
    if len(text) > _HEADERS_LIMIT:
        raise invalid_argument(f"`headers` is longer than {_HEADERS_LIMIT} characters")
    lines = []
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise invalid_argument(f"`headers` has a line `{line[:40]}`, which is no `name:value`")
        lines.append((name.strip().lower(), value.strip()))
    return lines


def _messages_of(form: Mapping[str, str], conversation: Conversation) -> dict[int, tuple[Message, int]]:
    """By their numbers: `ofs` and the number in a message's key make its place in all that the client has ever said."""
    offset = form.get("ofs", "0")
    if _NUMBER.fullmatch(offset) is None:
        raise invalid_argument(f"`ofs={offset[:40]}` is no number")
    found = {}
    for key, text in form.items():
        place = _MESSAGE_KEY.fullmatch(key)
        if place is None:
            continue
        try:
            body = read_json(text)
        except UnreadableJsonError as error:
            raise invalid_argument(f"`{key}` is not JSON: {error}") from None
        found[int(offset) + int(place[1])] = (message_from_json(body, conversation.request_class()), len(text))
    return found


def _is_no_admin_route(request: HttpRequest) -> bool:
    return False
