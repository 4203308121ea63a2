"""The Eventarc service: takes what is published to a channel and hands it to the bus of events."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from afterimage_emulator.clock import Clock
from afterimage_emulator.eventarc.published_events import google_events, published_events
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.front.error_body import error_response
from afterimage_emulator.status import StatusError
from afterimage_emulator.turns import elsewhere, in_turns
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response, text_response
from afterimage_emulator.wire.offered import Offered
from afterimage_emulator.wire.router import Router

_CHANNEL = "/projects/{project}/locations/{location}/channels/{channel}"


class EventarcService:
    """Channels exist by themselves and keep nothing: what nobody asked for is gone, as in production."""

    grpc: Sequence[GrpcMethod] = ()

    def __init__(self, *, clock: Clock, events: EventBus) -> None:
        self._clock = clock
        self._events = events
        self._routes = Router()
        self._routes.add("GET", "/", _alive)
        # The Admin SDK leaves the API's version out where a local service is named to it.
        for prefix in ("", "/v1"):
            self._routes.add("POST", f"{prefix}{_CHANNEL}:publishEvents", self._publish)
        self._routes.add("POST", "/google/publishEvents", self._publish_of_google)

    async def http(self, request: HttpRequest) -> HttpResponse:
        try:
            return await self._routes(request)
        except StatusError as error:
            return error_response(error)

    def offered(self) -> Sequence[Offered]:
        return self._routes.offered()

    def is_admin_route(self, request: HttpRequest) -> bool:
        """Only servers publish to channels."""
        return request.raw_path != "/"

    async def _publish_of_google(self, request: HttpRequest) -> HttpResponse:
        """Events as Google's own services send them: functions hear them by type and filters, whatever the channel."""
        read = partial(google_events, await request.json(), now=self._clock.now())
        async for event in in_turns(await elsewhere(request.read_bytes, read)):
            self._send(event, "google")
        return json_response({})

    def _send(self, event: CloudEvent, channel: str) -> None:
        self._events.publish(event)
        self._events.note("eventarc", "event published", f"{channel} {event.type}", (event.id,))

    async def _publish(self, request: HttpRequest) -> HttpResponse:
        names = request.params
        channel = f"projects/{names['project']}/locations/{names['location']}/channels/{names['channel']}"
        read = partial(published_events, await request.json(), channel=channel, now=self._clock.now())
        async for event in in_turns(await elsewhere(request.read_bytes, read)):
            self._send(event, names["channel"])
        return json_response({})

    def reset(self) -> None:
        """Nothing is kept."""

    async def export_to(self, directory: Path) -> None:
        """Nothing is kept."""

    async def import_from(self, directory: Path) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        """Nothing is kept."""


async def _alive(request: HttpRequest) -> HttpResponse:
    return text_response("Ok")
