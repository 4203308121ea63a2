"""The HTTP side of the port: control routes, REST and WebChannel behind one door."""

from __future__ import annotations

from afterimage_emulator.firestore.adapters.rest import PREFIX
from afterimage_emulator.firestore.adapters.web_channel import WebChannel
from afterimage_emulator.front.pages import answer_pages
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse, text_response


class FirestoreHttpFront:
    """`control` takes what the others do not."""

    def __init__(self, *, rest: HttpHandler, web_channel: WebChannel, control: HttpHandler) -> None:
        self._rest = rest
        self._web_channel = web_channel
        self._control = control

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        return await answer_pages(request, self._route)

    async def _route(self, request: HttpRequest) -> HttpResponse:
        if request.raw_path == "/" and request.method in ("GET", "HEAD"):
            return text_response("Ok\n")
        if request.raw_path.startswith(PREFIX):
            return await self._rest(request)
        if self._web_channel.serves(request.raw_path):
            return await self._web_channel(request)
        return await self._control(request)

    def is_admin_route(self, request: HttpRequest) -> bool:
        """Control routes ask nobody who they are."""
        path = request.raw_path
        return path != "/" and not path.startswith(PREFIX) and not self._web_channel.serves(path)
