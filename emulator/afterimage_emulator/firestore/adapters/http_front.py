"""The HTTP side of the port: control routes and REST behind one door."""

from __future__ import annotations

from afterimage_emulator.firestore.adapters.rest import PREFIX
from afterimage_emulator.front.pages import answer_pages
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse, text_response


class FirestoreHttpFront:
    """`control` takes what is not under /v1."""

    def __init__(self, *, rest: HttpHandler, control: HttpHandler) -> None:
        self._rest = rest
        self._control = control

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        return await answer_pages(request, self._route)

    async def _route(self, request: HttpRequest) -> HttpResponse:
        if request.raw_path == "/" and request.method in ("GET", "HEAD"):
            return text_response("Ok\n")
        if request.raw_path.startswith(PREFIX):
            return await self._rest(request)
        return await self._control(request)

    def is_admin_route(self, request: HttpRequest) -> bool:
        """Control routes ask nobody who they are."""
        return request.raw_path != "/" and not request.raw_path.startswith(PREFIX)
