"""Hands requests of a site to functions, and changes of them what Hosting changes on the way there and back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

from afterimage_emulator.hosting.site_settings import FunctionTarget
from afterimage_emulator.wire.http_messages import Headers, HttpRequest, HttpResponse, text_response

SESSION_COOKIE: Final = "__session"
ANSWER_LIMIT_SECONDS: Final = 60.0
"""As on the platform: whoever takes longer to begin an answer is cut off."""
DEFAULT_REGION: Final = "us-central1"
_VARY: Final = ("Accept-Encoding", "Authorization", "Cookie")


class FunctionsBeside(Protocol):
    """The suite's functions, as far as a site needs them."""

    async def http(self, request: HttpRequest) -> HttpResponse: ...

    def regions_of(self, name: str) -> tuple[str, ...] | None:
        """Where a function with a URL runs; None where there is none of that name."""
        ...


class FunctionRewrites:
    """`address` is where the functions are reached. Without functions every such request is refused."""

    def __init__(
        self,
        functions: FunctionsBeside | None,
        *,
        project_id: str,
        address: Callable[[], str],
        answer_limit_seconds: float | None = ANSWER_LIMIT_SECONDS,
    ) -> None:
        self._functions = functions
        self._project_id = project_id
        self._address = address
        self._limit = answer_limit_seconds
        self._late: set[asyncio.Task[HttpResponse]] = set()

    async def call(self, request: HttpRequest, target: FunctionTarget) -> HttpResponse | None:
        """None where the function passes the request on: a 404 with `X-Cascade: PASS`."""
        if self._functions is None:
            return text_response(
                f"the function `{target.name}` is not run by this suite; start it with `functions` among --only", 503
            )
        region, refused = self._region(target, self._functions.regions_of(target.name))
        if refused is not None:
            return text_response(refused, 404)
        path = f"/{self._project_id}/{region}/{target.name}"
        task = asyncio.ensure_future(self._functions.http(self._outbound(request, path)))
        done, _ = await asyncio.wait({task}, timeout=self._limit)
        if not done:
            self._late.add(task)
            task.add_done_callback(self._forget)
            return text_response(
                f"the function `{target.name}` began no answer within {self._limit:g} s, which is what Hosting waits",
                504,
            )
        answer = task.result()
        if answer.status == 404 and (Headers(answer.headers).get("x-cascade") or "").upper() == "PASS":
            await _close(answer)
            return None
        return self._inbound(answer, path)

    def _region(self, target: FunctionTarget, regions: tuple[str, ...] | None) -> tuple[str, str | None]:
        if regions is None:
            return "", f"no function `{target.name}` with a URL is loaded; firebase.json rewrites this path to it"
        if target.region is not None:
            if target.region in regions:
                return target.region, None
            return "", f"the function `{target.name}` does not run in `{target.region}`, but in {', '.join(regions)}"
        if DEFAULT_REGION in regions:
            return DEFAULT_REGION, None
        if len(regions) == 1:
            return regions[0], None
        return "", f"the function `{target.name}` runs in {', '.join(regions)}: name one as `region` in firebase.json"

    def _outbound(self, request: HttpRequest, path: str) -> HttpRequest:
        headers = [(name, value) for name, value in request.headers.items() if name not in ("host", "cookie")]
        query = f"?{request.raw_query}" if request.raw_query else ""
        headers += [
            ("host", self._address()),
            ("x-forwarded-host", request.headers.get("host") or ""),
            ("x-original-url", request.raw_path + query),
        ]
        session = _session(request.headers)
        if session is not None:
            headers.append(("cookie", session))
        return HttpRequest(
            method=request.method,
            raw_path=path + request.raw_path,
            raw_query=request.raw_query,
            headers=Headers(headers),
            body=request.body,
            peer=request.peer,
            version_1_0=request.version_1_0,
        )

    def _inbound(self, answer: HttpResponse, path: str) -> HttpResponse:
        headers = Headers(answer.headers)
        caching = headers.get("cache-control")
        kept = [(name, value) for name, value in answer.headers if name.lower() not in ("vary", "location")]
        if caching is None:
            kept.append(("cache-control", "private"))
        elif "private" not in caching.lower():  # a cache between must not hand one visitor's cookie to another
            kept = [(name, value) for name, value in kept if name.lower() != "set-cookie"]
        location = headers.get("location")
        if location is not None:
            kept.append(("location", self._on_the_site(location, path)))
        kept.append(("vary", _vary(headers.all("vary"))))
        return HttpResponse(answer.status, kept, answer.body)

    def _on_the_site(self, location: str, path: str) -> str:
        """A function that names its own address means the site's."""
        origin = f"http://{self._address()}"
        if not location.startswith((f"{origin}/", f"{origin}?")) and location != origin:
            return location
        rest = location.removeprefix(origin)
        if rest.removeprefix(path)[:1] in ("", "/", "?"):
            rest = rest.removeprefix(path)
        return "/" + rest.lstrip("/\\")

    def _forget(self, task: asyncio.Task[HttpResponse]) -> None:
        self._late.discard(task)
        if not task.cancelled() and task.exception() is None:
            closing = asyncio.ensure_future(_closed(task.result()))
            self._late.add(closing)
            closing.add_done_callback(self._late.discard)

    async def close(self) -> None:
        for task in tuple(self._late):
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)


async def _closed(answer: HttpResponse) -> HttpResponse:
    await _close(answer)
    return answer


async def _close(answer: HttpResponse) -> None:
    """Nobody reads it: what is still being made is given up."""
    if isinstance(answer.body, AsyncIterator):
        close = getattr(answer.body, "aclose", None)
        if close is not None:
            with contextlib.suppress(ConnectionError):
                await close()


def _session(headers: Headers) -> str | None:
    """The one cookie that reaches functions through Hosting."""
    for line in headers.all("cookie"):
        for cookie in line.split(";"):
            if cookie.strip().partition("=")[0] == SESSION_COOKIE:
                return cookie.strip()
    return None


def _vary(lines: list[str]) -> str:
    named = [name.strip() for line in lines for name in line.split(",") if name.strip()]
    known = {name.lower() for name in named}
    return ", ".join([*named, *(name for name in _VARY if name.lower() not in known)])
