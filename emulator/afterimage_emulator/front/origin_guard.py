"""The guard of every port: refuses what pages of foreign sites ask, and requests that call this machine by their names.

Nothing local proves who is asking: tokens are unsigned, control routes take no password. So it must matter which page
asks. Programs, which send neither an Origin nor the browsers' own marks, are never in its way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Final

from afterimage_emulator.front.allowed_pages import (
    HOSTS_FLAG,
    HOSTS_VARIABLE,
    ORIGINS_FLAG,
    ORIGINS_VARIABLE,
    PLACELESS_ORIGINS,
    AllowedPages,
    Origin,
)
from afterimage_emulator.front.callers import caller_from_authorization
from afterimage_emulator.front.cors import readable
from afterimage_emulator.front.error_body import error_response
from afterimage_emulator.front.local_hosts import cannot_be_rebound, is_address, is_this_machine, split_host
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse

APP_SHELLS: Final = frozenset({"capacitor", "ionic", "tauri"})
"""Apps that carry their pages with them show them under `localhost`, in a scheme of their own that no site can have."""
_REMEMBERED_HOSTS: Final = 1_000
_REMEMBERED_REFUSALS: Final = 100
_SHOWN_CHARACTERS: Final = 100
_log = logging.getLogger("afterimage_emulator")

IsAdminRoute = Callable[[HttpRequest], bool]


class OriginGuard:
    """One for all ports of a suite.

    `own_ports` are the ports that serve what users stored or published. Their pages are local, yet their content is
    anybody's: they may do what an app may, and nothing that an administrator does.
    """

    def __init__(
        self, allowed: AllowedPages | None = None, *, own_ports: Callable[[], Collection[int]] = frozenset
    ) -> None:
        self._allowed = allowed or AllowedPages()
        self._own_ports = own_ports
        self._good_hosts: set[str] = set()
        self._told: set[str] = set()

    def around(self, handler: HttpHandler, *, service: str, is_admin_route: IsAdminRoute) -> HttpHandler:
        """The handler of a port, guarded."""

        async def guarded(request: HttpRequest) -> HttpResponse:
            refused = self.judge(request, service=service, is_admin_route=is_admin_route)
            return error_response(refused) if refused is not None else await handler(request)

        return guarded

    def worded(self, request: HttpRequest, error: StatusError) -> HttpResponse:
        """An error that no service has answered, such as an injected fault; pages that may ask may read it."""
        response = error_response(error)
        origins, host = request.headers.all("origin"), request.headers.get("host") or ""
        if all(self._is_trusted(origin) or _is_page_of(host, origin) for origin in origins):
            return readable(request, response)
        return response

    def judge(self, request: HttpRequest, *, service: str, is_admin_route: IsAdminRoute) -> StatusError | None:
        """The refusal, if it is one, told on the console too."""
        refused = self.refusal(request, is_admin_route)
        if refused is None:
            return None
        self._tell(service, refused)
        return StatusError(Code.PERMISSION_DENIED, refused)

    def check_grpc_origin(self, origin: str) -> StatusError | None:
        """gRPC clients send no Origin. Browsers cannot speak gRPC, so its `:authority` is not looked at."""
        if self._is_trusted(origin):
            return None
        refused = _foreign_page(origin)
        self._tell("grpc", refused)
        return StatusError(Code.PERMISSION_DENIED, refused)

    def refusal(self, request: HttpRequest, is_admin_route: IsAdminRoute) -> str | None:
        """Why the request is not taken, and the way out; None for one that is."""
        host = site = ""
        has_origin = False
        for name, value in request.headers.items():  # every request passes here: one walk, nothing made
            if name == "host":
                host = value
                if value not in self._good_hosts and not self._takes_host(value):
                    return _foreign_host(value)
            elif name == "origin":
                has_origin = True
            elif name == "sec-fetch-site":
                site = value
        if has_origin:
            return self._refusal_of_page(request, host, is_admin_route)
        if site == "cross-site":
            return self._refusal_of_embedding(request)
        if site == "same-origin" and self._is_own_page(page := f"http://{host}"):
            # A page's reads of its own origin carry no Origin header.
            return self._refusal_of_own_page(request, page, is_admin_route)
        return None

    def is_named(self, origin: str) -> bool:
        """Whether whoever started the suite named this origin as one that may ask."""
        if origin in PLACELESS_ORIGINS:
            return origin in self._allowed.placeless
        return Origin.parse(origin) in self._allowed.origins

    # -- what asks

    def _refusal_of_page(self, request: HttpRequest, host: str, is_admin_route: IsAdminRoute) -> str | None:
        for origin in request.headers.all("origin"):
            if not self._is_trusted(origin) and not _is_page_of(host, origin):
                return _foreign_page(origin)
            if self._is_own_page(origin):
                refused = self._refusal_of_own_page(request, origin, is_admin_route)
                if refused is not None:
                    return refused
        return None

    def _refusal_of_own_page(self, request: HttpRequest, origin: str, is_admin_route: IsAdminRoute) -> str | None:
        if is_admin_route(request) or any(_is_admins(value) for value in request.headers.all("authorization")):
            return (
                f"a page of `{_shown(origin)}`, which the suite itself serves, asks for what only administrators may: "
                f"whoever can store a file would be one; serve that page from another port, or start with "
                f"`{ORIGINS_FLAG} {_shown(origin)}`"
            )
        return None

    def _refusal_of_embedding(self, request: HttpRequest) -> str | None:
        """A picture, a script, a frame: reads without an Origin, whose answer the page itself cannot read.

        `localhost` and `127.0.0.1` are two sites to a browser, so most of this is an app showing its own pictures.
        """
        headers = request.headers
        if headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document":
            return None  # somebody follows a link, as those in e-mails are followed, and sees the answer
        referer = headers.get("referer")
        if referer is not None and not self._is_trusted(page := "/".join(referer.split("/", 3)[:3])):
            return _foreign_page(page)
        return None

    def _is_trusted(self, origin: str) -> bool:
        if origin in PLACELESS_ORIGINS:
            return origin in self._allowed.placeless
        parsed = Origin.parse(origin)
        if parsed is None:
            return False
        if parsed in self._allowed.origins:
            return True
        if parsed.scheme in APP_SHELLS:
            return parsed.host == "localhost"
        return parsed.scheme in ("http", "https") and is_this_machine(parsed.host)

    def _is_own_page(self, origin: str) -> bool:
        parsed = Origin.parse(origin)
        return parsed is not None and parsed.port in self._own_ports() and parsed not in self._allowed.origins

    def _takes_host(self, text: str) -> bool:
        place = split_host(text)
        name = text.lower() if place is None else place[0]
        if not cannot_be_rebound(name) and name not in self._allowed.hosts:
            return False
        if len(self._good_hosts) < _REMEMBERED_HOSTS:
            self._good_hosts.add(text)
        return True

    def _tell(self, service: str, refused: str) -> None:
        """Once for each: a page that asks again and again must not fill the console."""
        if refused not in self._told and len(self._told) < _REMEMBERED_REFUSALS:
            self._told.add(refused)
            _log.warning("%s refused: %s", service, refused)


def _is_page_of(host: str, origin: str) -> bool:
    """Whether the called port served the page itself, by an address such as Android's 10.0.2.2.

    By a name alone that is not certain: the name may have been pointed somewhere else when the page was loaded.
    """
    page, called = Origin.parse(origin), Origin.parse(f"http://{host}")
    return page is not None and page == called and is_address(page.host)


def _is_admins(authorization: str) -> bool:
    credential = authorization.strip().rpartition(" ")[2]
    return credential.lower() == "owner" or caller_from_authorization(authorization).is_admin


def _foreign_page(origin: str) -> str:
    shown = _shown(origin)
    return (
        f"a page of `{shown}` asks, and only pages of this machine may; if that page is yours, start the suite with "
        f"`{ORIGINS_FLAG} {shown}` or set {ORIGINS_VARIABLE}"
    )


def _foreign_host(host: str) -> str:
    shown = _shown(host)
    name = shown.rpartition(":")[0] or shown
    return (
        f"the request calls this machine `{shown}`, a name that somebody else may have pointed here; if that name is "
        f"yours, start the suite with `{HOSTS_FLAG} {name}` or set {HOSTS_VARIABLE}"
    )


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:_SHOWN_CHARACTERS])
